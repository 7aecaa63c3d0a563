package attribute

// Elements goes through the elements of a set (in the order of the strings), a tally (in the order of its keys) or a
// list (newest first) without allocating. It aliases the segment.
//
//	for e := kind.Elements(fixed, seg, now); e.Next(); {
//		use(e.Value, e.Time)
//	}
type Elements struct {
	Value  []byte  // the element, or the key of a tally
	Time   int64   // event time in milliseconds: of the list element, or when the set element was added last
	Number float64 // of a tally key

	window shown // in place of t, for what a window shows
	// Of a sequence: the keys for which something is true at an instant.
	sequence *sequence
	now      int64
	t        table
	i        int
	kind     Type
}

// Next goes to the next element; before the first call there is none.
func (e *Elements) Next() bool {
	if e.sequence != nil {
		return e.sequence.nextKey(e)
	}
	if e.window.next() {
		e.Value, e.Number = e.window.g.keys.str(e.window.row), e.window.number.over(micro)
		return true
	}
	for e.i < e.t.n {
		i := e.i
		e.i++
		row := e.t.row(i)
		switch e.kind {
		case Set:
			s := get(row)
			if in1(s) == 0 {
				continue
			}
			e.Time = lateTime(s >> 1)
		case Tally:
			e.Number = loadTally(row).over(micro)
		case List:
			e.Time = lateTime(get(row))
		}
		e.Value = e.t.str(i)
		return true
	}
	return false
}
