package attribute

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// groups is the segment of what keeps cells by key: the occurrences of a sequence, the buckets of a tally in a window.
//
//	table   of the keys, sorted; a row is uint16, where the cells of the key end, and uint32, where the key ends; aux is the number of
//	        cells, bit 15 is 0
//	spare   zeros: of a tally as many as spareSize says, of a sequence none
//	cells   of one width, at least 8 bytes: uint48, a bucket or an instant, and what the kind keeps of it; by key, then by that
//
// A key is there once, however many cells it has, and it has one. So most inputs find their key by its tag, and write in place or move
// what lies between two places: see groups_splice.go. What does not fit reads as empty, as of a table.
type groups struct {
	seg   []byte
	keys  table // in front of the cells
	cells []byte
	n     int  // cells
	width int  // of one
	spare bool // it has some
}

const groupRow = 6

// size is how long a segment is of which so many bytes are taken.
func (g *groups) size(taken int) int {
	if g.spare {
		return spareSize(taken)
	}
	return taken
}

// open reads the header of seg; limit is the greatest number of cells there can rightly be. g is a fresh one, or seg is not empty: as a result it would be copied.
func (g *groups) open(seg []byte, width, limit int) {
	g.width, g.keys.width = width, groupRow
	if len(seg) <= header {
		return
	}
	keys, n := int(binary.LittleEndian.Uint16(seg)), int(binary.LittleEndian.Uint16(seg[2:]))
	heap, at := header+keys*groupRow, len(seg)-n*width
	if keys == 0 || keys > n || n > limit || heap > at {
		return
	}
	g.seg, g.cells, g.n = seg, seg[at:], n
	g.keys.seg, g.keys.n, g.keys.heap = seg[:at:at], keys, heap
}

// end is where the cells of a key end, those of the key before are in front of them.
func (g *groups) end(row int) int {
	if row < 0 {
		return 0
	}
	return min(int(binary.LittleEndian.Uint16(g.keys.seg[header+row*groupRow:])), g.n)
}

// of is where the cells of a key lie.
func (g *groups) of(row int) (from, to int) {
	from = g.end(row - 1)
	return from, max(g.end(row), from)
}

// cellsOf are the cells of a key.
func (g *groups) cellsOf(row int) []byte {
	from, to := g.of(row)
	return g.cells[from*g.width : to*g.width]
}

func (g *groups) cell(i int) []byte { return g.cells[i*g.width : (i+1)*g.width] }
func (g *groups) at(i int) int64    { return int64(get(g.cells[i*g.width:]) & mask48) }

// place is where a cell is, or where it belongs. With one word more it would be copied through memory, and that takes as long as all the search.
type place struct {
	row   int  // of the key, or before which it belongs
	known bool // the key is there
	cell  int  // or before which it belongs
	found bool // it is there
}

// search finds the cell of a key and instant.
func (g *groups) search(key []byte, b int64) place {
	row, known := g.keys.search(key)
	return g.locate(row, known, b)
}

// locate finds the cell of an instant of the key in a row, or one that belongs before that row. Most come last, so it begins there.
func (g *groups) locate(row int, known bool, b int64) place {
	p := place{row: row, known: known}
	if !known {
		p.cell = g.end(row - 1)
		return p
	}
	from, to := g.of(row)
	for p.cell = to; p.cell > from && g.at(p.cell-1) >= b; p.cell-- {
	}
	p.found = p.cell < to && g.at(p.cell) == b
	return p
}

// oldest is the first of the cells of the least instant, and the row of its key. It runs for nearly every input of a full state and cannot guess which is
// less: so an instant and its row are one number, and no branch hangs on it.
func (g *groups) oldest() (b int64, row, cell int) {
	if least := leastFirst(g.keys.rows(), g.cells, uint(g.width)); least != none {
		row = int(least & maxRows)
		return int64(least >> 16), row, g.end(row - 1)
	}
	return never, 0, 0
}

const none = 1<<64 - 1

