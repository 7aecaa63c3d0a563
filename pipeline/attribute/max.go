package attribute

// max and min: the greatest and the smallest of numbers or times. The state is one key (see key.go) in whose
// order the winner is the greatest; for min it is the complement. Numbers are kept as they came, not rounded.
type extreme struct {
	scalar
	of   Type
	flip uint64 // all ones for min
}

func (k *extreme) Name() string {
	if k.flip != 0 {
		return "min"
	}
	return "max"
}

func (k *extreme) Type() Type   { return k.of }
func (*extreme) FixedSize() int { return 8 }

func (k *extreme) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if v, ok := valueKey(&in.Value, k.of); ok && in.Op == Add {
		putMax(fixed, v^k.flip)
	}
	return nil
}

func (k *extreme) Move(fixed []byte, in *Input) (m Moved) {
	m.Before, m.Had = k.Num(fixed, nil, 0)
	m.After, m.Has = m.Before, m.Had
	if v, ok := valueKey(&in.Value, k.of); ok && in.Op == Add && v^k.flip > get(fixed) {
		put(fixed, v^k.flip)
		m.After, m.Has = keyValue(v, k.of), true
	}
	return m
}

func (k *extreme) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	putMax(fixed, get(otherFixed))
	return nil
}

func (k *extreme) Num(fixed, seg []byte, now int64) (float64, bool) {
	v := get(fixed)
	if v == 0 {
		return 0, false
	}
	return keyValue(v^k.flip, k.of), true
}

func (k *extreme) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	v := get(fixed)
	if v == 0 {
		return appendNull(dst)
	}
	return appendKey(dst, v^k.flip, k.of)
}
