package attribute

import "encoding/binary"

// splice makes room for a cell at p, which is not there, and takes the cell drop out, the first of the key in row last; drop -1: none. It returns the segment,
// edited in place when its length is the same, and the new cell: bytes of no meaning.
func (g *groups) splice(scratch []byte, p place, key []byte, drop, last int) (out, cell []byte) {
	goes := false
	if drop >= 0 && !(p.known && last == p.row) {
		from, to := g.of(last)
		goes = to-from <= 1
	}
	switch {
	case g.n == 0:
		return g.first(scratch, key)
	case !p.known || goes:
		return g.exchange(scratch, p, key, drop, last, goes)
	case drop < 0:
		return g.lengthen(scratch, p)
	}
	if drop < p.cell {
		addToCells(g.seg, last, p.row, ^uint16(0))
	} else {
		addToCells(g.seg, p.row, last, 1)
	}
	return g.seg, exchange(g.cells, p.cell*g.width, drop*g.width, g.width)
}

// lengthen is splice for one more cell of a key that is there.
func (g *groups) lengthen(scratch []byte, p place) (out, cell []byte) {
	w, at, front := g.width, p.cell*g.width, len(g.keys.seg)
	if g.spare {
		front = g.keys.heap + g.keys.heapSize()
	}
	size := g.size(front + len(g.cells) + w)
	var cells []byte
	if size == len(g.seg) {
		out, cells = g.seg, g.seg[size-len(g.cells)-w:]
		copy(cells, cells[w:w+at])
	} else {
		out = append(grown(scratch, size)[:0], g.seg[:front]...)[:size]
		cells = out[size-len(g.cells)-w:]
		clear(out[front : size-len(cells)])
		copy(cells, g.cells[:at])
		copy(cells[at+w:], g.cells[at:])
	}
	addToCells(out, p.row, g.keys.n, 1)
	binary.LittleEndian.PutUint16(out[2:], uint16(g.n+1))
	return out, cells[at : at+w]
}

// exchange is splice where a key comes or goes, or both.
func (g *groups) exchange(scratch []byte, p place, key []byte, drop, last int, goes bool) (out, cell []byte) {
	t, w := &g.keys, g.width
	var c change // not as a literal, which would be copied
	c.comes, c.goes, c.row, c.last, c.key = !p.known, goes, p.row, last, key
	c.plan(t)
	cells, keys, at := len(g.cells), t.n, p.cell
	if drop < 0 {
		cells += w
	}
	size := g.size(c.after + cells)
	out = resized(scratch, g.seg, c.front, len(g.cells), size)
	if all := out[len(out)-cells:]; drop < 0 {
		copy(all, all[w:w+at*w])
	} else {
		exchange(all, at*w, drop*w, w)
		if drop < at {
			at--
		}
	}
	row := c.apply(t, out)
	if c.comes {
		keys++
		binary.LittleEndian.PutUint16(out[header+row*groupRow:], uint16(at+1))
	} else if row = p.row; last < row {
		row-- // it has moved
	}
	if goes {
		keys--
	}
	switch {
	case drop < 0:
		addToCells(out, row+1, keys, 1)
	case last < p.row:
		addToCells(out, last, row, ^uint16(0))
	case c.comes:
		addToCells(out, row+1, last+1, 1)
	default:
		addToCells(out, row, last, 1)
	}
	putHeader(out, keys, false, uint16(cells/w))
	if size < len(out) {
		copy(out[size-cells:], out[len(out)-cells:])
		out = out[:size]
	}
	at = size - cells + at*w
	return out, out[at : at+w]
}

// first is splice for the first cell of the first key.
func (g *groups) first(scratch, key []byte) (out, cell []byte) {
	front := header + groupRow + len(key)
	size := g.size(front + g.width)
	out = grown(scratch, size)
	clear(out)
	putHeader(out, 1, false, 1)
	binary.LittleEndian.PutUint16(out[header:], 1)
	binary.LittleEndian.PutUint32(out[header+2:], uint32(len(key))|uint32(tagOf(key))<<24)
	copy(out[header+groupRow:], key)
	return out, out[size-g.width:]
}

// addToCells corrects where the cells of rows end.
func addToCells(seg []byte, from, to int, d uint16) {
	for at := header + from*groupRow; from < to; from++ {
		b := seg[at : at+2]
		binary.LittleEndian.PutUint16(b, binary.LittleEndian.Uint16(b)+d)
		at += groupRow
	}
}
