package status

import (
	"fmt"
	"strings"
	"time"

	"dashi/pipeline/activation"
	"dashi/pipeline/say"
	"dashi/ring/meta"
	"dashi/shard"
)

// Report is what there is to know about a shard. It travels between nodes as JSON.
type Report struct {
	Shard   shard.Stats
	Wake    int64  // see shard.Shard.Wake
	Index   uint64 // the last entry of its log that has been applied
	Durable uint64 // the last one that would survive a power cut
	Roads   []RoadEnd
	Hash    string // of the state; empty when it was not asked for
}

// RoadEnd are the positions of the messages for another shard.
type RoadEnd struct {
	To          int
	First, Next uint64
}

// FillShards fills in what the reports of all shards say; nil stands for a shard that could not be asked.
func (st *Status) FillShards(all []*Report) {
	for i, r := range all {
		if r == nil {
			st.Shards = append(st.Shards, Shard{ID: uint32(i), Unreachable: true})
			continue
		}
		s := &r.Shard
		sh := Shard{
			ID: uint32(i), Profiles: s.Profiles, Bytes: s.Bytes, Events: s.Events,
			Index: r.Index, Durable: r.Durable, Hash: r.Hash,
			OutboxEntries: s.OutboxEntries, OutboxBytes: s.OutboxBytes, RecentIDs: s.RecentIDs,
		}
		if s.RecentSince > 0 {
			sh.RecentSince = time.UnixMilli(s.RecentSince).UTC()
		}
		st.Shards = append(st.Shards, sh)
		st.Profiles += s.Profiles
		st.Accounts += s.Accounts
		st.Expired += s.Expired
		st.Erased += s.Erased
		st.Memory.Profiles += s.Bytes
		st.Memory.Recent += s.RecentBytes
		st.Events.Applied += s.Events
		st.Events.Repeated += s.Repeated
		st.Activations.Made += s.Activations
		st.Activations.Withheld += s.Withheld
		st.Activations.Shortened += s.Shortened
		st.Activations.Waiting += s.OutboxEntries
		for i, n := range s.Suppressed {
			if n > 0 {
				if st.Activations.Suppressed == nil {
					st.Activations.Suppressed = map[string]uint64{}
				}
				st.Activations.Suppressed[activation.Reason(i+1).String()] += n
			}
		}
		if s.Corrupt > 0 {
			st.Trouble = append(st.Trouble, fmt.Sprintf("shard %d met %s that it could not read back", i, say.Count(s.Corrupt, "event")))
		}
	}
}

// FillClock fills in what the status says of time, today being the time of day, in Unix milliseconds, by which this node goes. The entries of every node move the clock of every shard, which never goes back: a node whose clock is ahead,
// and that no majority corrects, moves it for all; until the time of day has come there, windows and timers stand still. tolerance is how far clocks may differ.
func (st *Status) FillClock(all []*Report, today int64, tolerance time.Duration) {
	st.Clock.Follows = "wall"
	now := int64(shard.NoTime)
	for _, r := range all {
		if r == nil {
			continue
		}
		s := &r.Shard
		if s.ByEvents {
			st.Clock.Follows = "event"
		}
		st.Clock.Timers += s.Timers
		st.Clock.TimerBytes += s.TimerBytes
		st.Clock.Woken += s.Woken
		st.Clock.Late = max(st.Clock.Late, float64(s.Late)/1000)
		now = max(now, s.Now)
	}
	if now > shard.NoTime {
		st.Clock.Now = time.UnixMilli(now).UTC()
		if ahead := time.Duration(now-today) * time.Millisecond; st.Clock.Follows == "wall" && ahead > tolerance {
			st.Trouble = append(st.Trouble, fmt.Sprintf("the time of the shards is %s ahead of the clock of this node, and does not go back: this clock is behind, or that of another node is or was ahead", say.Span(ahead.Round(time.Second))))
		}
	}
}

// recoveryShown is for how long the status says in words that there was a recovery.
const recoveryShown = 24 * time.Hour

// FillRecovery fills in what was recovered after a power loss; r is nil when there was none.
func (st *Status) FillRecovery(r *meta.Recovery, all []*Report) {
	if r == nil {
		return
	}
	p := &Recovery{Since: time.UnixMilli(r.Since).UTC(), Lost: r.Lost}
	for _, c := range r.Cuts {
		p.Gone += c.Gone
	}
	for i, x := range all {
		if x != nil {
			p.Departed += x.Shard.Departed
			p.Remade += x.Shard.Remade
			if x.Shard.Settling {
				p.Settling = append(p.Settling, uint32(i))
			}
		}
	}
	st.PowerLoss = p
	var names []string
	for _, i := range r.Lost {
		names = append(names, fmt.Sprint(i))
	}
	which := "shard " + strings.Join(names, ", ")
	if len(r.Lost) > 4 {
		which = fmt.Sprintf("%d shards", len(r.Lost))
	}
	if r.Until == 0 {
		st.Recovery = fmt.Sprintf("recovering from power loss since %s: %s had lost the majority", p.Since.Format(time.RFC3339), which)
		return
	}
	p.Until = time.UnixMilli(r.Until).UTC()
	if time.Since(p.Until) < recoveryShown {
		st.Recovery = fmt.Sprintf("recovered from power loss at %s: %s had lost the majority; all shards went on from what was left, and gave up %s to agree; what they lost is read from Kafka again; %s of it had left already, %d of these were made again and held back",
			p.Until.Format(time.RFC3339), which, say.Count(p.Gone, "more entry"), say.Count(p.Departed, "activation"), p.Remade)
	}
	if len(p.Settling) > 0 {
		st.Recovery += fmt.Sprintf("; not told yet which activations have left: %s", say.Count(len(p.Settling), "shard"))
	}
}
