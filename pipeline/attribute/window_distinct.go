package attribute

import "slices"

// several is distinct in a window: exact, up to a limit. In the last N units a row is the hash of a value and the latest
// bucket in which it was seen; in a calendar window there is a row for every bucket in which it was. The limit keeps the
// rows of the latest buckets, of the same bucket those of the greatest hashes: for the reasons in set.go that is exact
// under Merge. Then there are at least so many; see Truncated.
//
//	row: bucket (6 bytes), hash (8); in the order of buckets, then of hashes
type several struct {
	distinct // hash
	*span
	limit int
}

const severalRow = 14

func (*several) FixedSize() int { return 0 }

// place is the row of a bucket and hash, or that before which they belong.
func (k *several) place(r *rows, b int64, h uint64) (i int, found bool) {
	lo, hi := 0, r.n
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if c := r.bucket(m); c < b || c == b && get(r.row(m)[6:]) < h {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < r.n && r.bucket(lo) == b && get(r.row(lo)[6:]) == h
}

func (k *several) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	h, ok := k.hash(in)
	b, good := k.bucket(in.Time)
	if !ok || !good {
		return seg
	}
	var r rows
	r.open(seg, severalRow)
	at, found := k.place(&r, b, h)
	if found {
		return seg
	}
	old := -1
	if !k.calendar {
		if old = findHash(&r, h); old >= at {
			return seg // seen later
		}
	}
	if r.n > 0 && b < k.horizon(r.bucket(r.n-1)) || old < 0 && r.n >= k.limit && at == 0 {
		return seg
	}
	drop := 0
	if at == r.n && r.n > 0 {
		drop = r.search(k.horizon(b))
	}
	if old < drop {
		old = -1 // goes with the dropped ones
	}
	if old < 0 && r.n-drop >= k.limit {
		drop++
	}
	if old < 0 {
		out, row := r.splice(scratch, drop, at, at, b)
		put(row[6:], h)
		return out
	}
	if drop > 0 {
		out, row := r.splice(scratch, drop, at, at, b)
		put(row[6:], h)
		return slices.Delete(out, (old-drop)*severalRow, (old-drop+1)*severalRow)
	}
	// The row moves up: those in between move down by one.
	copy(seg[old*severalRow:], seg[(old+1)*severalRow:at*severalRow])
	row := r.row(at - 1)
	put48(row, b)
	put(row[6:], h)
	return seg
}

// findHash is the row with a hash, or -1.
func findHash(r *rows, h uint64) int {
	for at := (r.n-1)*r.width + 6; at >= 0; at -= r.width {
		if get(r.seg[at:]) == h {
			return at / r.width
		}
	}
	return -1
}

func (k *several) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	var x, y, sofar rows
	x.open(seg, severalRow)
	y.open(otherSeg, severalRow)
	if y.n == 0 {
		return seg
	}
	newest := y.bucket(y.n - 1)
	if x.n > 0 {
		newest = max(newest, x.bucket(x.n-1))
	}
	horizon := k.horizon(newest)
	// From the newest back: the first time that a hash is met is the latest.
	out := slices.Grow(scratch[:0], (x.n+y.n)*severalRow)
	for i, j := x.n-1, y.n-1; (i >= 0 || j >= 0) && len(out) < k.limit*severalRow; {
		var row []byte
		switch {
		case i < 0:
			row, j = y.row(j), j-1
		case j < 0:
			row, i = x.row(i), i-1
		default:
			a, b := x.row(i), y.row(j)
			c := get48(a) - get48(b)
			if c == 0 && get(a[6:]) < get(b[6:]) {
				c = -1
			}
			if c == 0 && get(a[6:]) == get(b[6:]) {
				j--
			}
			if c >= 0 {
				row, i = a, i-1
			} else {
				row, j = b, j-1
			}
		}
		if get48(row) < horizon {
			break
		}
		if sofar.open(out, severalRow); !k.calendar && findHash(&sofar, get(row[6:])) >= 0 {
			continue
		}
		out = append(out, row...)
	}
	turnRows(out, severalRow)
	return out
}

func (k *several) Num(fixed, seg []byte, now int64) (float64, bool) {
	var r rows
	r.open(seg, severalRow)
	from, to := r.within(k.bounds(now))
	return float64(to - from), r.n > 0
}

func (k *several) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	return appendNum(dst, k, fixed, seg, now)
}

func (k *several) NextChange(fixed, seg []byte, now int64) int64 {
	var r rows
	r.open(seg, severalRow)
	return r.next(k.span, now)
}

// truncated says whether there may be more in the window than the limit lets the state hold.
func (k *several) truncated(fixed, seg []byte, now int64) bool {
	var r rows
	r.open(seg, severalRow)
	from, _ := r.within(k.bounds(now))
	return r.n >= k.limit && from == 0
}
