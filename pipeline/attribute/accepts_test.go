package attribute

// accepts says whether Update of k takes in: what a test knows of a kind beforehand. Of some kinds Update itself asks; of the others it looks at the input
// once and goes on with what it has found, so that what they accept stands here.
func accepts(k Kind, in Input) bool {
	a, ok := k.(interface{ accepts(in *Input) bool })
	return ok && a.accepts(&in)
}

func (avg) accepts(in *Input) bool {
	_, ok := summable(in)
	return ok
}

func (count) accepts(in *Input) bool { return in.Op == Add }

func (k *distinct) accepts(in *Input) bool {
	_, ok := k.hash(in)
	return ok
}

func (flag) accepts(in *Input) bool { return in.Op <= Remove && timeInRange(in.Time) }

func (k *edge) accepts(in *Input) bool {
	_, ok := valueKey(&in.Value, k.of)
	return ok && in.Op == Add && timeInRange(in.Time)
}

func (k *extreme) accepts(in *Input) bool {
	_, ok := valueKey(&in.Value, k.of)
	return ok && in.Op == Add
}

func (k *sequence) accepts(in *Input) bool {
	_, ok := k.key(in)
	return ok
}

func (sum) accepts(in *Input) bool {
	_, ok := summable(in)
	return ok
}

func (k *several) accepts(in *Input) bool {
	_, ok := k.hash(in)
	_, good := k.bucket(in.Time)
	return ok && good
}

func (k *peak) accepts(in *Input) bool {
	_, _, ok := k.input(in)
	return ok
}

func (k *meter) accepts(in *Input) bool {
	_, _, ok := k.input(in)
	return ok
}

func (k *shelf) accepts(in *Input) bool {
	_, ok := k.bucket(in.Time)
	return ok && (*tally)(nil).accepts(in)
}
