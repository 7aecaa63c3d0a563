package node

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

// AudienceStats adds up what the shards have counted of an audience of the present program.
func (b httpBackend) AudienceStats(i int) httpapi.AudienceStats {
	cookbook := b.cookbook.Load()
	program, base := cookbook.Program, 0 // of accounts their own, whose audiences are counted on from those of people
	if i >= len(program.Audiences) {
		base = len(program.Audiences)
		program, i = program.Accounts.Program, i-base
	}
	st := httpapi.AudienceStats{Audience: program.Audiences[i].Name, Size: b.AudienceSize(base + i),
		Hours: []httpapi.AudienceHour{}, Overlap: []httpapi.AudienceOverlap{}, Activations: []httpapi.ActivationStats{}}
	both := make([]int64, len(program.Audiences))
	sent := make([]map[int64]int64, len(program.Activations))
	var flows []flowLine
	for _, m := range b.members {
		line := flowLine{}
		m.mu.RLock()
		s := m.shard
		if base > 0 {
			s = s.Accounts()
		}
		if s != nil && s.Program() != nil && s.Program().Hash == program.Hash {
			line.now = int64(s.AudienceSize(i))
			s.Overlaps(i, both)
			s.EachHour(func(at int64, audiences []shard.Flow, left []uint32) {
				if f := audiences[i]; f.Entered+f.Left > 0 {
					line.at, line.flows = append(line.at, at), append(line.flows, f)
				}
				for j, n := range left {
					if n > 0 {
						if sent[j] == nil {
							sent[j] = map[int64]int64{}
						}
						sent[j][at] += int64(n)
					}
				}
			})
		}
		m.mu.RUnlock()
		flows = append(flows, line)
	}
	st.Hours = append(st.Hours, addFlows(flows, b.statsHour())...)
	for k, n := range both {
		if k != i && n > 0 {
			st.Overlap = append(st.Overlap, httpapi.AudienceOverlap{Audience: program.Audiences[k].Name, Size: b.AudienceSize(base + k), Both: n})
		}
	}
	slices.SortStableFunc(st.Overlap, func(a, b httpapi.AudienceOverlap) int { return cmp.Compare(b.Both, a.Both) })
	for j := range program.Activations {
		if act := &program.Activations[j]; act.Audience == i && (act.Trigger == recipe.OnEnter || act.Trigger == recipe.OnExit) {
			st.Activations = append(st.Activations, activationStats(act, sent[j]))
		}
	}
	return st
}

const hour = int64(time.Hour / time.Millisecond)

// statsHour is the beginning of the present hour, by the clock of the shards.
func (n *Node) statsHour() int64 {
	var st Status
	n.clockStatus(&st)
	now := st.Clock.Now.UnixMilli()
	if st.Clock.Follows == "wall" {
		now = n.now()
	}
	return now - now%hour
}

func activationStats(act *recipe.Activation, sent map[int64]int64) httpapi.ActivationStats {
	a := httpapi.ActivationStats{Activation: act.Name, On: "enter", Hours: []httpapi.ActivationIn{}}
	if act.Trigger == recipe.OnExit {
		a.On = "exit"
	}
	for _, at := range slices.Sorted(maps.Keys(sent)) {
		a.Hours = append(a.Hours, httpapi.ActivationIn{At: time.UnixMilli(at).UTC(), Sent: sent[at]})
		a.Sent += sent[at]
	}
	return a
}

// flowLine is what one shard knows of an audience: the hours in which anybody came or went, and its size now.
type flowLine struct {
	at    []int64
	flows []shard.Flow
	now   int64
}

// sizeAt is the size at the end of an hour. In the hours before the first that is known it was what that hour began with.
func (l *flowLine) sizeAt(at int64) int64 {
	i, found := slices.BinarySearch(l.at, at)
	if !found {
		i--
	}
	switch {
	case len(l.at) == 0 || i == len(l.at)-1:
		return l.now
	case i < 0:
		f := l.flows[0]
		return max(0, int64(f.Size)+int64(f.Left)-int64(f.Entered))
	}
	return int64(l.flows[i].Size)
}

// addFlows adds the lines of all shards up, hour by hour from the first to the last that is known, or to now if that is later.
func addFlows(lines []flowLine, now int64) (hours []httpapi.AudienceHour) {
	first, last := int64(-1), now
	for i := range lines {
		if at := lines[i].at; len(at) > 0 {
			if first < 0 || at[0] < first {
				first = at[0]
			}
			last = max(last, at[len(at)-1])
		}
	}
	if first < 0 {
		return nil
	}
	for at := max(first, last-(shard.FlowHours-1)*hour); at <= last; at += hour {
		h := httpapi.AudienceHour{At: time.UnixMilli(at).UTC()}
		for i := range lines {
			l := &lines[i]
			h.Size += l.sizeAt(at)
			if k, found := slices.BinarySearch(l.at, at); found {
				h.Entered += int64(l.flows[k].Entered)
				h.Left += int64(l.flows[k].Left)
			}
		}
		hours = append(hours, h)
	}
	return hours
}
