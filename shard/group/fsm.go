package group

import (
	"io"

	"github.com/hashicorp/raft"
)

// machine is the state machine as Raft calls it: every method hands over.
type machine struct{ g *Group }

func (m machine) Apply(l *raft.Log) any             { return m.ApplyBatch([]*raft.Log{l})[0] }
func (m machine) ApplyBatch(logs []*raft.Log) []any { return m.g.apply(logs) }
func (m machine) Restore(r io.ReadCloser) error     { return m.g.install(r) }

func (m machine) Snapshot() (raft.FSMSnapshot, error) {
	frozen, err := m.g.freeze()
	if err != nil {
		return nil, err
	}
	return state{frozen}, nil
}

// state is a frozen state as Raft calls it.
type state struct{ Snapshot }

func (s state) Persist(to raft.SnapshotSink) error {
	if err := s.Snapshot.Persist(to); err != nil {
		return err // Raft cancels the sink
	}
	return to.Close()
}
