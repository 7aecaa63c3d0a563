package node

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"dashi/pipeline/say"
)

// readLevel is how fresh an answer must be: ?read= of whatever is read over HTTP, DASHI READ over RESP.
type readLevel byte

// The levels.
const (
	readLocal        readLevel = 0 // the state of any replica, of the one here if there is one: the default
	readLeader       readLevel = 1 // the state of the replica that says that it leads
	readLinearizable readLevel = 2 // the same, after a majority has confirmed that it leads: nothing that was acknowledged before is missing
)

var levelNames = [...]string{"local", "leader", "linearizable"}

func (l readLevel) String() string { return levelNames[l] }

// Headers of answers.
const (
	headerNode   = "Dashi-Node"   // the node that the profile, or the last part of the answer, came from
	headerRead   = "Dashi-Read"   // local, leader or linearizable
	headerBehind = "Dashi-Behind" // of a local read: by how many entries the replica that lags most, of those that answered, is known to be behind its leader
)

// freshTimeout is how long a read waits for somebody who can answer it.
const freshTimeout = 5 * time.Second

// reading is one request: how fresh it must be, and who answered.
type reading struct {
	level readLevel

	mu     sync.Mutex
	by     string // a node
	behind uint64
}

type readingKey struct{}

// readingOf is the reading of a request; a local one when its context has none.
func readingOf(ctx context.Context) *reading {
	if r, ok := ctx.Value(readingKey{}).(*reading); ok {
		return r
	}
	return &reading{}
}

// note notes who answered.
func (r *reading) note(member string, behind uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.by, r.behind = nodeOf(member), max(r.behind, behind)
}

// noteHere notes that the replica of h here answered; h is nil when no shard had to be asked.
func (n *Node) noteHere(r *reading, h *shardHost) {
	behind := uint64(0)
	if h != nil && n.gossip != nil {
		behind = n.behind(h)
	}
	r.note(n.identity.member(), behind)
}

// consistent has h read as fresh as the request asks for (?read=), and adds to the answer how fresh it is.
func (n *Node) consistent(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read := &reading{by: n.identity.Node}
		if r.URL.RawQuery != "" {
			if asked := r.URL.Query().Get("read"); asked != "" {
				level, ok := parseLevel(asked)
				if !ok {
					refuse(w, http.StatusBadRequest, "bad_request", fmt.Sprintf("read=%s is neither %s, %s nor %s", say.Short(asked), readLocal, readLeader, readLinearizable))
					return
				}
				read.level = level
			}
		}
		h.ServeHTTP(&readWriter{ResponseWriter: w, reading: read, several: n.gossip != nil}, r.WithContext(context.WithValue(r.Context(), readingKey{}, read)))
	})
}

func parseLevel(text string) (readLevel, bool) {
	for i, name := range levelNames {
		if text == name {
			return readLevel(i), true
		}
	}
	return 0, false
}

// readWriter adds the headers that say who gave the answer, and how fresh it is.
type readWriter struct {
	http.ResponseWriter
	reading *reading
	several bool // the cluster may have several nodes
	begun   bool
}

// Unwrap is for http.ResponseController.
func (w *readWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader and Write begin the answer.
func (w *readWriter) WriteHeader(status int) {
	w.begin()
	w.ResponseWriter.WriteHeader(status)
}

func (w *readWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

func (w *readWriter) begin() {
	if w.begun {
		return
	}
	w.begun = true
	r := w.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Header().Set(headerRead, r.level.String())
	w.Header().Set(headerNode, r.by)
	if w.several && r.level == readLocal {
		w.Header().Set(headerBehind, strconv.FormatUint(r.behind, 10))
	}
}

// refuse answers with an error in the form of the HTTP interface.
func refuse(w http.ResponseWriter, status int, code, text string) {
	body, _ := say.JSON(map[string]any{"error": map[string]string{"code": code, "message": text}})
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// behind is by how many entries the replica here is behind what its leader last said; 0 for a leader.
func (n *Node) behind(h *shardHost) uint64 {
	g := h.group.Load()
	if g == nil || h.leads() {
		return 0
	}
	leader, applied := leaderOf(g), g.Applied()
	n.heard.mu.Lock()
	defer n.heard.mu.Unlock()
	if p := n.heard.by[leader]; p != nil && p.shards[h.id].applied > applied {
		return p.shards[h.id].applied - applied
	}
	return 0
}
