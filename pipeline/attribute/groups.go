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
//	cells   of one width, at least 8 bytes: uint48, a bucket or an instant, and what the kind keeps of it; by key, then by that
//
// A key is there once, however many cells it has, and it has one. So most inputs find their key by its tag, and write in place or move
// cells, which is one copy. What does not fit reads as empty, as of a table.
type groups struct {
	seg   []byte
	keys  table // in front of the cells
	cells []byte
	n     int // cells
	width int // of one
}

const groupRow = 6

// openGroups reads the header of seg; limit is the greatest number of cells there can rightly be.
func openGroups(seg []byte, width, limit int) (g groups) {
	g.open(seg, width, limit)
	return g
}

// open is openGroups, of which the result would be copied; g is a fresh one, or seg is not empty.
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

// place is where a cell is, or where it belongs.
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
	least, w, cells := int64(never), g.width, g.cells
	from, rows := 0, g.keys.seg[min(header, g.keys.heap):g.keys.heap]
	for i, at := int64(0), 0; at+groupRow <= len(rows); i, at = i+1, at+groupRow {
		if c := from * w; uint(c)+8 <= uint(len(cells)) {
			less := int64(get(cells[c:c+8])<<16>>1) | i
			less -= least
			least += less & (less >> 63)
		}
		from = int(binary.LittleEndian.Uint16(rows[at : at+groupRow]))
	}
	if least == never {
		return never, 0, 0
	}
	row = int(least & maxRows)
	return least >> 15, row, g.end(row - 1)
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

// splice makes room for a cell at p, which is not there, and takes the cell drop out, the first of the key in row last; drop -1: none. It returns the segment, edited in place when its length is the same, and the new cell: bytes of no meaning.
func (g *groups) splice(scratch []byte, p place, key []byte, drop, last int) (out, cell []byte) {
	gone := false // and with it the key
	if drop >= 0 && !(p.known && last == p.row) {
		from, to := g.of(last)
		gone = to-from <= 1
	}
	switch {
	case drop >= 0 && p.known && !gone:
		return g.seg, g.shift(p, drop, last)
	case gone && !p.known && g.keys.swaps(last, p.row, key):
		return g.seg, g.swap(p, key, drop, last)
	}
	w, row, t := g.width, p.row, &g.keys
	switch {
	case !p.known && gone:
		out, row = t.splice(scratch, last, p.row, key)
	case !p.known:
		out, row = t.splice(scratch, -1, p.row, key)
	case gone:
		out = t.cut(scratch, last)
		if last < row {
			row--
		}
	default:
		out = append(slices.Grow(scratch[:0], len(g.seg)+w), t.seg...)
	}
	at, n := p.cell, g.n+1
	switch {
	case drop < 0:
		out = append(out, g.cells[:at*w]...)
		out = append(out, zeroRow[:w]...)
		out = append(out, g.cells[at*w:]...)
	case drop < at:
		n--
		out = append(out, g.cells[:drop*w]...)
		out = append(out, g.cells[(drop+1)*w:at*w]...)
		out = append(out, zeroRow[:w]...)
		out = append(out, g.cells[at*w:]...)
		at--
	default:
		n--
		out = append(out, g.cells[:at*w]...)
		out = append(out, zeroRow[:w]...)
		out = append(out, g.cells[at*w:drop*w]...)
		out = append(out, g.cells[(drop+1)*w:]...)
	}
	keys := int(binary.LittleEndian.Uint16(out))
	putHeader(out, keys, false, uint16(n))
	addToCells(out, row, keys, 1)
	if drop >= 0 {
		if !p.known && p.row <= last { // it has moved
			last++
		}
		addToCells(out, last, keys, ^uint16(0))
	}
	if !p.known {
		binary.LittleEndian.PutUint16(out[header+row*groupRow:], uint16(at+1))
	}
	if len(out) == len(g.seg) {
		copy(g.seg, out)
		out = g.seg
	}
	at = len(out) - (n-at)*w
	return out, out[at : at+w]
}

