package attribute

// MaxBytes is the most bytes that a state of k takes, its fixed part and its segment, whatever is folded into it and merged with it. k must come from New.
func MaxBytes(k Kind) int {
	n := k.FixedSize()
	switch k := k.(type) {
	case *set:
		n += header + k.limit*(setRow+MaxElement)
	case *tally:
		n += header + k.limit*(tallyRow+MaxElement)
	case *list:
		n += header + k.limit*(listRow+MaxElement)
	case *distinct:
		n += k.registers() + tallies
	case *edgeString:
		n += MaxString
	case *meter:
		n += int(k.most()) * k.width()
	case *peak:
		n += int(k.most()) * peakRow
	case *several:
		n += k.limit * severalRow
	case *shelf:
		n += spareSize(header + k.limit*(groupRow+MaxElement+shelfCell))
	case *visit:
		n += k.pieces() * pieceRow
	case *visits:
		n += k.pieces() * pieceRow
	case *scoped:
		n += header + (k.pieces()+1)*(scopedRow+MaxBytes(k.inner))
	case *presence:
		n += k.most * reportRow
	case *sequence:
		if n += header + groupRow + k.limit*occurrence; k.keyed {
			n += k.limit * (groupRow + MaxSequenceKey)
		}
	default:
		if k.HasSegment() {
			panic("BUG: nobody knows how large a " + k.Name() + " becomes")
		}
	}
	return n
}

// pieces is how many a state holds at most: those of the slots from the horizon to the newest input's, in each one a gap apart.
func (k *sessions) pieces() int {
	slots := k.keep/k.longest + 4
	if k.keep == 0 {
		slots = 3
	}
	return int(slots * ((k.longest + k.gap - 1) / k.gap))
}
