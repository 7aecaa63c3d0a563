package attribute

import "bytes"

// Cells are the rows of a table that begin with a uint48, a bucket or an instant, and are sorted by their strings and then by
// it: those of one string stand together.

// cell is the row of a key and bucket, or that before which they belong.
func (t *table) cell(key []byte, b int64) (row int, found bool) {
	lo, hi := 0, t.n
	if t.n <= tagRows {
		if lo = t.find(key); lo >= 0 {
			for lo < t.n && get48(t.row(lo)) < b && bytes.Equal(t.str(lo), key) {
				lo++
			}
			return lo, lo < t.n && get48(t.row(lo)) == b && bytes.Equal(t.str(lo), key)
		}
		lo = 0
	}
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		c := bytes.Compare(t.str(m), key)
		if c == 0 && get48(t.row(m)) == b {
			return m, true
		}
		if c < 0 || c == 0 && get48(t.row(m)) < b {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, false
}

// extent are the least and the greatest bucket of a table, and the first row with the least.
func (t *table) extent() (least, greatest int64, at int) {
	least, greatest = never, -1
	for i := range t.n {
		b := get48(t.row(i))
		if b < least {
			least, at = b, i
		}
		greatest = max(greatest, b)
	}
	return least, greatest, at
}

// newest is the greatest bucket, or -1.
func (t *table) newest() (b int64) {
	_, b, _ = t.extent()
	return b
}

// without writes the cells from a horizon on.
func (t *table) without(horizon int64, scratch []byte) []byte {
	b := newBuilder(scratch, t.width, t.n, len(t.seg)-t.heap)
	for i := range t.n {
		if get48(t.row(i)) >= horizon {
			b.add(t.row(i), t.str(i))
		}
	}
	return b.finish(false, 0)
}

// joinCells writes the union of two tables from a horizon on; combine folds the second row for the same cell into the first.
func joinCells(x, y *table, scratch []byte, horizon int64, combine func(row, other []byte)) builder {
	out := newBuilder(scratch, x.width, x.n+y.n, len(x.seg)-x.heap+len(y.seg)-y.heap)
	for i, j := 0, 0; i < x.n || j < y.n; {
		c := 0
		switch {
		case i == x.n:
			c = 1
		case j == y.n:
			c = -1
		default:
			if c = bytes.Compare(x.str(i), y.str(j)); c == 0 {
				c = int(min(max(get48(x.row(i))-get48(y.row(j)), -1), 1))
			}
		}
		from, at := x, i
		if c > 0 {
			from, at = y, j
		}
		if get48(from.row(at)) >= horizon {
			row := out.add(from.row(at), from.str(at))
			if c == 0 {
				combine(row, y.row(j))
			}
		}
		if c <= 0 {
			i++
		}
		if c >= 0 {
			j++
		}
	}
	return out
}

// cellRank is for keepGreatest: the latest cells stay.
func cellRank(t table, i int) uint64 { return uint64(get48(t.row(i))) }
