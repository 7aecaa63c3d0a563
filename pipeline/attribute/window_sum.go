package attribute

import (
	"math"
	"slices"
)

// never is NextChange of a state that does not change by itself.
const never = math.MaxInt64

// meter is count, sum and avg in a window. A row holds what came up to and including its bucket since the first row, as a
// running total: reading any stretch takes two rows, a late input adds to all rows from its own on.
//
//	row: bucket (6 bytes); for count and avg the number of inputs (6); for sum and avg their sum in micro-units (int96)
type meter struct {
	scalar
	*span
	counts, sums bool
}

func (k *meter) Name() string {
	switch {
	case !k.sums:
		return "count"
	case !k.counts:
		return "sum"
	}
	return "avg"
}

func (*meter) Type() Type       { return Number }
func (*meter) FixedSize() int   { return 0 }
func (*meter) HasSegment() bool { return true }

func (k *meter) width() int {
	w := 6
	if k.counts {
		w += 6
	}
	if k.sums {
		w += 12
	}
	return w
}

// gain is what one input, or the difference of two rows, amounts to.
type gain struct {
	n   int64
	sum int128
}

func (g gain) add(o gain) gain  { return gain{g.n + o.n, g.sum.add(o.sum)} }
func (g gain) less(o gain) gain { return gain{g.n - o.n, g.sum.add(o.sum.negate())} }

func (k *meter) load(row []byte) (g gain) {
	if k.counts {
		g.n = int64(get(row[4:]) >> 16)
		row = row[6:]
	}
	if k.sums {
		g.sum = get96(row[6:])
	}
	return g
}

func (k *meter) store(row []byte, g gain) {
	row = row[6:]
	if k.counts {
		put48(row, g.n)
		row = row[6:]
	}
	if k.sums {
		put96(row, g.sum)
	}
}

// before is the running total in front of row i.
func (k *meter) before(r *rows, i int) (g gain) {
	if i > 0 {
		g = k.load(r.row(i - 1))
	}
	return g
}

func (k *meter) input(in *Input) (g gain, bucket int64, ok bool) {
	g.n = 1
	if k.sums {
		v, good := summable(in)
		if !good {
			return g, 0, false
		}
		g.sum = extend(v)
	}
	bucket, ok = k.bucket(in.Time)
	return g, bucket, ok && in.Op == Add
}

func (k *meter) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	g, b, ok := k.input(in)
	if !ok {
		return seg
	}
	var r rows
	r.open(seg, k.width())
	i := r.n // the row in front of which the bucket belongs, or that it is
	if i > 0 && b < r.bucket(i-1) {
		i = r.search(b)
	}
	if i == r.n && i > 0 && r.bucket(i-1) == b {
		i--
	}
	if i < r.n && r.bucket(i) == b {
		k.shift(seg[i*r.width:], g)
		return seg
	}
	if i == 0 && r.n > 0 && b < k.horizon(r.bucket(r.n-1)) {
		return seg
	}
	drop := 0
	if i == r.n && r.n > 0 {
		drop = r.search(k.horizon(b))
	}
	base, total := k.before(&r, drop), k.before(&r, i).add(g)
	var out, row []byte
	if drop == 1 && i == r.n { // one goes, one comes
		copy(seg, seg[r.width:])
		out, row = seg, r.row(i-1)
		put48(row, b)
	} else {
		out, row = r.splice(scratch, drop, i, i, b)
	}
	k.store(row, total.less(base))
	if drop > 0 {
		k.shift(out[:(i-drop)*r.width], gain{}.less(base))
	}
	k.shift(out[(i-drop+1)*r.width:], g.less(base))
	return out
}

// shift adds to the running totals of rows.
func (k *meter) shift(rows []byte, by gain) {
	if !k.sums {
		for more := uint64(by.n) << 16; len(rows) >= 12; rows = rows[12:] {
			put(rows[4:], get(rows[4:])+more) // below it are two bytes of the bucket
		}
		return
	}
	for w := k.width(); len(rows) >= w; rows = rows[w:] {
		k.store(rows, k.load(rows).add(by))
	}
}

func (k *meter) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	var x, y rows
	x.open(seg, k.width())
	y.open(otherSeg, k.width())
	if y.n == 0 {
		return seg
	}
	newest := y.bucket(y.n - 1)
	if x.n > 0 {
		newest = max(newest, x.bucket(x.n-1))
	}
	h := k.horizon(newest)
	i, j := x.search(h), y.search(h)
	baseX, baseY := k.before(&x, i), k.before(&y, j)
	var g, o gain
	out := slices.Grow(scratch[:0], (x.n+y.n)*x.width)
	for i < x.n || j < y.n {
		b := int64(never)
		if i < x.n {
			b = x.bucket(i)
		}
		if j < y.n {
			b = min(b, y.bucket(j))
		}
		if i < x.n && x.bucket(i) == b {
			g = k.load(x.row(i)).less(baseX)
			i++
		}
		if j < y.n && y.bucket(j) == b {
			o = k.load(y.row(j)).less(baseY)
			j++
		}
		out = append(out, zeroRow[:x.width]...)
		row := out[len(out)-x.width:]
		put48(row, b)
		k.store(row, g.add(o))
	}
	return out
}

// total is what came in the window.
func (k *meter) total(seg []byte, now int64) (g gain, ok bool) {
	var r rows
	r.open(seg, k.width())
	from, to := r.within(k.bounds(now))
	if !k.sums {
		g.n = k.before(&r, to).n - k.before(&r, from).n
		return g, r.n > 0
	}
	return k.before(&r, to).less(k.before(&r, from)), r.n > 0
}

// Num is 0 for a count and a sum when inputs were seen but none lies in the window.
func (k *meter) Num(fixed, seg []byte, now int64) (float64, bool) {
	g, ok := k.total(seg, now)
	switch {
	case !k.sums:
		return float64(g.n), ok
	case !k.counts:
		return g.sum.over(micro), ok
	case g.n <= 0:
		return 0, false
	}
	return g.sum.over(uint64(g.n) * micro), true
}

func (k *meter) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	return appendNum(dst, k, fixed, seg, now)
}

func (k *meter) NextChange(fixed, seg []byte, now int64) int64 {
	var r rows
	r.open(seg, k.width())
	return r.next(k.span, now)
}
