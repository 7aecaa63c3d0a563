package status

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dashi/pipeline/say"
	"dashi/ring/gossip"
	"dashi/ring/meta"
)

// SnapshotTrouble names the groups whose last snapshot failed; directory is that of the directory.
func SnapshotTrouble(groups []uint32, directory uint32) string {
	var which []string
	var shards []int
	for _, id := range groups {
		if id == directory {
			which = append(which, "the directory")
		} else {
			shards = append(shards, int(id%meta.MaxShards))
		}
	}
	if len(shards) > 0 {
		which = append(which, shardNames(shards))
	}
	return fmt.Sprintf("the last snapshot of %s failed, and the log grows until one succeeds: see the log of the process", strings.Join(which, " and "))
}

// shardNames lists shards for a person: all when they are few, else the first of them.
func shardNames(shards []int) string {
	const most = 8
	text := "shard "
	if len(shards) > 1 {
		text = "shards "
	}
	for i, s := range shards {
		if i == most {
			return text + fmt.Sprintf(" and %d more", len(shards)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += strconv.Itoa(s)
	}
	return text
}

// StrangerTrouble says which hosts gossip with another key, and which nodes that are away were last at these hosts: nodes with other keys look as if they
// had left.
func StrangerTrouble(hosts []string, members []gossip.Member) (lines []string) {
	for _, host := range hosts {
		var away []string
		for _, m := range members {
			if h, _, _ := net.SplitHostPort(m.Addr); h == host && m.State != gossip.Alive {
				away = append(away, m.ID)
			}
		}
		line := fmt.Sprintf("what gossips from %s has another key than this node: compare gossip.keys", host)
		if len(away) > 0 {
			line += fmt.Sprintf(" (it may be %s)", strings.Join(away, " or "))
		}
		lines = append(lines, line)
	}
	return lines
}

// LeaderTrouble says which shards take no events, one line for all that lack the same.
func LeaderTrouble(shards []Shard) (lines []string) {
	var leaderless, minor []int
	var away []string
	for i := range shards {
		sh := &shards[i]
		if sh.Leader != "" {
			continue
		}
		var silent []string
		for _, r := range sh.Replicas {
			if r.Silent {
				silent = append(silent, r.Node)
			}
		}
		if 2*len(silent) < len(sh.Replicas) {
			leaderless = append(leaderless, i)
			continue
		}
		minor = append(minor, i)
		away = append(away, silent...)
	}
	if len(minor) > 0 {
		slices.Sort(away)
		lines = append(lines, fmt.Sprintf("no majority for %d of %d shards: %s wait for more of %s", len(minor), len(shards), shardNames(minor), strings.Join(slices.Compact(away), ", ")))
	}
	if len(leaderless) > 0 {
		lines = append(lines, fmt.Sprintf("no leader known for %d of %d shards: %s, of which a majority was heard of a moment ago", len(leaderless), len(shards), shardNames(leaderless)))
	}
	return lines
}

// moveStill is how long a move may stand at a step, without its new replica catching up, before a person should look at it.
const moveStill = time.Minute

// MoveWatch knows for how long each move has not got on, as far as this node has seen.
type MoveWatch struct {
	mu    sync.Mutex
	moves map[uint32]standing
}

// standing is a move that stands at a step.
type standing struct {
	meta.Move
	applied uint64 // by the replica that catches up
	since   time.Time
	why     string // why the last attempt at the next step failed; only known on the node that makes it
}

// Look takes note of the moves under way; applied is what a new replica has.
func (w *MoveWatch) Look(moves []meta.Move, applied func(meta.Move) uint64, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := make(map[uint32]standing, len(moves))
	for _, m := range moves {
		at := standing{Move: m, since: now}
		if m.Step == meta.Joined { // while the new replica catches up the move gets on without a step
			at.applied = applied(m)
		}
		if was, ok := w.moves[m.Shard]; ok && was.Move == m && was.applied == at.applied {
			at = was
		}
		next[m.Shard] = at
	}
	w.moves = next
}

// Tried notes how an attempt at the next step of a move ended.
func (w *MoveWatch) Tried(m meta.Move, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, ok := w.moves[m.Shard]; ok && was.Move == m {
		was.why = ""
		if err != nil {
			was.why = err.Error()
		}
		w.moves[m.Shard] = was
	}
}

// Trouble has a line for each of the moves that has stood still for moveStill.
func (w *MoveWatch) Trouble(moves []meta.Move, now time.Time) (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range moves {
		at, ok := w.moves[m.Shard]
		if !ok || at.Move != m || now.Sub(at.since) < moveStill {
			continue
		}
		line := fmt.Sprintf("the move of shard %d%s has stood at %q for %s", m.Shard, fromTo(m), m.Step, say.Span(now.Sub(at.since).Round(time.Second)))
		if at.why != "" {
			line += ": " + at.why
		}
		lines = append(lines, line)
	}
	return lines
}

// fromTo says from which node to which a move is.
func fromTo(m meta.Move) (text string) {
	if m.Remove != (meta.Replica{}) {
		text = " from " + m.Remove.Member
	}
	if m.Add != (meta.Replica{}) {
		text += " to " + m.Add.Member
	}
	return text
}

// lostShown is for how long the status reports records that Kafka deleted. By then somebody has seen it, or an alert on dashi_events_lost_total, which
// stays; a line that never went away would hide the next one.
const lostShown = time.Hour

// LostTrouble says that records were lost lately; empty when none were.
func LostTrouble(lost uint64, last, now time.Time) string {
	if lost == 0 || now.Sub(last) > lostShown {
		return ""
	}
	return fmt.Sprintf("Kafka deleted %s before they were read, the last %s ago: its retention is too short", say.Count(lost, "record"), say.Span(now.Sub(last).Round(time.Second)))
}