// leastFirst is the least of the first cells of all keys, its instant << 16 | the row. It is apart so that what it works with stays in registers.
func leastFirst(rows, cells []byte, w uint) uint64 {
	least, from := uint64(none), uint(0)
	for at, i := 0, uint64(0); at+groupRow <= len(rows); at, i = at+groupRow, i+1 {
		if from+8 > uint(len(cells)) {
			break
		}
		first := get(cells[from:from+8:from+8])<<16 | i
		if first < least {
			least = first
		}
		from = uint(binary.LittleEndian.Uint16(rows[at:at+2:at+2])) * w
	}
	return least
}

// newest is the greatest instant of a cell, or -1.
func (g *groups) newest() (b int64) {
	b = -1
	for i := range g.keys.n {
		if from, to := g.of(i); from < to {
			b = max(b, g.at(to-1))
		}
	}
	return b
}

// from writes the cells from an instant on, but for the first few of that very instant. It is a copy, in which what stays of the rows, the heap and the cells
// moves up, as much at once as lies together, and then what is left of the three.
func (g *groups) from(scratch []byte, b int64, but int) []byte {
	w, t := g.width, &g.keys
	out := slices.Grow(scratch[:0], len(g.seg)+len(g.seg)/8)[:len(g.seg)]
	copy(out, t.seg)
	var heap, cells kept
	heap.old = t.seg[min(t.heap, len(t.seg)):min(t.heap+t.heapSize(), len(t.seg))]
	heap.all, cells.old, cells.all = out[t.heap:], g.cells, out[len(t.seg):]
	keys, gone, from := 0, 0, 0
	for row := range t.n {
		first, to := from, max(g.end(row), from)
		for first < to && g.at(first) < b {
			first++
		}
		if but > 0 && first < to && g.at(first) == b {
			but--
			first++
		}
		if first > from {
			gone += first - from
			cells.without(from*w, first*w)
		}
		from = to
		if first == to {
			heap.without(t.span(row))
			continue
		}
		at := out[header+keys*groupRow:][:groupRow]
		binary.LittleEndian.PutUint16(at, uint16(to-gone))
		binary.LittleEndian.PutUint32(at[2:], t.tail(row)-uint32(heap.gone))
		keys++
	}
	n, front := cells.end()/w, header+keys*groupRow
	if n == 0 {
		return out[:0]
	}
	front += copy(out[front:], heap.all[:heap.end()])
	size := g.size(front + n*w)
	out = out[:max(size, len(out))]
	copy(out[size-n*w:size], cells.all)
	clear(out[front : size-n*w])
	putHeader(out, keys, false, uint16(n))
	return out[:size]
}

// kept is what stays of some bytes.
type kept struct {
	old, all         []byte
	done, from, gone int // what stays so far, where that begins of which it is not known, how much has been left out
}

// without leaves some out, behind those that were left out before.
func (k *kept) without(from, to int) {
	if from = max(from, k.from); from >= to {
		return
	}
	k.done += copy(k.all[k.done:], k.old[k.from:from])
	k.from = to
	k.gone += to - from
}

// end keeps the rest, and says how much has stayed.
func (k *kept) end() int {
	k.done += copy(k.all[k.done:], k.old[k.from:])
	k.from = len(k.old)
	return k.done
}

// firstFrom is the least instant of a cell that is b or more; never when there is none.
func (g *groups) firstFrom(b int64) int64 {
	least := uint64(never)
	w, from, rows := g.width, 0, g.keys.rows()
	for ; len(rows) >= groupRow && least > uint64(b); rows = rows[groupRow:] {
		end := w * int(binary.LittleEndian.Uint16(rows))
		for at := from; at < end && at+8 <= len(g.cells); at += w {
			if c := get(g.cells[at:]) & mask48; c >= uint64(b) {
				least = min(least, c)
				break
			}
		}
		from = end
	}
	return int64(least)
}