// shift is splice where both keys stay: the cells in between move by one.
func (g *groups) shift(p place, drop, last int) (cell []byte) {
	if drop < p.cell {
		addToCells(g.keys.seg, last, p.row, ^uint16(0))
	} else {
		addToCells(g.keys.seg, p.row, last, 1)
	}
	return exchange(g.cells, p.cell*g.width, drop*g.width, g.width)
}

// swap is splice where one key goes and another that is as long comes: what lies in between moves.
func (g *groups) swap(p place, key []byte, drop, last int) (cell []byte) {
	row, end := g.keys.swap(last, p.row, key), p.cell
	if last < row {
		addToCells(g.keys.seg, last, row, ^uint16(0))
	} else {
		addToCells(g.keys.seg, row+1, last+1, 1)
	}
	if drop >= p.cell {
		end++
	}
	binary.LittleEndian.PutUint16(g.keys.row(row), uint16(end))
	return exchange(g.cells, p.cell*g.width, drop*g.width, g.width)
}

// addToCells corrects where the cells of rows end.
func addToCells(seg []byte, from, to int, d uint16) {
	for at := header + from*groupRow; from < to; from++ {
		b := seg[at : at+2]
		binary.LittleEndian.PutUint16(b, binary.LittleEndian.Uint16(b)+d)
		at += groupRow
	}
}

// cut copies the table into scratch without a row. The header says the new number of rows, not truncated, aux 0.
func (t *table) cut(scratch []byte, drop int) []byte {
	w, heap := t.width, t.seg[t.heap:]
	s, e := t.span(drop)
	out := append(slices.Grow(scratch[:0], len(t.seg)+w), zeroRow[:header]...)
	out = append(out, t.seg[header:header+drop*w]...)
	out = append(out, t.seg[header+(drop+1)*w:t.heap]...)
	out = append(out, heap[:s]...)
	out = append(out, heap[e:]...)
	putHeader(out, t.n-1, false, 0)
	t.addToEnds(out, drop, t.n-1, uint32(s-e))
	return out
}

// from writes the cells from an instant on, but for the first few of that very instant. It is a copy, in which what stays of the rows, the heap and the cells moves
// up, and then what is left of the three.
func (g *groups) from(scratch []byte, b int64, but int) []byte {
	w, t := g.width, &g.keys
	out := append(slices.Grow(scratch[:0], len(g.seg)), g.seg...)
	keys, end, n := 0, 0, 0 // how much stays so far; end is of the heap
	heap, cells := out[min(t.heap, len(out)):], out[len(t.seg):]
	for row := range t.n {
		first, to := g.of(row)
		for first < to && g.at(first) < b {
			first++
		}
		if first < to && but > 0 && g.at(first) == b {
			but--
			first++
		}
		if first == to {
			continue
		}
		at := out[header+keys*groupRow:]
		if keys < row {
			copy(at, t.row(row))
			end += copy(heap[end:], t.str(row))
			putEnd(at[:groupRow], end)
		} else {
			_, end = t.span(row)
		}
		if n < first {
			copy(cells[n*w:], g.cells[first*w:to*w])
		}
		keys, n = keys+1, n+to-first
		binary.LittleEndian.PutUint16(at, uint16(n))
	}
	if n == 0 {
		return out[:0]
	}
	rest := out[:header+keys*groupRow]
	rest = append(rest, heap[:end]...)
	rest = append(rest, cells[:n*w]...)
	putHeader(rest, keys, false, uint16(n))
	return rest
}

// firstFrom is the least instant of a cell that is b or more; never when there is none.
func (g *groups) firstFrom(b int64) int64 {
	least := uint64(never)
	w, from, rows := g.width, 0, g.keys.seg[min(header, g.keys.heap):g.keys.heap]
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
	joined := out.finish()
	if out.n <= limit {
		return joined
	}
	g := openGroups(joined, x.width, out.n)
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

func (b *groupBuilder) finish() []byte {
	if b.n == 0 {
		return b.out[:0]
	}
	end := header + b.keys*groupRow
	end += copy(b.out[end:], b.out[b.heap[0]:b.heap[1]])
	end += copy(b.out[end:], b.out[b.heap[2]:])
	b.out = b.out[:end]
	putHeader(b.out, b.keys, false, uint16(b.n))
	return b.out
}
