package attribute

import (
	"bytes"
	"encoding/binary"

	"dashi/pipeline/event"
)

// sequence is steps that follow one another: A, then B within an hour, then no C within a day; for every value of a key,
// or once for the profile.
//
// The usual automaton (SASE, Wu, Diao and Rizvi, 2006; Flink's CEP library) keeps runs that advance as events arrive. What it
// holds depends on the order of arrival, so a late event is lost or wrong, and two of them cannot be merged. Here the state
// is the occurrences themselves, a set that merges by union, and the matches are computed from it in order of event time.
//
// # What matches
//
// Each step that is not negated takes one occurrence, later than the one before: at the same instant is not after, since only arrival
// could tell. Between two steps lies less than the within of the second, and between the first and the last less than the
// within of the whole. No occurrence of a negated step lies between its neighbours, both instants included. A negated last
// step completes the sequence when its within has passed since the step before with none. An optional step may be left out.
// An until undoes what has begun and what is complete.
//
// The sequence is complete at the earliest instant at which it can be; then it begins anew, with later occurrences only
// (SASE+'s skip till next match, Flink's skipPastLastEvent). There is no search: of all ways to have come to a step the
// one whose latest occurrence is latest has also begun latest, so it can do whatever the others can, and only it is kept.
//
// # The bound
//
// The limit keeps the latest occurrences, of the same instant those of the greatest keys; keep, those of so long before the newest
// one. Both are exact under Merge, as in set.go. What is forgotten does not count as a completion any more; Truncated says
// that the limit may have forgotten something.
//
//	fixed    what is shown from the newest occurrence on, until it changes by itself; see summary
//	segment  a table of cells; a row is the time (uint48), a bit for each step that occurred (uint16) and the end of the key
type sequence struct {
	stages []stage
	steps  int // bits of a mask that mean something
	until  uint64
	kills  uint64 // until, last and what must not occur between two stages
	// last is set when the sequence ends with a negated step: its bit and within.
	last       uint64
	lastWithin int64
	within     int64 // 0: no bound
	keep       int64
	limit      int
	keyed      bool
	show       string
}

// stage is a step that takes an occurrence; a step with times is several.
type stage struct {
	bit      uint64
	within   int64 // since the stage before; 0: no bound
	optional bool
	not      uint64 // must not occur between this stage and the next
}

const (
	sequenceRow = 12
	// MaxSequenceKey is the length of the longest key; an occurrence with a longer one changes nothing.
	MaxSequenceKey = 256
)

func (*sequence) Name() string     { return "sequence" }
func (*sequence) FixedSize() int   { return 32 }
func (*sequence) HasSegment() bool { return true }

func (k *sequence) Type() Type {
	switch k.show {
	case "count":
		return Number
	case "last_at":
		return Time
	case "complete", "open":
		return Bool
	}
	return Set
}

func (k *sequence) accepts(in *Input) bool {
	if in.Op != Add || int(in.Step) >= k.steps || in.Time < 0 || in.Time > maxTime {
		return false
	}
	_, ok := k.key(in)
	return ok
}

func (k *sequence) open(seg []byte) table { return open(seg, sequenceRow, k.limit) }

func (k *sequence) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	key, _ := k.key(in)
	t := k.open(seg)
	i, found := k.cell(&t, key, in.Time)
	if found {
		row := t.row(i)
		if mask := maskOf(row) | 1<<in.Step; mask != maskOf(row) {
			before := k.runOf(&t, key, get(fixed))
			putMask(row, mask)
			after := k.runOf(&t, key, get(fixed))
			s := stored(fixed)
			if !s.replace(&before, &after) {
				s = k.read(&t, lateTime(get(fixed)))
			}
			s.store(fixed, lateTime(get(fixed)))
		}
		return seg
	}
	// The oldest occurrence matters where something may be forgotten; the newest is in the fixed part.
	oldest, newest, first := in.Time, int64(-1), -1
	if t.n >= k.limit || k.keep > 0 {
		oldest, newest, first = t.extent()
	} else if v := get(fixed); v != 0 {
		newest = lateTime(v)
	}
	drop := -1
	switch {
	case k.keep > 0 && in.Time <= newest-k.keep:
		return seg
	case t.n >= k.limit:
		if drop = first; in.Time < oldest || in.Time == oldest && i <= drop {
			return seg
		}
	}
	now := max(newest, in.Time)
	sum := stored(fixed)
	// The other keys show at now what they showed before, if nothing has changed by time since; then it is enough to look at this
	// one, and at the one that loses an occurrence to the limit.
	same := get(fixed) != 0 && now < sum.next
	var before, after, lost, left run
	other := false                                                                      // the limit takes an occurrence from another key: its first
	latest := now == in.Time && (drop < 0 || k.keyed && !bytes.Equal(t.str(drop), key)) // of its key too: the others come before it
	if same {
		if latest {
			before, after = k.append(&t, i, key, lateTime(get(fixed)), now, 1<<in.Step)
		} else {
			before = k.runOf(&t, key, get(fixed))
		}
		if other = drop >= 0 && !bytes.Equal(t.str(drop), key); other {
			lost = k.runFrom(&t, drop, t.str(drop), lateTime(get(fixed)))
			left = k.runFrom(&t, drop+1, t.str(drop), now)
		}
	}
	out, row := t.splice(scratch, drop, i, key)
	putHeader(out, int(binary.LittleEndian.Uint16(out)), false, 0)
	put48(out[header+row*sequenceRow:], in.Time)
	putMask(out[header+row*sequenceRow:], 1<<in.Step)
	if horizon := now - k.keep + 1; k.keep > 0 && min(oldest, in.Time) < horizon {
		u := k.open(out)
		out, same = u.without(horizon, out[len(out):]), false
	}
	u := k.open(out)
	if same {
		if !latest {
			after = k.runOf(&u, key, lateKey(now))
		}
		same = sum.replace(&before, &after)
	}
	if same && other {
		same = sum.replace(&lost, &left)
	}
	if !same {
		sum = k.read(&u, now)
	}
	sum.store(fixed, now)
	return out
}

func (k *sequence) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	x, y := k.open(seg), k.open(otherSeg)
	if y.n == 0 {
		return seg
	}
	horizon := int64(0)
	if k.keep > 0 {
		horizon = max(x.newest(), y.newest()) - k.keep + 1
	}
	b := joinCells(&x, &y, scratch, horizon, func(row, other []byte) { putMask(row, maskOf(row)|maskOf(other)) })
	if b.n > k.limit {
		b.keepGreatest(k.limit, false, cellRank)
	}
	out := b.finish(false, 0)
	t := k.open(out)
	now := t.newest()
	sum := k.read(&t, now)
	sum.store(fixed, now)
	return out
}

func maskOf(row []byte) uint64     { return uint64(binary.LittleEndian.Uint16(row[6:])) }
func putMask(row []byte, m uint64) { binary.LittleEndian.PutUint16(row[6:], uint16(m)) }

// key is what an occurrence is about.
func (k *sequence) key(in *Input) (key []byte, ok bool) {
	if !k.keyed {
		return nil, true
	}
	return in.Value.Str, in.Value.Kind == event.String && len(in.Value.Str) <= MaxSequenceKey
}
