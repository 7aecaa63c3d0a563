package attribute

// avg is the mean of numbers: their exact sum in micro-units and how many they were. The quotient is rounded
// once, when it is read.
type avg struct{ scalar }

func (avg) Name() string   { return "avg" }
func (avg) Type() Type     { return Number }
func (avg) FixedSize() int { return 24 }

func (avg) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	v, ok := summable(in)
	if !ok {
		return nil
	}
	load128(fixed).add(extend(v)).store(fixed)
	put(fixed[16:], get(fixed[16:])+1)
	return nil
}

func (k avg) Move(fixed []byte, in *Input) (m Moved) {
	m.Before, m.Had = k.Num(fixed, nil, 0)
	k.Update(fixed, nil, in, nil)
	m.After, m.Has = k.Num(fixed, nil, 0)
	return m
}

func (avg) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	load128(fixed).add(load128(otherFixed)).store(fixed)
	put(fixed[16:], get(fixed[16:])+get(otherFixed[16:]))
	return nil
}

func (avg) Num(fixed, seg []byte, now int64) (float64, bool) {
	n := get(fixed[16:])
	if n == 0 {
		return 0, false
	}
	s := load128(fixed)
	if n > (1<<64-1)/micro { // 2^44 inputs: no profile gets there, but the division must not overflow
		return s.over(micro) / float64(n), true
	}
	return s.over(n * micro), true
}

func (k avg) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	return appendNum(dst, k, fixed, seg, now)
}
