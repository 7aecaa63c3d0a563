package group

import "github.com/hashicorp/raft"

const (
	windowEntries = 256
	windowBytes   = 1 << 20
)

// window keeps a group's newest entries in memory: the leader reads them to send them, a follower to apply them, a moment after they were stored.
// What is older is read from the disk.
type window struct {
	list  []raft.Log // consecutive
	bytes int
}

// put adds an entry behind the last one. It takes only what nobody changes any more: entries of proposals are still the proposer's unless they were
// copied, see Group.Propose.
func (w *window) put(l *raft.Log) {
	if len(l.Extensions) > 0 && l.Extensions[0] != tagKept {
		w.clear()
		return
	}
	if n := len(w.list); n > 0 && w.list[n-1].Index+1 != l.Index {
		w.clear()
	}
	w.list = append(w.list, raft.Log{Index: l.Index, Term: l.Term, Type: l.Type, Data: l.Data, AppendedAt: l.AppendedAt})
	w.bytes += len(l.Data)
	for len(w.list) > windowEntries || w.bytes > windowBytes && len(w.list) > 1 {
		w.bytes -= len(w.list[0].Data)
		w.list[0] = raft.Log{}
		w.list = w.list[1:]
	}
}

// get finds an entry.
func (w *window) get(index uint64, l *raft.Log) bool {
	if len(w.list) == 0 || index < w.list[0].Index || index-w.list[0].Index >= uint64(len(w.list)) {
		return false
	}
	*l = w.list[index-w.list[0].Index]
	return true
}

func (w *window) clear() {
	clear(w.list)
	w.list, w.bytes = w.list[:0], 0
}
