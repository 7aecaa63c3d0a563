package attribute

import "bytes"

func (k *sequence) Num(fixed, seg []byte, now int64) (float64, bool) {
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
	s, _ := k.shownAt(fixed, seg, now)
	return s.next
}

func (k *sequence) Elements(fixed, seg []byte, now int64) Elements {
	if k.Type() != Set {
		return Elements{}
	}
	return Elements{t: k.open(seg), kind: Set, sequence: k, now: now}
}

// nextKey goes to the next key that is complete, or open.
func (k *sequence) nextKey(e *Elements) bool {
	var m matcher
	for e.i < e.t.n {
		first := e.i
		var one run
		one, e.i = k.run(&e.t, first, e.now, &m)
		if k.shows(&one) {
			e.Value = e.t.str(first)
			e.Time = max(one.lastAt, 0)
			return true
		}
	}
	return false
}

func (k *sequence) shows(r *run) bool {
	return k.show == "complete_keys" && r.complete || k.show == "open_keys" && r.open
}

func (k *sequence) Len(fixed, seg []byte, now int64) (n int) {
	for e := k.Elements(fixed, seg, now); e.Next(); {
		n++
	}
	return n
}

func (k *sequence) Find(fixed, seg, key []byte, now int64) (float64, bool) {
	for e := k.Elements(fixed, seg, now); e.Next(); {
		if bytes.Equal(e.Value, key) {
			return 1, true
		}
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
	if t := k.open(seg); t.n == 0 {
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
	t := k.open(seg)
	return t.n >= k.limit
}
