package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"dashi/ring/meta"
	"dashi/shard/group"
)

// directoryGroup is the group of the directory; shards are the groups from 0 on, of which there are at most meta.MaxShards.
const directoryGroup = 1 << 20

// directory is this node's replica of the directory.
type directory struct {
	group *group.Group
	state atomic.Pointer[meta.State]

	mu      sync.Mutex
	machine meta.Directory
	changed chan struct{} // closed, and replaced, when state changes
}

func newDirectory() *directory {
	d := &directory{changed: make(chan struct{})}
	d.state.Store(d.machine.State())
	return d
}

// State is what this replica has applied.
func (d *directory) State() *meta.State { return d.state.Load() }

// Changed is closed when there is another State than at the call.
func (d *directory) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// Apply, Snapshot and Restore make it a group.FSM.
func (d *directory) Apply(_ uint64, entry []byte) any {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.machine.Apply(entry)
	if r.Rejected == nil {
		d.tell()
	}
	return r
}

// tell publishes the state. mu is held.
func (d *directory) tell() {
	d.state.Store(d.machine.State())
	close(d.changed)
	d.changed = make(chan struct{})
}

// Snapshot freezes the state: it never changes, so its bytes are made when it is written.
func (d *directory) Snapshot() (group.Snapshot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return directorySnapshot{d.machine}, nil
}

type directorySnapshot struct{ frozen meta.Directory }

func (s directorySnapshot) Persist(w io.Writer) error {
	_, err := w.Write(s.frozen.Snapshot())
	return err
}

func (s directorySnapshot) Release() {}

// Restore replaces the state.
func (d *directory) Restore(r io.Reader) error {
	src, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.machine.Restore(src); err != nil {
		return err
	}
	d.tell()
	return nil
}

// errNoCommand is returned by the function given to change when there is nothing to do.
var errNoCommand = errors.New("nothing to change")

// changePause is between two attempts to change the directory: its leader is being elected, or another was quicker.
const changePause = 20 * time.Millisecond

// await returns when the directory here has come to an epoch.
func (n *Node) await(ctx context.Context, epoch uint64) error {
	for {
		changed := n.directory.Changed()
		if n.directory.State().Epoch >= epoch {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// change commits what next makes of the present state, wherever the directory is led. When another change comes first, next is asked again. It
// fails when next does, when the directory rejects the command for good, or when ctx is done. After it the state here has the change.
func (n *Node) change(ctx context.Context, next func(*meta.State) (meta.Command, error)) error {
	why := "no majority of the directory answers"
	for {
		s := n.directory.State()
		c, err := next(s)
		if err != nil {
			if errors.Is(err, errNoCommand) {
				return nil
			}
			return err
		}
		result, err := n.commit(ctx, meta.Append(nil, s.Epoch, n.now(), c))
		if err == nil {
			if result.Rejected == nil {
				return n.await(ctx, result.Epoch)
			}
			if result.Rejected.Reason != meta.Stale {
				return result.Rejected
			}
		} else if errors.Is(err, group.ErrUnknown) { // it stands in somebody's log
			why = "no majority of the directory answers, and nobody knows whether it was done: it may still take effect, as dashi status and dashi cookbook show then"
		} else if !errors.Is(err, group.ErrNotLeader) {
			return err
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
			return fmt.Errorf("cannot change the directory: %s: %w", why, err)
		case <-time.After(changePause):
		}
	}
}

// knowsDirectory says whether the directory here has everything that its leader has: one that has just been opened again may not know of the last change, or
// of a cookbook that is on its way.
func (n *Node) knowsDirectory(ctx context.Context) bool {
	g := n.directory.group
	leader := g.Progress()
	if !leader.Leads {
		var err error
		if leader, err = n.host.ProgressOf(ctx, leader.Leader, g.ID()); err != nil || !leader.Leads {
			return false
		}
	}
	return g.Applied() >= leader.Last
}

// propose puts an entry into a group's log, if it leads here, and waits for the result.
func propose(g *group.Group, entry []byte) (result any, err error) {
	type answer struct {
		result any
		err    error
	}
	c := make(chan answer, 1)
	if err := g.Propose(entry, func(_ uint64, result any, err error) { c <- answer{result, err} }); err != nil {
		return nil, err
	}
	a := <-c
	return a.result, a.err
}
