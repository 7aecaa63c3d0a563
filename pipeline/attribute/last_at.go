package attribute

// moment is last_at and first_at: the event time of the latest and of the earliest input. The state is one
// time key, greatest for the winner.
type moment struct {
	scalar
	first bool
}

func (k *moment) Name() string {
	if k.first {
		return "first_at"
	}
	return "last_at"
}

func (*moment) Type() Type     { return Time }
func (*moment) FixedSize() int { return 8 }

func (*moment) accepts(in *Input) bool { return in.Op == Add && timeInRange(in.Time) }

func (k *moment) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if in.Op == Add && timeInRange(in.Time) {
		putMax(fixed, timeKey(in.Time, k.first))
	}
	return nil
}

func (k *moment) Move(fixed []byte, in *Input) (m Moved) {
	m.Before, m.Had = k.Num(fixed, nil, 0)
	k.Update(fixed, nil, in, nil)
	m.After, m.Has = k.Num(fixed, nil, 0)
	return m
}

func (*moment) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	putMax(fixed, get(otherFixed))
	return nil
}

func (k *moment) millis(fixed []byte) (ms int64, ok bool) {
	key := get(fixed)
	if k.first {
		return earlyTime(key), key != 0
	}
	return lateTime(key), key != 0
}

func (k *moment) Num(fixed, seg []byte, now int64) (float64, bool) {
	ms, ok := k.millis(fixed)
	if !ok {
		return 0, false
	}
	return float64(ms), true
}

func (k *moment) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	ms, ok := k.millis(fixed)
	if !ok {
		return appendNull(dst)
	}
	return appendTimeString(dst, ms)
}

// timeKey is the key in whose order the first, or else the last, time is the greatest.
func timeKey(ms int64, first bool) uint64 {
	if first {
		return earlyKey(ms)
	}
	return lateKey(ms)
}
