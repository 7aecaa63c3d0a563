package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"dashi/pipeline/say"
	"dashi/ring/meta"
	"dashi/shard/group"
)

// ErrDrained is what Wait returns when the node has been emptied: it holds nothing any longer, and may be stopped for as long as one likes.
var ErrDrained = errors.New("the node has been drained")

// errStays says that a node that has stopped serving is no longer to be drained.
var errStays = fmt.Errorf("it is not drained any longer: %w", ErrReopen)

// drain commits that a node is to be drained (on), or that it is to stay after all.
func (n *Node) drain(ctx context.Context, id string, on bool) error {
	return n.change(ctx, func(s *meta.State) (meta.Command, error) {
		m, ok := s.Member(id)
		if ok && m.Draining == on {
			return nil, errNoCommand
		}
		if left := staying(s); on && ok && len(left) == 1 && left[0].ID == id {
			return nil, &meta.Rejection{Reason: meta.Invalid, Detail: fmt.Sprintf("node %s is the last one that is not drained: there is none to take what it holds; to stop it, end its process (SIGTERM)", id)}
		}
		return &meta.Drain{Member: id, Draining: on}, nil
	})
}

// retreat is what a node does while it is drained: it reads no more events and answers no more look-ups, because what it has grows old; when it holds
// nothing, it ends.
func (n *Node) retreat() {
	s := n.directory.State()
	if m, ok := s.Member(n.identity.Node); !ok || !m.Draining {
		if n.retreated {
			n.fail(errStays)
		}
		return
	}
	if n.ready.Swap(false) {
		n.retreated = true
		n.log.Warn("this node is being drained")
		n.stopSource()
		if n.doors.resp != nil {
			n.calling.Go(func() { _ = n.doors.resp.Close() })
		}
	}
	if s.Holding(n.identity.Node) {
		return
	}
	members, _ := n.directory.group.Members()
	voter := slices.Contains(members, group.Member{ID: n.identity.member(), Voter: true})
	if n.emptied.IsZero() {
		n.emptied = time.Now()
	}
	if !voter || time.Since(n.emptied) > moveTimeout { // it is not always told that it has lost its vote
		n.fail(ErrDrained)
	}
}

// admin serves POST and DELETE /v1/nodes/{id}/drain and DELETE /v1/nodes/{id} in front of h. While this node is being drained it refuses everything else
// under /v1/ but the status.
func (n *Node) admin(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, is := strings.CutPrefix(r.URL.Path, "/v1/nodes/")
		if !is {
			reads := strings.HasPrefix(r.URL.Path, "/v1/") && r.URL.Path != "/v1/status"
			if m, ok := n.directory.State().Member(n.identity.Node); reads && ok && m.Draining {
				refuse(w, http.StatusServiceUnavailable, "unavailable", "this node is being drained: ask another")
				return
			}
			h.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), freshTimeout)
		defer cancel()
		id, draining := strings.CutSuffix(rest, "/drain")
		var err error
		switch {
		case draining && r.Method == http.MethodPost:
			err = n.drain(ctx, id, true)
		case draining && r.Method == http.MethodDelete:
			err = n.drain(ctx, id, false)
		case !draining && r.Method == http.MethodDelete:
			err = n.change(ctx, func(*meta.State) (meta.Command, error) { return &meta.Forget{Member: id}, nil })
		default:
			allow := http.MethodDelete
			if draining {
				allow = "POST, DELETE"
			}
			w.Header().Set("Allow", allow)
			refuse(w, http.StatusMethodNotAllowed, "bad_request", "POST or DELETE /v1/nodes/{id}/drain, DELETE /v1/nodes/{id}")
			return
		}
		var rejected *meta.Rejection
		switch {
		case errors.As(err, &rejected) && rejected.Reason == meta.Unknown:
			refuse(w, http.StatusNotFound, "not_found", say.Cut(rejected.Detail, 200)+": dashi status lists the nodes")
		case errors.As(err, &rejected):
			refuse(w, http.StatusConflict, string(rejected.Reason), rejected.Detail)
		case err != nil:
			refuse(w, http.StatusServiceUnavailable, "unavailable", err.Error())
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = say.WriteJSON(w, map[string]uint64{"epoch": n.directory.State().Epoch})
		}
	})
}
