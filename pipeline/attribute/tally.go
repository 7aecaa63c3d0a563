package attribute

import (
	"encoding/binary"

	"dashi/pipeline/event"

	"github.com/cespare/xxhash/v2"
)

// tally counts: a string, the key, has a number, the exact sum of the weights it came with, in micro-units.
// A key whose number is 0 stays.
//
// Limit. A number is right only if every input of its key was counted, so what is kept must not depend on
// what has been counted so far: neither "the greatest numbers" nor "the first seen" can be merged exactly.
// Here the limit keys with the smallest (hash, key) stay. It is exact: the keys seen only ever grow, so a key
// that is among the smallest of all has been among the smallest of every part, at every moment, since it was
// first seen there; it was never dropped, and its number is complete. What is kept is a fair sample of the
// keys, whatever their numbers, and Truncated says that it is a sample.
//
// A row is the number, 96 bits, and the end of the key, sorted by key. When there are limit rows, aux is the
// top 16 bits of the greatest hash among them, so that most keys that do not belong are refused without
// hashing the others.
type tally struct{ limit, top int }

const tallyRow = 16

func (*tally) Name() string     { return "tally" }
func (*tally) Type() Type       { return Tally }
func (*tally) FixedSize() int   { return 0 }
func (*tally) HasSegment() bool { return true }

func (*tally) accepts(in *Input) bool {
	return in.Value.Kind == event.String && len(in.Value.Str) <= MaxElement && in.Op == Add && InRange(in.By)
}

func (k *tally) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	by := extend(toMicro(in.By))
	var t table
	t.open(seg, tallyRow, k.limit)
	i, found := t.search(in.Value.Str)
	if found {
		row := t.row(i)
		putTally(row, loadTally(row).add(by))
		return seg
	}
	trunc, drop := t.truncated(), -1
	if t.n >= k.limit {
		trunc = true
		h := xxhash.Sum64(in.Value.Str)
		belongs := uint16(h>>48) <= t.aux()
		if belongs {
			var greatest uint64
			drop, greatest = lastByHash(&t)
			belongs = h < greatest || h == greatest && i <= drop
		}
		if !belongs {
			putHeader(seg, t.n, true, t.aux())
			return seg
		}
	}
	out, row := t.splice(scratch, drop, i, in.Value.Str)
	putTally(out[header+row*tallyRow:], by)
	n := int(binary.LittleEndian.Uint16(out))
	u := table{out, n, tallyRow, header + n*tallyRow}
	putHeader(out, n, trunc, k.fence(&u))
	return out
}

func loadTally(row []byte) int128   { return get96(row) }
func putTally(row []byte, v int128) { put96(row, v) }

// lastByHash is the row with the greatest (hash, key), the first to be dropped, and its hash.
func lastByHash(t *table) (at int, hash uint64) {
	for i := range t.n {
		if h := xxhash.Sum64(t.str(i)); h >= hash {
			at, hash = i, h
		}
	}
	return at, hash
}

// fence is the aux of a table.
func (k *tally) fence(t *table) uint16 {
	if t.n < k.limit {
		return 0
	}
	_, h := lastByHash(t)
	return uint16(h >> 48)
}

func (k *tally) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	var x, y table
	x.open(seg, tallyRow, k.limit)
	y.open(otherSeg, tallyRow, k.limit)
	if y.n == 0 {
		return seg
	}
	trunc := x.truncated() || y.truncated()
	b := join(&x, &y, scratch, func(row, other []byte) { putTally(row, loadTally(row).add(loadTally(other))) })
	if b.n > k.limit {
		trunc = true
		b.keepGreatest(k.limit, true, func(t table, i int) uint64 { return ^xxhash.Sum64(t.str(i)) })
	}
	t := b.table()
	return b.finish(trunc, k.fence(&t))
}

func (*tally) Num(fixed, seg []byte, now int64) (float64, bool) { return 0, false }
func (*tally) Truth(fixed, seg []byte, now int64) (v, ok bool)  { return false, false }

// Str is the favourite: the key with the greatest number; of several the smallest key.
func (k *tally) Str(fixed, seg []byte, now int64) ([]byte, bool) {
	var r ranking
	r.t.open(seg, tallyRow, k.limit)
	if !r.next() {
		return nil, false
	}
	return r.t.str(r.row), true
}

func (k *tally) Elements(fixed, seg []byte, now int64) (e Elements) {
	e.kind = Tally
	e.t.open(seg, tallyRow, k.limit)
	return e
}

func (k *tally) Len(fixed, seg []byte, now int64) int {
	var t table
	t.open(seg, tallyRow, k.limit)
	return t.n
}

func (k *tally) Find(fixed, seg, key []byte, now int64) (float64, bool) {
	var t table
	t.open(seg, tallyRow, k.limit)
	i, found := t.search(key)
	if !found {
		return 0, false
	}
	return loadTally(t.row(i)).over(micro), true
}

func (k *tally) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	var t table
	t.open(seg, tallyRow, k.limit)
	if t.n == 0 {
		return appendNull(dst)
	}
	dst = append(dst, '{')
	if k.top == 0 {
		for i := range t.n {
			dst = appendEntry(dst, t.str(i), loadTally(t.row(i)))
		}
	} else {
		for r := (ranking{t: t}); r.rank < k.top && r.next(); {
			dst = appendEntry(dst, t.str(r.row), r.number)
		}
	}
	return append(dst, '}')
}

func appendEntry(dst, key []byte, number int128) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = AppendQuoted(dst, key)
	dst = append(dst, ':')
	return AppendNumber(dst, number.over(micro))
}

// ranking goes through the keys of a tally, greatest number first, those with the same number by key. Each
// step looks through all rows: that is cheaper than sorting for the few steps that anybody asks for, and
// needs no memory.
type ranking struct {
	t      table
	rank   int // 1 for the first
	row    int
	number int128
}

func (r *ranking) next() bool {
	best, number := -1, int128{}
	for i := range r.t.n {
		v := loadTally(r.t.row(i))
		if r.rank > 0 {
			if c := v.compare(r.number); c > 0 || c == 0 && i <= r.row {
				continue // had its turn
			}
		}
		if best < 0 || v.compare(number) > 0 {
			best, number = i, v
		}
	}
	if best < 0 {
		return false
	}
	r.rank, r.row, r.number = r.rank+1, best, number
	return true
}
