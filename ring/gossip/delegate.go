package gossip

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// messageLeave is the first byte of the message by which a node says that it goes; its id follows.
const messageLeave = 1

// delegate is what memberlist calls. It keeps its own list, because memberlist forgets the dead, and never waits.
type delegate struct {
	self    string
	log     *slog.Logger
	changed chan struct{}

	mu      sync.Mutex
	meta    Meta
	encoded []byte
	members map[string]Member
	leaving map[string]bool                       // who has said goodbye
	rivals  rivals                                // others that go by this one's id
	foreign map[string]bool                       // addresses of other clusters that the log has told of
	list    atomic.Pointer[memberlist.Memberlist] // nil: not open yet
}

// set changes what this node says about itself (I2).
func (d *delegate) set(m Meta) error {
	encoded, err := appendMeta(nil, &m)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.meta, d.encoded = m, encoded
	d.mu.Unlock()
	return nil
}

// NodeMeta, NotifyMsg, GetBroadcasts, LocalState and MergeRemoteState make it a memberlist.Delegate.
func (d *delegate) NodeMeta(int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.encoded
}
func (d *delegate) NotifyMsg(message []byte) {
	if len(message) < 2 {
		return
	}
	if message[0] != messageLeave {
		d.hear(message[0], message[1:])
		return
	}
	d.mu.Lock()
	id := string(message[1:])
	m, known := d.members[id]
	if known {
		d.leaving[id] = true
		if m.State == Failed { // the word came after the deed
			m.State = Left
			d.members[id] = m
		}
	}
	d.mu.Unlock()
	d.tell()
}

func (d *delegate) GetBroadcasts(_, _ int) [][]byte { return nil }
func (d *delegate) LocalState(bool) []byte          { return nil }
func (d *delegate) MergeRemoteState([]byte, bool)   {}

// NotifyJoin, NotifyUpdate and NotifyLeave make it an EventDelegate.
func (d *delegate) NotifyJoin(n *memberlist.Node) {
	d.mu.Lock()
	delete(d.leaving, n.Name)
	d.mu.Unlock()
	d.note(n, Alive)
}
func (d *delegate) NotifyUpdate(n *memberlist.Node) { d.note(n, Alive) }
func (d *delegate) NotifyLeave(n *memberlist.Node) {
	state := Failed
	d.mu.Lock()
	if d.leaving[n.Name] { // I4
		state = Left
	}
	d.mu.Unlock()
	d.note(n, state)
}

func (d *delegate) note(n *memberlist.Node, state State) {
	meta, err := readMeta(n.Meta)
	if err != nil {
		return // admit has said so
	}
	d.mu.Lock()
	m := Member{ID: n.Name, Addr: n.Address(), State: state, Since: time.Now(), Meta: meta}
	if before, ok := d.members[m.ID]; ok && before.State == state {
		m.Since = before.Since
	}
	d.members[m.ID] = m
	d.mu.Unlock()
	d.tell()
}

func (d *delegate) tell() {
	select {
	case d.changed <- struct{}{}:
	default: // I3
	}
}

// NotifyAlive and NotifyMerge make it an AliveDelegate and a MergeDelegate: nobody of another cluster is let in (I1).
func (d *delegate) NotifyAlive(n *memberlist.Node) error { return d.admit(n) }

func (d *delegate) NotifyMerge(peers []*memberlist.Node) error {
	for _, n := range peers {
		if err := d.admit(n); err != nil {
			return err
		}
	}
	return nil
}

func (d *delegate) admit(n *memberlist.Node) error {
	if n.Name == d.self {
		return nil
	}
	meta, err := readMeta(n.Meta)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && meta.Cluster != "" && d.meta.Cluster != "" && meta.Cluster != d.meta.Cluster {
		err = fmt.Errorf("it belongs to cluster %s, this node to %s", meta.Cluster, d.meta.Cluster)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("node %q at %s is not let in: %w", n.Name, n.Address(), err)
	if !d.foreign[n.Address()] {
		if d.foreign == nil || len(d.foreign) > 1000 {
			d.foreign = map[string]bool{}
		}
		d.foreign[n.Address()] = true
		d.log.Warn("gossip", "error", err)
	}
	return err
}

// NotifyConflict makes it a ConflictDelegate.
func (d *delegate) NotifyConflict(existing, other *memberlist.Node) {
	if existing.Name == d.self {
		d.mu.Lock()
		d.rivals.note(other)
		d.mu.Unlock()
	}
	d.log.Error("two nodes have the same id: give one another, or an empty data directory", "id", existing.Name, "at", existing.Address(), "and", other.Address())
}

// parseLine takes the level and the text from a line of memberlist's log. What it calls an error is a warning here: it tries again.
func parseLine(line string) (slog.Level, string) {
	line = strings.TrimSpace(line)
	level := slog.LevelDebug
	for prefix, l := range map[string]slog.Level{"[ERR] ": slog.LevelWarn, "[WARN] ": slog.LevelInfo, "[INFO] ": slog.LevelDebug, "[DEBUG] ": slog.LevelDebug} {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			line, level = rest, l
			break
		}
	}
	return level, strings.TrimPrefix(line, "memberlist: ")
}
