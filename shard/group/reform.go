package group

import (
	"errors"
	"fmt"
	"slices"

	"dashi/shard/snapshot"

	"github.com/hashicorp/raft"
)

// Survey is what is left of a replica that is not open: by it somebody decides from which replica a group is formed anew.
type Survey struct {
	Term      uint64 // the greatest term that it has heard of
	LastTerm  uint64 // the term of its last entry
	LastIndex uint64
}

// Longer says that a replica has more of the group's history than another: the order in which Raft compares logs.
func (s Survey) Longer(than Survey) bool {
	return s.LastTerm > than.LastTerm || s.LastTerm == than.LastTerm && s.LastIndex > than.LastIndex
}

// Survey looks at a replica that is not open.
func (h *Host) Survey(id uint32) (s Survey, err error) {
	if err := h.reserve(id); err != nil {
		return s, err
	}
	defer h.unreserve(id)
	stable := &logStore{id: id, log: h.log}
	if s.Term, err = stable.GetUint64([]byte(keyTerm)); err != nil && !errors.Is(err, errNotFound) {
		return s, err
	}
	list, err := h.snapshots.List(id)
	if err != nil {
		return s, err
	}
	if len(list) > 0 {
		s.LastTerm, s.LastIndex = list[0].Term, list[0].Index
	}
	if first, last := h.log.Bounds(id); first <= last && last > s.LastIndex {
		r, _, err := h.log.Read(id, last, nil)
		if err != nil {
			return s, err
		}
		s.LastTerm, s.LastIndex = r.Term, last
	}
	return s, nil
}

// Replay brings an empty state machine to the state at the end of a replica that is not open, or after the entry to if that comes first. It begins with the
// oldest snapshot that can be read and has its log behind it, so that as many states as possible are seen: at is called after the snapshot (with 0 if there
// is none) and after every entry. What is at the end of the log may not have been committed.
func (h *Host) Replay(id uint32, fsm FSM, to uint64, at func(index uint64)) error {
	if err := h.reserve(id); err != nil {
		return err
	}
	defer h.unreserve(id)
	index, err := h.restoreOldest(id, fsm, to)
	if err != nil {
		return fmt.Errorf("cannot replay group %d: %w", id, err)
	}
	at(index)
	_, last := h.log.Bounds(id)
	var buf []byte
	for index < min(last, to) {
		index++
		r, b, err := h.log.Read(id, index, buf)
		if err != nil {
			return fmt.Errorf("cannot replay group %d: %w", id, err)
		}
		if buf = b; raft.LogType(r.Type) == raft.LogCommand {
			fsm.Apply(index, r.Data)
		}
		at(index)
	}
	return nil
}

// restoreOldest restores the snapshot that Replay begins with.
func (h *Host) restoreOldest(id uint32, fsm FSM, to uint64) (index uint64, err error) {
	list, err := h.snapshots.List(id)
	if err != nil {
		return 0, err
	}
	first, last := h.log.Bounds(id)
	whole := len(list) == 0 || last >= list[0].Index // else a power cut took what the newest snapshot has
	if whole && first == 1 {                         // the log has everything
		return 0, nil
	}
	store := &snapshotStore{g: &Group{id: id, host: h}, store: h.snapshots}
	for _, info := range slices.Backward(list) {
		if whole && first > info.Index+1 || !whole && info != list[0] || info.Index > to {
			continue
		}
		_, r, openErr := store.open(info)
		if openErr == nil {
			openErr = errors.Join(fsm.Restore(r), r.Drain(), r.Close())
		}
		if openErr == nil {
			return info.Index, nil
		}
		err = errors.Join(err, openErr)
	}
	return 0, errors.Join(fmt.Errorf("it has no snapshot before entry %d that can be read", to), err)
}

// Seed begins a group with a state, and with this node as its only member. It is for when a majority of the replicas of another group may have lost the end
// of their logs at once, so that nobody can say what was acknowledged. That is a decision, which must be taken on one node only: the one with the longest
// log of all that can be asked (Survey). The new group has another number than the old one, so that what is left of the old one's replicas can do no harm.
// Seed of a group that is there already does nothing. The group is opened afterwards (Open), and others are added as learners.
func (h *Host) Seed(id uint32, term, index uint64, state Snapshot) error {
	defer state.Release()
	if err := h.reserve(id); err != nil {
		return err
	}
	defer h.unreserve(id)
	if list, err := h.snapshots.List(id); err != nil || len(list) > 0 {
		return err
	}
	err := (&logStore{id: id, log: h.log}).SetUint64([]byte(keyTerm), term)
	if err == nil {
		err = h.seed(snapshot.Info{Group: id, Term: term, Index: index}, state)
	}
	if err == nil {
		err = h.log.Err()
	}
	if err != nil {
		return fmt.Errorf("cannot begin group %d with a state: %w", id, err)
	}
	h.settings.Log.Warn("group begins anew with the state that this node has", "group", id, "member", h.settings.ID, "index", index, "term", term)
	return nil
}

func (h *Host) seed(info snapshot.Info, state Snapshot) error {
	w, err := h.snapshots.Create(info)
	if err != nil {
		return err
	}
	if _, err = w.Write(appendPrelude(nil, configuration([]Member{{ID: h.settings.ID, Voter: true}}), info.Index)); err == nil {
		err = state.Persist(w)
	}
	if err != nil {
		w.Abort()
		return err
	}
	return w.Commit()
}

// Groups are the numbers of all groups of which there is anything on this node.
func (h *Host) Groups() []uint32 { return h.log.Groups() }

func (h *Host) unreserve(id uint32) {
	h.mu.Lock()
	delete(h.groups, id)
	h.mu.Unlock()
	h.opening.Done()
}
