package attribute

import "slices"

// peak is min and max in a window. A row holds the key (see key.go) of the greatest input of its bucket. In the last N
// units a bucket that a later one surpasses or equals can never be the answer again, so only the others are kept: a
// staircase, and the answer is its first step in the window. In a calendar window every bucket is kept.
//
//	row: bucket (6 bytes), key (8)
type peak struct {
	extreme // of and flip, name and type
	*span
}

const peakRow = 14

func (*peak) FixedSize() int   { return 0 }
func (*peak) HasSegment() bool { return true }

func (k *peak) input(in *Input) (key uint64, bucket int64, ok bool) {
	v, ok := valueKey(&in.Value, k.of)
	bucket, good := k.bucket(in.Time)
	return v ^ k.flip, bucket, ok && good && in.Op == Add
}

func (k *peak) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	key, b, ok := k.input(in)
	if !ok {
		return seg
	}
	var r rows
	r.open(seg, peakRow)
	i := r.search(b)
	same := i < r.n && r.bucket(i) == b
	switch {
	case same && get(r.row(i)[6:]) >= key, !k.calendar && i < r.n && get(r.row(i)[6:]) >= key:
		return seg // a bucket as late has as much
	case !same && i == 0 && r.n > 0 && b < k.horizon(r.bucket(r.n-1)):
		return seg
	}
	from, to, drop := i, i, 0
	if same {
		to++
	}
	for !k.calendar && from > 0 && get(r.row(from - 1)[6:]) <= key {
		from--
	}
	if i == r.n && r.n > 0 {
		drop = min(r.search(k.horizon(b)), from)
	}
	if same && from == i { // the very row, and no other one goes
		put(r.row(i)[6:], key)
		return seg
	}
	out, row := r.splice(scratch, drop, from, to, b)
	put(row[6:], key)
	return out
}

func (k *peak) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	var x, y rows
	x.open(seg, peakRow)
	y.open(otherSeg, peakRow)
	if y.n == 0 {
		return seg
	}
	newest := y.bucket(y.n - 1)
	if x.n > 0 {
		newest = max(newest, x.bucket(x.n-1))
	}
	h := k.horizon(newest)
	// From the newest back, so that what a later bucket surpasses is known; then turned round.
	out := slices.Grow(scratch[:0], (x.n+y.n)*peakRow)
	var best uint64
	for i, j := x.n-1, y.n-1; i >= 0 || j >= 0; {
		b, key := int64(-1), uint64(0)
		if i >= 0 {
			b = x.bucket(i)
		}
		if j >= 0 {
			b = max(b, y.bucket(j))
		}
		if b < h {
			break
		}
		if i >= 0 && x.bucket(i) == b {
			key = get(x.row(i)[6:])
			i--
		}
		if j >= 0 && y.bucket(j) == b {
			key = max(key, get(y.row(j)[6:]))
			j--
		}
		if !k.calendar && key <= best && len(out) > 0 {
			continue
		}
		best = key
		out = append(out, zeroRow[:peakRow]...)
		put48(out[len(out)-peakRow:], b)
		put(out[len(out)-8:], key)
	}
	turnRows(out, peakRow)
	return out
}

// turnRows puts rows into the opposite order.
func turnRows(b []byte, width int) {
	var t [32]byte
	for i, j := 0, len(b)-width; i < j; i, j = i+width, j-width {
		copy(t[:width], b[i:])
		copy(b[i:i+width], b[j:])
		copy(b[j:j+width], t[:width])
	}
}

// answer is the key of the window.
func (k *peak) answer(seg []byte, now int64) (key uint64, ok bool) {
	var r rows
	r.open(seg, peakRow)
	from, to := r.within(k.bounds(now))
	if from >= to {
		return 0, false
	}
	return get(r.row(from)[6:]), true
}

func (k *peak) Num(fixed, seg []byte, now int64) (float64, bool) {
	key, ok := k.answer(seg, now)
	if !ok {
		return 0, false
	}
	return keyValue(key^k.flip, k.of), true
}

func (k *peak) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	key, ok := k.answer(seg, now)
	if !ok {
		return appendNull(dst)
	}
	return appendKey(dst, key^k.flip, k.of)
}

func (k *peak) NextChange(fixed, seg []byte, now int64) int64 {
	var r rows
	r.open(seg, peakRow)
	return r.next(k.span, now)
}
