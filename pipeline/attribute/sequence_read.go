package attribute

func (k *sequence) Num(fixed, seg []byte, now int64) (float64, bool) {
	if k.Type() == Number && good(fixed, now) {
		return float64(get(fixed[16:]) >> 32), true
	}
	s, seen := k.shownAt(fixed, seg, now)
	switch k.show {
	case "count":
		return float64(s.count), seen
	case "last_at":
		return float64(s.lastAt), s.lastAt >= 0
	}
	return 0, false
}

func (k *sequence) Truth(fixed, seg []byte, now int64) (v, ok bool) {
	s, seen := k.shownAt(fixed, seg, now)
	switch k.show {
	case "complete":
		return s.complete > 0, seen
	case "open":
		return s.open > 0, seen
	}
	return false, false
}

func (*sequence) Str(fixed, seg []byte, now int64) ([]byte, bool) { return nil, false }

func (k *sequence) NextChange(fixed, seg []byte, now int64) int64 {
	if good(fixed, now) {
		if next := get(fixed[8:]); next != ^uint64(0) {
			return lateTime(next)
		}
		return never
	}
	s, _ := k.shownAt(fixed, seg, now)
	return s.next
}

func (k *sequence) Elements(fixed, seg []byte, now int64) Elements {
	if k.Type() != Set {
		return Elements{}
	}
	e := Elements{kind: Set, sequence: k, now: now}
	k.open(&e.window.g, seg)
	return e
}

// nextKey goes to the next key that is complete, or open.
func (k *sequence) nextKey(e *Elements) bool {
	var room [MaxStages]reach
	m, one := matcher{at: room[:len(k.stages)]}, run{}
	for g := &e.window.g; e.i < g.keys.n; {
		row := e.i
		e.i++
		if k.run(g.cellsOf(row), e.now, &m, &one); k.shows(&one) {
			e.Value = g.keys.str(row)
			e.Time = max(one.lastAt, 0)
			return true
		}
	}
	return false
}

func (k *sequence) shows(r *run) bool {
	return k.show == "complete_keys" && r.complete > 0 || k.show == "open_keys" && r.open > 0
}

func (k *sequence) Len(fixed, seg []byte, now int64) int {
	s, _ := k.shownAt(fixed, seg, now)
	switch k.show {
	case "complete_keys":
		return int(s.complete)
	case "open_keys":
		return int(s.open)
	}
	return 0
}

func (k *sequence) Find(fixed, seg, key []byte, now int64) (float64, bool) {
	var g groups
	k.open(&g, seg)
	row, known := g.keys.search(key)
	if !known {
		return 0, false
	}
	var room [MaxStages]reach
	m, one := matcher{at: room[:len(k.stages)]}, run{}
	if k.run(g.cellsOf(row), now, &m, &one); k.shows(&one) {
		return 1, true
	}
	return 0, false
}

func (k *sequence) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	switch k.Type() {
	case Number:
		return appendNum(dst, k, fixed, seg, now)
	case Time:
		ms, ok := k.Num(fixed, seg, now)
		if !ok {
			return appendNull(dst)
		}
		return appendTimeString(dst, int64(ms))
	case Bool:
		v, ok := k.Truth(fixed, seg, now)
		if !ok {
			return appendNull(dst)
		}
		return appendBool(dst, v)
	}
	var g groups
	if k.open(&g, seg); g.n == 0 {
		return appendNull(dst)
	}
	dst = append(dst, '[')
	for e := k.Elements(fixed, seg, now); e.Next(); {
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = AppendQuoted(dst, e.Value)
	}
	return append(dst, ']')
}

func (k *sequence) truncated(fixed, seg []byte, now int64) bool {
	var g groups
	k.open(&g, seg)
	return g.n >= k.limit
}
