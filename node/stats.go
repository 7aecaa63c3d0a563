package node

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"

	"dashi/node/counted"
	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"
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
	st.Hours = append(st.Hours, counted.AddFlows(parts, hour)...)
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
			st.Activations = append(st.Activations, counted.ActivationStats(program, j, base > 0, lines[0], now))
		}
	}
	return st, nil
}

// flows asks every shard what it has counted of audience i, and says which hour it is by the clock of the shards.
func (b httpBackend) flows(ctx context.Context, program *recipe.Program, accounts bool, i int) (parts []counted.Flows, now int64, err error) {
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
	parts = make([]counted.Flows, len(questions))
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
	return parts, now - now%counted.Hour, nil
}

// answerFlows answers askFlows: whether of accounts (a byte), hash of the cookbook, index of the audience; a flowLine as JSON.
func (h *shardHost) answerFlows(body []byte) ([]byte, error) {
	if len(body) < 10 {
		return nil, errAnswer
	}
	i, _, err := readUvarint(body[9:])
	if err != nil {
		return nil, err
	}
	var line counted.Flows
	h.mu.RLock()
	s := h.shard
	line.ByEvents, line.Clock = s.ByEvents(), s.Now()
	if body[0] == 1 {
		s = s.Accounts()
	}
	if s != nil && s.Program() != nil && s.Program().Hash == binary.LittleEndian.Uint64(body[1:]) && i < uint64(len(s.Program().Audiences)) {
		line.Read(s, int(i))
	}
	h.mu.RUnlock()
	return say.JSON(&line)
}