// joinGroups writes the union of two from an instant on, the limit latest of it, of the same instant those of the greatest keys; combine
// folds the second of two cells of the same key and instant into the first.
func joinGroups(x, y *groups, scratch []byte, b int64, limit int, combine func(cell, other []byte)) []byte {
	out := newGroupBuilder(scratch, x.width, x.keys.n+y.keys.n, len(x.keys.seg)-x.keys.heap+len(y.keys.seg)-y.keys.heap, x.n+y.n)
	for i, j := 0, 0; i < x.keys.n || j < y.keys.n; {
		c := 0
		switch {
		case i == x.keys.n:
			c = 1
		case j == y.keys.n:
			c = -1
		default:
			c = bytes.Compare(x.keys.str(i), y.keys.str(j))
		}
		var mine, others []byte
		if c >= 0 {
			out.begin(y.keys.row(j), y.keys.str(j))
			others = y.cellsOf(j)
			j++
		}
		if c <= 0 {
			out.begin(x.keys.row(i), x.keys.str(i))
			mine = x.cellsOf(i)
			i++
		}
		out.join(mine, others, b, combine)
	}
	joined := out.finish(x)
	if out.n <= limit {
		return joined
	}
	g := groups{spare: x.spare}
	g.open(joined, x.width, out.n)
	ranks := joined[len(joined):]
	for i := range g.n {
		ranks = binary.LittleEndian.AppendUint64(ranks, uint64(g.at(i)))
	}
	least, _ := leastKept(ranks, limit)
	return g.from(joined[len(joined):], int64(least), atLeast(ranks, least)-limit)
}

// groupBuilder writes groups key by key into a scratch buffer: the rows, the heap and the cells are given room for what there can be, and finish closes the
// gaps.
type groupBuilder struct {
	out   []byte
	keys  int
	n     int // cells
	width int
	heap  [3]int // where it begins, where it ends, where its room ends and the cells begin
	fresh bool   // the key, with its row, comes as soon as it has a cell
	row   []byte
	key   []byte
}

func newGroupBuilder(scratch []byte, width, keys, heapBytes, cells int) groupBuilder {
	heap := header + keys*groupRow
	end := heap + heapBytes
	out := slices.Grow(scratch[:0], end+cells*width)[:end]
	return groupBuilder{out: out, width: width, heap: [3]int{heap, heap, end}}
}

// begin says of which key the next cells are.
func (b *groupBuilder) begin(row, key []byte) { b.fresh, b.row, b.key = true, row, key }

// add appends one cell or several, and returns the last.
func (b *groupBuilder) add(cells []byte) []byte {
	if b.fresh {
		row := b.out[header+b.keys*groupRow:][:groupRow]
		copy(row, b.row)
		b.heap[1] += copy(b.out[b.heap[1]:b.heap[2]], b.key)
		putEnd(row, b.heap[1]-b.heap[0])
		b.fresh = false
		b.keys++
	}
	b.n += len(cells) / b.width
	binary.LittleEndian.PutUint16(b.out[header+(b.keys-1)*groupRow:], uint16(b.n))
	b.out = append(b.out, cells...)
	return b.out[len(b.out)-b.width:]
}

// join adds the cells of one key in two groups.
func (b *groupBuilder) join(x, y []byte, from int64, combine func(cell, other []byte)) {
	w := b.width
	for len(x) >= w || len(y) >= w {
		c := int64(0)
		switch {
		case len(x) < w:
			c = 1
		case len(y) < w:
			c = -1
		default:
			c = get48(x) - get48(y)
		}
		cell := x
		if c > 0 {
			cell = y
		}
		if get48(cell) >= from {
			added := b.add(cell[:w])
			if c == 0 {
				combine(added, y[:w])
			}
		}
		if c >= 0 {
			y = y[w:]
		}
		if c <= 0 {
			x = x[w:]
		}
	}
}

func (b *groupBuilder) finish(like *groups) []byte {
	if b.n == 0 {
		return b.out[:0]
	}
	end := header + b.keys*groupRow
	end += copy(b.out[end:], b.out[b.heap[0]:b.heap[1]])
	cells := b.out[b.heap[2]:]
	size := like.size(end + len(cells))
	out := slices.Grow(b.out, max(0, size-len(b.out)))[:size]
	copy(out[size-len(cells):], cells)
	clear(out[end : size-len(cells)])
	putHeader(out, b.keys, false, uint16(b.n))
	return out
}
