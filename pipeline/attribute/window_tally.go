package attribute

import (
	"bytes"
	"encoding/binary"
)

// shelf is tally in a window: a row, a cell, for every key and bucket in which it came. The limit keeps the cells of the
// latest buckets, of the same bucket those of the greatest keys. That is exact, as in tally.go: cells only ever come, so
// one that is kept was never dropped before. With fewer cells than the limit the tally is complete; see Truncated.
//
//	fixed      uint64 the newest bucket + 1, uint64 the oldest + 1; 0 when there is none
//	table row  bucket (6 bytes), number in micro-units (int96), end of the key; in the order of keys, then of buckets
type shelf struct {
	*span
	limit, top int
}

const shelfRow = 22

func (*shelf) Name() string     { return "tally" }
func (*shelf) Type() Type       { return Tally }
func (*shelf) FixedSize() int   { return 16 }
func (*shelf) HasSegment() bool { return true }

func (k *shelf) accepts(in *Input) bool {
	_, ok := k.bucket(in.Time)
	return ok && (&tally{}).accepts(in)
}

func (k *shelf) open(seg []byte) table { return open(seg, shelfRow, k.limit) }

func (k *shelf) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	b, _ := k.bucket(in.Time)
	by := extend(toMicro(in.By))
	t := k.open(seg)
	at, found := t.cell(in.Value.Str, b)
	if found {
		row := t.row(at)
		put96(row[6:], get96(row[6:]).add(by))
		return seg
	}
	newest, least, drop := int64(get(fixed))-1, int64(get(fixed[8:]))-1, -1
	switch {
	case t.n > 0 && b < k.horizon(newest):
		return seg
	case t.n > 0 && b > newest:
		if h := k.horizon(b); least < h {
			kept := t.without(h, scratch)
			rest := k.open(kept)
			at, _ = rest.cell(in.Value.Str, b)
			// What is left has room for one more: the new table is written behind it.
			out, row := rest.splice(kept[len(kept):], -1, at, in.Value.Str)
			k.fill(out, row, b, by)
			k.note(fixed, out)
			return out
		}
		fallthrough
	case t.n >= k.limit:
		if t.n >= k.limit {
			if _, _, drop = t.extent(); b < least || b == least && at <= drop {
				return seg
			}
		}
	}
	out, row := t.splice(scratch, drop, at, in.Value.Str)
	k.fill(out, row, b, by)
	if drop >= 0 {
		k.note(fixed, out)
		return out
	}
	put(fixed, uint64(max(newest, b)+1))
	if t.n == 0 || b < least {
		put(fixed[8:], uint64(b+1))
	}
	return out
}

// note writes the fixed part of a table.
func (k *shelf) note(fixed, seg []byte) {
	t := k.open(seg)
	least, newest, _ := t.extent()
	put(fixed, uint64(newest+1))
	put(fixed[8:], uint64(least+1))
}

func (k *shelf) fill(out []byte, row int, b int64, by int128) {
	r := out[header+row*shelfRow:]
	put48(r, b)
	put96(r[6:], by)
	putHeader(out, int(binary.LittleEndian.Uint16(out)), false, 0)
}

func (k *shelf) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	x, y := k.open(seg), k.open(otherSeg)
	if y.n == 0 {
		return seg
	}
	out := joinCells(&x, &y, scratch, k.horizon(int64(max(get(fixed), get(otherFixed)))-1), func(row, other []byte) {
		put96(row[6:], get96(row[6:]).add(get96(other[6:])))
	})
	if out.n > k.limit {
		out.keepGreatest(k.limit, false, cellRank)
	}
	merged := out.finish(false, 0)
	k.note(fixed, merged)
	return merged
}

// shown goes through the keys that have a cell in the window.
type shown struct {
	t           table
	first, last int64
	i           int // the next row
	row         int // one of the key's
	number      int128
}

func (k *shelf) shown(seg []byte, now int64) shown {
	first, last := k.bounds(now)
	return shown{t: k.open(seg), first: first, last: last}
}

func (s *shown) next() bool {
	for s.i < s.t.n {
		s.row, s.number = s.i, int128{}
		key, any := s.t.str(s.i), false
		for s.i < s.t.n && (s.i == s.row || bytes.Equal(s.t.str(s.i), key)) {
			row := s.t.row(s.i)
			if b := get48(row); b >= s.first && b <= s.last {
				any = true
				s.number = s.number.add(get96(row[6:]))
			}
			s.i++
		}
		if any {
			return true
		}
	}
	return false
}

func (*shelf) Num(fixed, seg []byte, now int64) (float64, bool) { return 0, false }
func (*shelf) Truth(fixed, seg []byte, now int64) (v, ok bool)  { return false, false }

// Str is the favourite, as of tally.
func (k *shelf) Str(fixed, seg []byte, now int64) ([]byte, bool) {
	best, number := -1, int128{}
	s := k.shown(seg, now)
	for s.next() {
		if best < 0 || s.number.compare(number) > 0 {
			best, number = s.row, s.number
		}
	}
	if best < 0 {
		return nil, false
	}
	return s.t.str(best), true
}

func (k *shelf) Len(fixed, seg []byte, now int64) int {
	n := 0
	for s := k.shown(seg, now); s.next(); {
		n++
	}
	return n
}

func (k *shelf) Find(fixed, seg, key []byte, now int64) (float64, bool) {
	s := k.shown(seg, now)
	s.i, _ = s.t.cell(key, 0)
	if s.i == s.t.n || !bytes.Equal(s.t.str(s.i), key) || !s.next() || !bytes.Equal(s.t.str(s.row), key) {
		return 0, false
	}
	return s.number.over(micro), true
}

func (k *shelf) Elements(fixed, seg []byte, now int64) Elements {
	return Elements{window: k.shown(seg, now), kind: Tally}
}

func (k *shelf) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	if t := k.open(seg); t.n == 0 {
		return appendNull(dst)
	}
	dst = append(dst, '{')
	if k.top == 0 {
		for s := k.shown(seg, now); s.next(); {
			dst = appendEntry(dst, s.t.str(s.row), s.number)
		}
		return append(dst, '}')
	}
	rank, row, number := 0, 0, int128{}
	for rank < k.top {
		best, most := -1, int128{}
		for s := k.shown(seg, now); s.next(); {
			if rank > 0 {
				if c := s.number.compare(number); c > 0 || c == 0 && s.row <= row {
					continue // had its turn
				}
			}
			if best < 0 || s.number.compare(most) > 0 {
				best, most = s.row, s.number
			}
		}
		if best < 0 {
			break
		}
		rank, row, number = rank+1, best, most
		t := k.open(seg)
		dst = appendEntry(dst, t.str(best), most)
	}
	return append(dst, '}')
}

func (k *shelf) NextChange(fixed, seg []byte, now int64) int64 {
	first, _ := k.bounds(now)
	if least := int64(get(fixed[8:])) - 1; least >= first { // nothing has left yet
		return k.next(least, now)
	}
	least, t := int64(never), k.open(seg)
	for i := range t.n {
		if b := get48(t.row(i)); b >= first {
			least = min(least, b)
		}
	}
	if least == never {
		return never
	}
	return k.next(least, now)
}

func (k *shelf) truncated(fixed, seg []byte, now int64) bool {
	t := k.open(seg)
	first, _ := k.bounds(now)
	return t.n >= k.limit && int64(get(fixed[8:]))-1 >= first
}
