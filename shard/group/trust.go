package group

import (
	"fmt"
	"slices"

	"dashi/shard/wal"

	"github.com/hashicorp/raft"
)

// keyDirty holds the ID under which a replica must not count any more.
//
// A voter that has lost the end of its log has acknowledged entries that it does not know of, and would vote for a leader that does not have them either. So
// a replica that may have lost something never votes again under its ID. In mode replicated that is every replica on a machine that restarted without the
// host being closed, except those of groups that are always synced; in mode fsync only one whose directory is damaged or was replaced.
const keyDirty = "Dirty"

// distrust marks the groups as dirty that may have lost something, going by what the directory's mark says.
func (h *Host) distrust() error {
	if h.mark.Clean == wal.Clean {
		return nil
	}
	if !h.mark.Restarted || h.settings.Mode == wal.Replicated {
		for _, id := range h.log.Groups() {
			if h.mark.Restarted && slices.Contains(h.settings.Synced, id) {
				continue
			}
			if err := h.log.Set(id, keyDirty, []byte(h.settings.ID)); err != nil {
				return err
			}
		}
	}
	return h.mark.Acted()
}

// Dirty says whether the replica of a group here may have lost what it has acknowledged.
func (h *Host) Dirty(id uint32) bool {
	under, ok := h.log.Get(id, keyDirty)
	return ok && string(under) == h.settings.ID
}

// trusted fails if this replica must not take part under its ID. In a group without other voters it may: nobody knows better.
func (g *Group) trusted() error {
	if !g.host.Dirty(g.id) {
		return nil
	}
	others, member := 0, false
	for _, s := range g.members[0].Servers {
		if string(s.ID) == g.host.settings.ID {
			member = true
		} else if s.Suffrage == raft.Voter {
			others++
		}
	}
	if !member || others == 0 {
		return nil
	}
	return fmt.Errorf("cannot open group %d as %s: %w", g.id, g.host.settings.ID, ErrDirty)
}
