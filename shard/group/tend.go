package group

import (
	"fmt"
	"slices"
	"time"
)

// tendEvery is how soon the host notices that its disk hangs, or answers again.
const tendEvery = 250 * time.Millisecond

// tend does, until the host closes, what concerns all groups of a node that has peers.
func (h *Host) tend() {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.tending:
			return
		case <-h.kick:
			h.mu.Lock()
			h.watchPeers()
			h.mu.Unlock()
		case <-tick.C:
			h.watchDisk()
		}
	}
}

// watchDisk makes the node mute while its log takes nothing: Raft goes on sending heartbeats when its disk hangs, and nobody would take over.
func (h *Host) watchDisk() {
	stalled := h.log.Stalled()
	mute := stalled > 0 || h.log.Err() != nil
	if h.mute.Swap(mute) == mute {
		return
	}
	h.transport.Mute(mute)
	if mute {
		h.count(func(s *Stats) { s.Stalls++ })
		h.settings.Log.Error("disk does not answer, or is full: peers take over the groups of this node", "for", stalled.Round(time.Millisecond), "error", h.log.Err())
	} else {
		h.settings.Log.Info("disk answers again")
	}
	for _, g := range h.running() {
		g.kickChanged()
		g.mu.Lock()
		g.room.Broadcast() // nobody need wait for room on a mute node
		g.mu.Unlock()
	}
}

// peersChanged has watchPeers called soon.
func (h *Host) peersChanged() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

// watchPeers tells the failure detector whom the groups here have as members. mu is held.
func (h *Host) watchPeers() {
	var ids []string
	for _, g := range h.groups {
		if g == nil {
			continue
		}
		g.membersMu.Lock()
		for _, s := range g.members[0].Servers {
			ids = append(ids, string(s.ID))
		}
		g.membersMu.Unlock()
	}
	slices.Sort(ids)
	h.transport.Watch(slices.Compact(ids))
}

// group finds an open group.
func (h *Host) group(id uint32) *Group {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.groups[id]
}

// release takes a group from the host; it is false if the host does not have it. The caller then closes it.
func (h *Host) release(g *Group) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.groups[g.id] != g || h.closed {
		return false
	}
	delete(h.groups, g.id)
	h.watchPeers()
	return true
}

// Drop deletes everything of a group that is not open, for good: a replica that was taken out of its group.
func (h *Host) Drop(id uint32) error {
	if err := h.reserve(id); err != nil {
		return err
	}
	defer h.unreserve(id)
	err := h.snapshots.Drop(id)
	if err == nil {
		err = h.log.Drop(id)
	}
	if err != nil {
		return fmt.Errorf("cannot drop group %d: %w", id, err)
	}
	return nil
}
