package attribute

// shelf is tally in a window: a cell for every key and bucket in which it came. The limit keeps the cells of the
// latest buckets, of the same bucket those of the greatest keys. That is exact, as in tally.go: cells only ever come, so
// one that is kept was never dropped before. With fewer cells than the limit the tally is complete; see Truncated.
//
//	fixed    uint64 the newest bucket + 1, 0 when there is none; uint48 the oldest + 1, uint16 how much later the next that is there is, 0 when none is
//	segment  groups; a cell is the bucket (uint48) and the number in micro-units (int96)
type shelf struct {
	*span
	limit, top int
}

const shelfCell = 18

func (*shelf) Name() string     { return "tally" }
func (*shelf) Type() Type       { return Tally }
func (*shelf) FixedSize() int   { return 16 }
func (*shelf) HasSegment() bool { return true }

// open is groups.open. Cells come with most inputs, so there is room to spare for them.
func (k *shelf) open(g *groups, seg []byte) {
	g.spare = true
	g.open(seg, shelfCell, k.limit)
}

func (k *shelf) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	b, ok := k.bucket(in.Time)
	if !ok || !(*tally)(nil).accepts(in) {
		return seg
	}
	by := extend(toMicro(in.By))
	var g groups
	k.open(&g, seg)
	p := g.search(in.Value.Str, b)
	if p.found {
		cell := g.cell(p.cell)
		put96(cell[6:], get96(cell[6:]).add(by))
		return seg
	}
	newest, drop, last := int64(get(fixed))-1, -1, 0
	least, second := oldestBuckets(fixed)
	if b < newest && b < k.horizon(newest) {
		return seg
	}
	left, horizon := false, int64(0)
	if g.n > 0 && b > newest {
		horizon = k.horizon(b)
		left = least < horizon
	}
	switch {
	case left: // what is left has room for one more: that is written behind it
		kept := g.from(scratch, horizon, 0)
		scratch = kept[len(kept):]
		g = groups{}
		k.open(&g, kept)
		p = g.search(in.Value.Str, b)
	case g.n >= k.limit:
		var first int
		if _, last, first = g.oldest(); b < least || b == least && p.cell <= first {
			return seg
		}
		drop = first
	}
	out, cell := g.splice(scratch, p, in.Value.Str, drop, last)
	put48(cell, b)
	put96(cell[6:], by)
	put(fixed, uint64(max(newest, b)+1))
	switch {
	case left || drop >= 0:
		k.open(&g, out)
		g.putOldest(fixed)
	case g.n == 0:
		putOldest(fixed, b, never)
	case b < least:
		putOldest(fixed, b, least)
	case b > least && b < second && (second < never || newest == least): // else an earlier version wrote it, which did not say the second
		putOldest(fixed, least, b)
	}
	return out
}

// oldestBuckets are the oldest bucket and the next that is there, never when none is: of a state in use the first lies in front of the window, where it stays for
// a day, and the second is the next to leave.
func oldestBuckets(fixed []byte) (b, second int64) {
	v := get(fixed[8:])
	b, second = int64(v&mask48)-1, never
	if v >>= 48; v > 0 {
		second = b + int64(v)
	}
	return b, second
}

func putOldest(fixed []byte, b, second int64) {
	v := uint64(b + 1)
	if second != never {
		v |= uint64(second-b) << 48 // fewer than MaxBuckets
	}
	put(fixed[8:], v)
}

func (g *groups) putOldest(fixed []byte) {
	b, _, _ := g.oldest()
	putOldest(fixed, b, g.firstFrom(b+1))
}

func (k *shelf) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	var x, y, g groups
	k.open(&x, seg)
	k.open(&y, otherSeg)
	if y.n == 0 {
		return seg
	}
	horizon := k.horizon(int64(max(get(fixed), get(otherFixed))) - 1)
	merged := joinGroups(&x, &y, scratch, horizon, k.limit, func(cell, other []byte) {
		put96(cell[6:], get96(cell[6:]).add(get96(other[6:])))
	})
	k.open(&g, merged)
	put(fixed, uint64(g.newest()+1))
	g.putOldest(fixed)
	return merged
}

// shown goes through the keys that have a cell in the window.
type shown struct {
	g           groups
	first, last int64
	row         int // of the key
	number      int128
}

func (k *shelf) shown(seg []byte, now int64) (s shown) {
	s.row = -1
	s.first, s.last = k.bounds(now)
	k.open(&s.g, seg)
	return s
}

func (s *shown) next() bool {
	for s.row++; s.row < s.g.keys.n; s.row++ {
		if s.sum() {
			return true
		}
	}
	return false
}

// sum adds what the key has in the window, and says whether it has anything.
func (s *shown) sum() (any bool) {
	s.number = int128{}
	for from, to := s.g.of(s.row); from < to; from++ {
		if b := s.g.at(from); b >= s.first && b <= s.last {
			any = true
			s.number = s.number.add(get96(s.g.cell(from)[6:]))
		}
	}
	return any
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
	return s.g.keys.str(best), true
}

func (k *shelf) Len(fixed, seg []byte, now int64) int {
	n := 0
	for s := k.shown(seg, now); s.next(); {
		n++
	}
	return n
}

func (k *shelf) Find(fixed, seg, key []byte, now int64) (float64, bool) {
	s, known := k.shown(seg, now), false
	if s.row, known = s.g.keys.search(key); !known || !s.sum() {
		return 0, false
	}
	return s.number.over(micro), true
}

func (k *shelf) Elements(fixed, seg []byte, now int64) Elements {
	return Elements{window: k.shown(seg, now), kind: Tally}
}

func (k *shelf) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	var g groups
	if k.open(&g, seg); g.n == 0 {
		return appendNull(dst)
	}
	dst = append(dst, '{')
	if k.top == 0 {
		for s := k.shown(seg, now); s.next(); {
			dst = appendEntry(dst, s.g.keys.str(s.row), s.number)
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
		dst = appendEntry(dst, g.keys.str(best), most)
	}
	return append(dst, '}')
}

func (k *shelf) NextChange(fixed, seg []byte, now int64) int64 {
	first, last := k.bounds(now)
	for least, second := oldestBuckets(fixed); least < never; least, second = second, never {
		if least >= first {
			return k.next(least, last)
		}
	}
	var g groups
	k.open(&g, seg)
	if least := g.firstFrom(max(first, 0)); least != never {
		return k.next(least, last)
	}
	return never
}

func (k *shelf) truncated(fixed, seg []byte, now int64) bool {
	var g groups
	k.open(&g, seg)
	first, _ := k.bounds(now)
	least, _ := oldestBuckets(fixed)
	return g.n >= k.limit && least >= first
}
