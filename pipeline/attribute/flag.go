package attribute

// flag is raised by Add and lowered by Remove; the operation with the later event time stands, and at the
// same instant lowering does, as with consent: who is in doubt is not a "cart abandoner". The state is the
// time key and, in the lowest bit, "lowered"; the greatest wins.
type flag struct{ scalar }

func (flag) Name() string   { return "flag" }
func (flag) Type() Type     { return Bool }
func (flag) FixedSize() int { return 8 }

func (flag) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if in.Op <= Remove && timeInRange(in.Time) {
		putMax(fixed, stamp(in.Time, in.Op))
	}
	return nil
}

func (flag) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	putMax(fixed, get(otherFixed))
	return nil
}

func (flag) Truth(fixed, seg []byte, now int64) (raised, seen bool) {
	s := get(fixed)
	return s != 0 && s&1 == 0, s != 0
}

func (k flag) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	raised, seen := k.Truth(fixed, seg, now)
	if !seen {
		return appendNull(dst)
	}
	return appendBool(dst, raised)
}

// stamp is when an operation happened and, in the lowest bit, which: of two stamps the greater stands.
func stamp(ms int64, op Op) uint64 { return lateKey(ms)<<1 | uint64(op) }
