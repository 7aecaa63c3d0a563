package group

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// Read returns when a read of the state here is linearizable: it then sees everything that was acknowledged before the call, on any replica. It works on the
// leader only, which asks a majority whether it still is that. It logs nothing.
func (g *Group) Read(ctx context.Context) error {
	if _, here := g.Leader(); !here {
		return g.notLeader()
	}
	// Everything that is committed by now is applied once the last entry of it that comes to the state machine is.
	index := min(g.raft.CommitIndex(), g.logs.visible.Load())
	g.view.Verifying(true)
	err := g.change(ctx, "read", func(time.Duration) raft.Future { return g.raft.VerifyLeader() })
	g.view.Verifying(false)
	if err != nil {
		return err
	}
	return g.WaitApplied(ctx, index)
}

const lookAgain = 5 * time.Millisecond

// WaitApplied returns when the entry with that index has been applied here.
func (g *Group) WaitApplied(ctx context.Context, index uint64) error {
	if g.applied.Load() >= index || g.Applied() >= index {
		return nil
	}
	wake := func() {
		g.mu.Lock()
		g.turn.Broadcast()
		g.mu.Unlock()
	}
	stop := context.AfterFunc(ctx, wake)
	defer stop()
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.applied.Load() < index && g.Applied() < index {
		if g.closed {
			return ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		again := time.AfterFunc(lookAgain, wake) // Raft's own entries wake nobody
		g.turn.Wait()
		again.Stop()
	}
	return nil
}

// barrier logs an entry of Raft's own and waits until everything up to it is applied here. It is called on a goroutine of ask.
func (g *Group) barrier() error {
	err := g.raft.Barrier(0).Error()
	if err == nil {
		g.tellFollowers()
	}
	return err
}

// tellFollowers has followers told what is committed, if this replica leads.
func (g *Group) tellFollowers() {
	if term := g.raft.CurrentTerm(); !g.alone.Load() && g.raft.State() == raft.Leader {
		g.view.Committed(term, g.raft.CommitIndex())
	}
}

// wakeReaders wakes those who wait for entries. It runs after every batch.
func (g *Group) wakeReaders() {
	if g.waiting.Load() > 0 {
		g.mu.Lock()
		g.turn.Broadcast()
		g.mu.Unlock()
	}
}
