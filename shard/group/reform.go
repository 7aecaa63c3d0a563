package group

import (
	"errors"
	"fmt"

	"dashi/shard/wal"

	"github.com/hashicorp/raft"
)

// Survey is what is left of a replica that is not open, for whoever decides which one a group is formed anew from.
type Survey struct {
	Term      uint64 // the greatest that it has heard of
	LastTerm  uint64 // of its last entry
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

// Reform makes what this node has of a group the whole group, with this node as its only member: for when a majority of the replicas may have lost the end of
// their logs at once, so that nobody can say what was acknowledged. It is a decision, and must be taken for one replica only: the one with the
// longest log of all that can be asked (Survey). Entries that were acknowledged and are on no replica asked are lost; so the decision is logged, and what
// feeds the group must find out from the state what to send again.
//
// term is the greatest Term of all surveys: the new group begins with the next one, so that no entry of the old group is mistaken for one of the new.
// The group is opened afterwards (Open); other replicas come back under new ids, keep what they have or not, and are added as learners.
func (h *Host) Reform(id uint32, term uint64) error {
	survey, err := h.Survey(id)
	if err != nil {
		return err
	}
	if survey.LastIndex == 0 {
		return fmt.Errorf("cannot form group %d anew from nothing", id)
	}
	if err := h.reserve(id); err != nil {
		return err
	}
	defer h.unreserve(id)
	term = max(term, survey.Term) + 1
	index := survey.LastIndex + 1
	if _, last := h.log.Bounds(id); last+1 != index { // the snapshot is ahead
		if err := h.log.Reset(id, index); err != nil {
			return err
		}
	}
	members := configuration([]Member{{ID: h.settings.ID, Voter: true}})
	err = h.log.Append(id, []wal.Record{{Index: index, Term: term, Commit: index, Type: uint8(raft.LogConfiguration), Data: raft.EncodeConfiguration(members)}})
	if err == nil { // durable with all before it
		err = (&logStore{id: id, log: h.log}).SetUint64([]byte(keyTerm), term)
	}
	if err == nil {
		err = h.log.Err()
	}
	if err != nil {
		return fmt.Errorf("cannot form group %d anew: %w", id, err)
	}
	h.settings.Log.Warn("group is formed anew from what this node has", "group", id, "member", h.settings.ID, "last", survey.LastIndex, "term", term)
	return nil
}

func (h *Host) unreserve(id uint32) {
	h.mu.Lock()
	delete(h.groups, id)
	h.mu.Unlock()
	h.opening.Done()
}
