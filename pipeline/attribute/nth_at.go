package attribute

// nth is last_at and first_at with nth: the event time of the n-th latest or earliest input, the latest being the first.
// The state is n time keys, greatest first: the n greatest of a union of multisets are among the n greatest of its
// parts. Two inputs at the same instant are two.
type nth struct {
	moment
	n int
}

// MaxNth bounds the state: 8 bytes for each.
const MaxNth = 16

func (k *nth) FixedSize() int { return 8 * k.n }

func (k *nth) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if k.accepts(in) {
		k.insert(fixed, timeKey(in.Time, k.first))
	}
	return nil
}

// insert puts a key where it belongs; the least of the keys goes.
func (k *nth) insert(fixed []byte, key uint64) {
	for i := 0; i < k.n; i++ {
		if at := fixed[8*i:]; get(at) < key {
			old := get(at)
			put(at, key)
			key = old
		}
	}
}

func (k *nth) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	for i := range k.n {
		k.insert(fixed, get(otherFixed[8*i:]))
	}
	return nil
}

func (k *nth) Num(fixed, seg []byte, now int64) (float64, bool) {
	return k.moment.Num(fixed[8*(k.n-1):], nil, now)
}

func (k *nth) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	return k.moment.AppendJSON(dst, fixed[8*(k.n-1):], nil, now)
}
