package node

import (
	"io"
	"sync"
	"sync/atomic"

	"dashi/shard"
	"dashi/shard/group"
)

// member is one replica of one shard on this node: the state machine behind its lock, hosted by its group.
//
// The group's goroutine is the only writer: it holds mu for writing around every Apply. Look-ups hold it for
// reading, for as long as they use what they found.
type member struct {
	id       uint32
	settings shard.Settings

	mu    sync.RWMutex
	shard *shard.Shard

	group *group.Group
	grew  chan struct{} // has one token when the outbox may have grown
	talks chan struct{} // has one token when there may be messages for other shards

	due     atomic.Int64  // shard.Wake after the last entry
	ticking atomic.Bool   // a tick is on its way
	sooner  chan struct{} // of all members: has one token when somebody's due may have come closer
}

func newMember(id uint32, settings shard.Settings, sooner chan struct{}) *member {
	m := &member{id: id, settings: settings, shard: shard.New(settings), grew: make(chan struct{}, 1), talks: make(chan struct{}, 1), sooner: sooner}
	m.due.Store(m.shard.Wake())
	return m
}

// Apply, Snapshot and Restore make it a group.FSM.
func (m *member) Apply(_ uint64, entry []byte) any {
	m.mu.Lock()
	r := m.shard.Apply(entry)
	due := m.shard.Wake()
	m.mu.Unlock()
	m.setDue(due)
	if r.Activations > 0 {
		wake(m.grew)
	}
	if r.Messages > 0 {
		wake(m.talks)
	}
	return r
}

// wake leaves a token, if there is none.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Snapshot freezes the state.
func (m *member) Snapshot() (group.Snapshot, error) {
	m.mu.Lock() // the table's page protection is a write
	defer m.mu.Unlock()
	return persister{m.shard.Snapshot()}, nil
}

type persister struct{ *shard.Snapshot }

func (p persister) Persist(w io.Writer) error {
	_, err := p.WriteTo(w)
	return err
}

// Restore replaces the state.
func (m *member) Restore(r io.Reader) error {
	restored, err := shard.Restore(r, m.settings)
	if err != nil {
		return err
	}
	m.mu.Lock()
	old := m.shard
	m.shard = restored
	m.mu.Unlock()
	m.setDue(restored.Wake())
	old.Close()
	return nil
}

// propose puts an entry into the shard's log and waits for its result.
func (m *member) propose(entry []byte) (*shard.Result, error) {
	type answer struct {
		r   *shard.Result
		err error
	}
	c := make(chan answer, 1)
	err := m.group.Propose(entry, func(_ uint64, result any, err error) {
		r, _ := result.(*shard.Result)
		c <- answer{r, err}
	})
	if err != nil {
		return nil, err
	}
	a := <-c
	return a.r, a.err
}
