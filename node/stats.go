package node

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"
	"dashi/shard"
)

// AudienceStats adds up what the shards have counted of audience i of the present program, by its index in AllAudiences.
func (b httpBackend) AudienceStats(ctx context.Context, i int) (st httpapi.AudienceStats, err error) {
	cookbook := b.cookbook.Load()
	program, base := cookbook.Program, 0 // base: the index of the program's first audience among all, those of people before those of accounts
	if i >= len(program.Audiences) {
		base = len(program.Audiences)
		program, i = program.Accounts.Program, i-base
	}
	parts, hour, err := b.flows(ctx, program, base > 0, i)
	if err != nil {
		return st, err
	}
	indices := make([]int, len(program.Audiences))
	for k := range indices {
		indices[k] = base + k
	}
	sizes, err := b.AudienceSizes(ctx, indices)
	if err != nil {
		return st, err
	}
	st = httpapi.AudienceStats{Audience: program.Audiences[i].Name, Size: sizes[i],
		Hours: []httpapi.AudienceHour{}, Overlap: []httpapi.AudienceOverlap{}, Activations: []httpapi.ActivationStats{}}
	st.Hours = append(st.Hours, addFlows(parts, hour)...)
	for k := range program.Audiences {
		both := int64(0)
		for j := range parts {
			if k < len(parts[j].Both) {
				both += parts[j].Both[k]
			}
		}
		if k != i && both > 0 {
			st.Overlap = append(st.Overlap, httpapi.AudienceOverlap{Audience: program.Audiences[k].Name, Size: sizes[k], Both: both})
		}
	}
	slices.SortStableFunc(st.Overlap, func(a, b httpapi.AudienceOverlap) int { return cmp.Compare(b.Both, a.Both) })
	for j := range program.Activations {
		if act := &program.Activations[j]; act.Audience == i && (act.Trigger == recipe.OnEnter || act.Trigger == recipe.OnExit) {
			lines, now, err := b.sent(ctx, program, base > 0, j, j+1, true)
			if err != nil {
				return st, err
			}
			sent := describeActivation(program, j, base > 0)
			fillActivation(&sent, lines[0], now)
			st.Activations = append(st.Activations, sent)
		}
	}
	return st, nil
}

// flows asks every shard what it has counted of audience i, and says which hour it is by the clock of the shards.
func (b httpBackend) flows(ctx context.Context, program *recipe.Program, accounts bool, i int) (parts []flowLine, now int64, err error) {
	body := binary.LittleEndian.AppendUint64([]byte{bit(accounts)}, program.Hash)
	body = binary.AppendUvarint(body, uint64(i))
	questions := b.toAll(askFlows, body)
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	r := readingOf(ctx)
	if err := b.inquire(ctx, r.level, questions); err != nil {
		return nil, 0, err
	}
	now = math.MinInt64
	parts = make([]flowLine, len(questions))
	for k, q := range questions {
		if err := json.Unmarshal(q.answer, &parts[k]); err != nil {
			return nil, 0, err
		}
		r.note(q.by, q.behind)
		if parts[k].ByEvents {
			now = max(now, parts[k].Clock)
		}
	}
	if now == math.MinInt64 {
		now = b.now()
	}
	return parts, now - now%hour, nil
}

// answerFlows answers askFlows: whether of accounts (a byte), hash of the cookbook, index of the audience; a flowLine as JSON.
func (m *member) answerFlows(body []byte) ([]byte, error) {
	if len(body) < 10 {
		return nil, errAnswer
	}
	i, _, err := readUvarint(body[9:])
	if err != nil {
		return nil, err
	}
	var line flowLine
	m.mu.RLock()
	s := m.shard
	line.ByEvents, line.Clock = s.ByEvents(), s.Now()
	if body[0] == 1 {
		s = s.Accounts()
	}
	if s != nil && s.Program() != nil && s.Program().Hash == binary.LittleEndian.Uint64(body[1:]) && i < uint64(len(s.Program().Audiences)) {
		line.fill(s, int(i))
	}
	m.mu.RUnlock()
	return say.JSON(&line)
}

// fill reads what a shard has counted of audience i.
func (l *flowLine) fill(s *shard.Shard, i int) {
	l.Both = make([]int64, len(s.Program().Audiences))
	l.Now = int64(s.AudienceSize(i))
	s.Overlaps(i, l.Both)
	s.EachHour(func(at int64, audiences []shard.Flow, _ []uint32) {
		if f := audiences[i]; f.Entered+f.Left > 0 {
			l.At, l.Flows = append(l.At, at), append(l.Flows, f)
		}
	})
}

const hour = int64(time.Hour / time.Millisecond)

// flowLine is what one shard knows of an audience: the hours in which anybody came or went, and its size now; by audience how many are in both.
type flowLine struct {
	At       []int64
	Flows    []shard.Flow
	Now      int64
	Both     []int64
	ByEvents bool
	Clock    int64 // of the shard
}

// sizeAt is the size at the end of an hour. In the hours before the first that is known it was what that hour began with.
func (l *flowLine) sizeAt(at int64) int64 {
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

// addFlows adds the lines of all shards up, hour by hour from the first to the last that is known, or to now if that is later.
func addFlows(lines []flowLine, now int64) (hours []httpapi.AudienceHour) {
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
	for at := max(first, last-(shard.FlowHours-1)*hour); at <= last; at += hour {
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
