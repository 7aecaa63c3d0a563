package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"

	"dashi/node/counted"
	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"
)

// Activations is what has been counted of the activations of the present program, those of accounts after those of people. With a name it is only those of
// that name, with hours; with an empty one all, without hours.
func (b httpBackend) Activations(ctx context.Context, name string) ([]httpapi.ActivationStats, error) {
	cookbook := b.cookbook.Load()
	all := []httpapi.ActivationStats{}
	programs := []*recipe.Program{cookbook.Program}
	if cookbook.Accounts != nil {
		programs = append(programs, cookbook.Accounts.Program)
	}
	for of, p := range programs {
		from, to := 0, len(p.Activations)
		if name != "" {
			if from = slices.IndexFunc(p.Activations, func(a recipe.Activation) bool { return a.Name == name }); from < 0 {
				continue
			}
			to = from + 1
		}
		lines, now, err := b.sent(ctx, p, of == 1, from, to, name != "")
		if err != nil {
			return nil, err
		}
		for j := from; j < to; j++ {
			all = append(all, counted.ActivationStats(p, j, of == 1, lines[j-from], now))
		}
	}
	return all, nil
}

// sent asks every shard for its lines about the activations [from, to) of a program: lines[k] are those about activation from+k. now is the beginning of the
// present hour by the clock of the shards, in milliseconds.
func (b httpBackend) sent(ctx context.Context, p *recipe.Program, accounts bool, from, to int, hours bool) (lines [][]counted.Sent, now int64, err error) {
	body := binary.LittleEndian.AppendUint64([]byte{bit(accounts), bit(hours)}, p.Hash)
	body = binary.LittleEndian.AppendUint64(body, uint64(b.now()))
	body = binary.AppendUvarint(binary.AppendUvarint(body, uint64(from)), uint64(to))
	questions := b.toAll(askSent, body)
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	r := readingOf(ctx)
	if err := b.inquire(ctx, r.level, questions); err != nil {
		return nil, 0, err
	}
	lines = make([][]counted.Sent, to-from)
	for _, q := range questions {
		var part struct {
			Clock int64
			Lines []counted.Sent
		}
		if err := json.Unmarshal(q.answer, &part); err != nil {
			return nil, 0, err
		}
		r.note(q.by, q.behind)
		now = max(now, part.Clock)
		for k := range min(len(lines), len(part.Lines)) {
			lines[k] = append(lines[k], part.Lines[k])
		}
	}
	return lines, now - now%counted.Hour, nil
}

// answerSent answers askSent: whether of accounts, whether by the hour (a byte each), hash of the cookbook, the clock of who asks, the first activation and the
// one after the last; the shard's clock and a sentLine of each as JSON. A shard with another cookbook has none.
func (h *shardHost) answerSent(body []byte) ([]byte, error) {
	if len(body) < 20 {
		return nil, errAnswer
	}
	accounts, hours, hash := body[0] == 1, body[1] == 1, binary.LittleEndian.Uint64(body[2:])
	clock := int64(binary.LittleEndian.Uint64(body[10:]))
	from, rest, err := readUvarint(body[18:])
	if err != nil {
		return nil, err
	}
	to, _, err := readUvarint(rest)
	if err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := h.shard
	if s.ByEvents() {
		clock = s.Now()
	}
	if accounts {
		s = s.Accounts()
	}
	answer := struct {
		Clock int64
		Lines []counted.Sent
	}{Clock: clock}
	if s != nil && s.Program() != nil && s.Program().Hash == hash && from <= to && to <= uint64(len(s.Program().Activations)) {
		answer.Lines = counted.ReadSent(s, int(from), int(to), clock-clock%counted.Hour, hours)
	}
	return say.JSON(&answer)
}
