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
	"dashi/pipeline/audience"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"
	"dashi/shard"
)

// AudienceSizes are the numbers of profiles in audiences of the present program, by their indices in AllAudiences, on all shards. Each shard is asked once;
// if one does not answer the error names it.
func (n *Node) AudienceSizes(ctx context.Context, audiences []int) ([]int64, error) {
	all := n.cookbook.Load().AllAudiences()
	var names []byte
	for _, i := range audiences {
		names = appendBytes(names, []byte(all[i].Name))
	}
	sizes := make([]int64, len(audiences))
	r := readingOf(ctx)
	var far []*question
	for i, h := range n.shards {
		h.mu.RLock()
		here := r.level == readLocal && h.answers
		for k, index := range audiences {
			if here {
				sizes[k] += int64(h.shard.AudienceSize(index))
			}
		}
		h.mu.RUnlock()
		if here {
			n.noteHere(r, h)
		} else {
			far = append(far, &question{kind: askSizes, shard: i, body: names})
		}
	}
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	if err := n.inquire(ctx, r.level, far); err != nil {
		return nil, err
	}
	for _, q := range far {
		r.note(q.by, q.behind)
		for k, src := 0, q.answer; k < len(sizes); k++ {
			size, rest, err := readUvarint(src)
			if err != nil {
				return nil, err
			}
			sizes[k], src = sizes[k]+int64(size), rest
		}
	}
	return sizes, nil
}

// AudienceSize is that of one audience, if all shards are here.
func (n *Node) AudienceSize(i int) (size int64, here bool) {
	for _, h := range n.shards {
		h.mu.RLock()
		if !h.answers {
			h.mu.RUnlock()
			return 0, false
		}
		size += int64(h.shard.AudienceSize(i))
		h.mu.RUnlock()
	}
	return size, true
}

// answerSizes answers askSizes. Body: names of audiences. Answer: the number of profiles in each, 0 for an audience that the shard does not know.
func (h *shardHost) answerSizes(body []byte) (answer []byte, err error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	program := h.shard.Program()
	if program == nil {
		return nil, httpapi.ErrSwitching
	}
	all := program.AllAudiences()
	for len(body) > 0 {
		var name []byte
		if name, body, err = readBytes(body); err != nil {
			return nil, err
		}
		size := 0
		if i := slices.IndexFunc(all, func(d audience.Definition) bool { return d.Name == string(name) }); i >= 0 {
			size = h.shard.AudienceSize(i)
		}
		answer = binary.AppendUvarint(answer, uint64(size))
	}
	return answer, nil
}

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

// Moved is how many have entered and left each audience of the present program, in the order of AllAudiences, in the hours that the shards keep.
func (b httpBackend) Moved(ctx context.Context) ([]httpapi.Moved, error) {
	program := b.cookbook.Load()
	all := make([]httpapi.Moved, len(program.AllAudiences()))
	body := binary.LittleEndian.AppendUint64(nil, program.Hash)
	questions := b.toAll(askMoved, body)
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	r := readingOf(ctx)
	if err := b.inquire(ctx, r.level, questions); err != nil {
		return nil, err
	}
	for _, q := range questions {
		r.note(q.by, q.behind)
		src := q.answer
		for i := range all {
			for _, n := range []*int64{&all[i].Entered, &all[i].Left} {
				v, rest, err := readUvarint(src)
				if err != nil {
					return nil, err
				}
				*n, src = *n+int64(v), rest
			}
		}
	}
	return all, nil
}

// answerMoved answers askMoved: hash of the cookbook; for each of its audiences how many entered and left.
func (h *shardHost) answerMoved(body []byte) (answer []byte, err error) {
	if len(body) != 8 {
		return nil, errAnswer
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if p := h.shard.Program(); p == nil || p.Hash != binary.LittleEndian.Uint64(body) {
		return nil, httpapi.ErrSwitching
	}
	all := make([]httpapi.Moved, len(h.shard.Program().AllAudiences()))
	rest := all
	for _, s := range []*shard.Shard{h.shard, h.shard.Accounts()} {
		if s == nil || s.Program() == nil {
			continue
		}
		sum := rest[:len(s.Program().Audiences)]
		s.EachHour(func(_ int64, audiences []shard.Flow, _ []uint32) {
			for i := range sum {
				sum[i].Entered += int64(audiences[i].Entered)
				sum[i].Left += int64(audiences[i].Left)
			}
		})
		rest = rest[len(sum):]
	}
	for _, moved := range all {
		answer = binary.AppendUvarint(binary.AppendUvarint(answer, uint64(moved.Entered)), uint64(moved.Left))
	}
	return answer, nil
}
