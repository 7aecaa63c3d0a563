package group

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"dashi/shard/transport"

	"github.com/hashicorp/raft"
)

// Progress is how far a replica is.
type Progress struct {
	Term    uint64
	Applied uint64        // index up to which everything is applied
	Last    uint64        // index of the last entry in its log
	Leader  string        // the member that it follows; empty: none
	Leads   bool          // it is the leader itself
	Silent  time.Duration // since it has heard of its leader
}

// Progress is that of this replica.
func (g *Group) Progress() Progress {
	_, leader := g.raft.LeaderWithID()
	p := Progress{Term: g.raft.CurrentTerm(), Applied: g.Applied(), Last: g.raft.LastIndex(), Leader: string(leader), Leads: g.raft.State() == raft.Leader}
	if last := g.raft.LastContact(); !p.Leads && !last.IsZero() {
		p.Silent = time.Since(last)
	}
	return p
}

// typeProgress is the type of the call that asks a node for a Progress.
const typeProgress = 2

// ProgressOf asks another node about its replica of a group. The error says so when it has none open.
func (h *Host) ProgressOf(ctx context.Context, node string, id uint32) (p Progress, err error) {
	b, err := h.transport.Call(ctx, node, typeProgress, binary.LittleEndian.AppendUint32(nil, id))
	if err != nil {
		return p, err
	}
	if len(b) < 33 {
		return p, fmt.Errorf("%s answers %d bytes", node, len(b))
	}
	p = Progress{Term: binary.LittleEndian.Uint64(b), Applied: binary.LittleEndian.Uint64(b[8:]), Last: binary.LittleEndian.Uint64(b[16:]),
		Silent: time.Duration(binary.LittleEndian.Uint64(b[24:])), Leads: b[32] != 0, Leader: string(b[33:])}
	return p, nil
}

// progressHandler answers calls of typeProgress.
type progressHandler struct{ h *Host }

func (p progressHandler) Serve(_ context.Context, call *transport.Call) ([]byte, error) {
	if len(call.Body) != 4 {
		return nil, fmt.Errorf("%d bytes are no group", len(call.Body))
	}
	g := p.h.group(binary.LittleEndian.Uint32(call.Body))
	if g == nil {
		return nil, transport.ErrNoGroup
	}
	q := g.Progress()
	b := binary.LittleEndian.AppendUint64(nil, q.Term)
	b = binary.LittleEndian.AppendUint64(b, q.Applied)
	b = binary.LittleEndian.AppendUint64(b, q.Last)
	b = binary.LittleEndian.AppendUint64(b, uint64(q.Silent))
	if b = append(b, 0); q.Leads {
		b[len(b)-1] = 1
	}
	return append(b, q.Leader...), nil
}
