package counted

import (
	"slices"
	"time"

	"dashi/node/httpapi"
	"dashi/shard"
)

// Hour is one in milliseconds.
const Hour = int64(time.Hour / time.Millisecond)

// Flows is what one shard knows of an audience: the hours in which anybody came or went, and its size now; by audience how many are in both.
type Flows struct {
	At       []int64
	Flows    []shard.Flow
	Now      int64
	Both     []int64
	ByEvents bool
	Clock    int64 // of the shard
}

// Read reads what a shard, which the caller holds for reading, has counted of audience i of its program.
func (l *Flows) Read(s *shard.Shard, i int) {
	l.Both = make([]int64, len(s.Program().Audiences))
	l.Now = int64(s.AudienceSize(i))
	s.Overlaps(i, l.Both)
	s.EachHour(func(at int64, audiences []shard.Flow, _ []uint32) {
		if f := audiences[i]; f.Entered+f.Left > 0 {
			l.At, l.Flows = append(l.At, at), append(l.Flows, f)
		}
	})
}

// sizeAt is the size at the end of an hour. In the hours before the first that is known it was what that hour began with.
func (l *Flows) sizeAt(at int64) int64 {
	i, found := slices.BinarySearch(l.At, at)
	if !found {
		i--
	}
	switch {
	case len(l.At) == 0 || i == len(l.At)-1:
		return l.Now
	case i < 0:
		f := l.Flows[0]
		return max(0, int64(f.Size)+int64(f.Left)-int64(f.Entered))
	}
	return int64(l.Flows[i].Size)
}

// AddFlows adds the lines of all shards up, hour by hour from the first to the last that is known, or to now if that is later.
func AddFlows(lines []Flows, now int64) (hours []httpapi.AudienceHour) {
	first, last := int64(-1), now
	for i := range lines {
		if at := lines[i].At; len(at) > 0 {
			if first < 0 || at[0] < first {
				first = at[0]
			}
			last = max(last, at[len(at)-1])
		}
	}
	if first < 0 {
		return nil
	}
	for at := max(first, last-(shard.FlowHours-1)*Hour); at <= last; at += Hour {
		h := httpapi.AudienceHour{At: time.UnixMilli(at).UTC()}
		for i := range lines {
			l := &lines[i]
			h.Size += l.sizeAt(at)
			if k, found := slices.BinarySearch(l.At, at); found {
				h.Entered += int64(l.Flows[k].Entered)
				h.Left += int64(l.Flows[k].Left)
			}
		}
		hours = append(hours, h)
	}
	return hours
}
