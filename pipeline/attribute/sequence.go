package attribute

import "dashi/pipeline/event"

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
//	segment  groups; a cell is an instant (uint48) and a bit for each step that occurred then (uint16)
//
// # The cost
//
// What is shown is known up to the newest occurrence, so an input pays for what it changes: its own key, the key that loses an occurrence to
// the limit, and those for which time has passed, which are among the keys of the last while (wait). Of a key only that matters which happened since a
// pause after which nothing could go on (fresh), but for whether it was complete by then, and that is asked only when it makes a difference.
type sequence struct {
	stages []stage
	steps  int // bits of a mask that mean something
	until  uint64
	nots   uint64 // what must not occur between two stages
	kills  uint64 // until, last and nots
	// last is set when the sequence ends with a negated step: its bit and within.
	last       uint64
	lastWithin int64
	within     int64 // 0: no bound
	keep       int64
	wait       int64 // the longest that a key waits for time to change it, since its last occurrence
	reach      int64 // the longest that an occurrence matters to those after it
	limit      int
	keyed      bool
	show       string
	opens      int64 // 1: what is open is shown, which 0 is not
	completes  int64 // all bits of run.complete: what is complete is shown, which 0 is not
}

// stage is a step that takes an occurrence; a step with times is several.
type stage struct {
	bit      uint64
	within   int64 // since the stage before; 0: no bound
	optional bool
	not      uint64 // must not occur between this stage and the next
}

const (
	occurrence = 8 // bytes
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

func (k *sequence) open(g *groups, seg []byte) { g.open(seg, occurrence, k.limit) }

func (k *sequence) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	key, ok := k.key(in)
	if !ok {
		return seg
	}
	var g groups
	k.open(&g, seg)
	p := k.search(&g, key, in.Time)
	bit, known := uint64(1)<<in.Step, uint64(0)
	if p.found {
		if known = maskOf(g.cell(p.cell)); known&bit != 0 {
			return seg
		}
	}
	var sum summary
	newest := sum.load(fixed)
	if k.completes == 0 {
		sum.complete = 0 // an earlier version counted them
	}
	now := max(newest, in.Time)
	oldest, drop, last := int64(never), -1, 0
	if !p.found && (g.n >= k.limit || k.keep > 0) {
		var first int
		oldest, last, first = g.oldest()
		switch {
		case k.keep > 0 && in.Time <= newest-k.keep:
			return seg
		case g.n < k.limit:
		case in.Time < oldest || in.Time == oldest && p.cell <= first:
			return seg
		default:
			drop = first
		}
	}
	var few [2 * fewStages]reach
	room, n := few[:], len(k.stages)
	if n > fewStages {
		var all [2 * MaxStages]reach
		room = all[:]
	}
	var w matchers
	w[0].at, w[1].at = room[:n], room[n:2*n]
	k.advance(&g, &sum, newest, now, &w[0])
	cells, at := []byte(nil), 0 // of the key, and where the occurrence is or belongs
	if p.known {
		from, to := g.of(p.row)
		cells, at = g.cells[from*occurrence:to*occurrence], p.cell-from
	}
	if drop >= 0 {
		k.forget(g.cellsOf(last), 1, now, &sum, &w)
		if p.known && last == p.row {
			cells, at = cells[occurrence:], at-1
		}
	}
	k.note(cells, at, in.Time, known, known|bit, now, &sum, &w)
	out, cell := seg, []byte(nil)
	if p.found {
		cell = g.cell(p.cell)
	} else {
		out, cell = g.splice(scratch, p, key, drop, last)
	}
	put(cell, uint64(in.Time)|(known|bit)<<48)
	if horizon := now - k.keep + 1; k.keep > 0 && oldest < horizon {
		k.open(&g, out)
		out = k.without(&g, horizon, now, &sum, out[len(out):], &w)
	}
	if sum.lastLost || sum.nextLost {
		k.open(&g, out)
		k.settle(&g, &sum, now, &w[0])
	}
	sum.store(fixed, now)
	return out
}

// without forgets what was before a horizon.
func (k *sequence) without(g *groups, horizon, now int64, sum *summary, scratch []byte, w *matchers) []byte {
	for row := range g.keys.n {
		cells, n := g.cellsOf(row), 0
		for n*occurrence < len(cells) && timeOf(cells[n*occurrence:]) < horizon {
			n++
		}
		if n > 0 {
			k.forget(cells, n, now, sum, w)
		}
	}
	return g.from(scratch, horizon, 0)
}

func (k *sequence) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	var x, y, g groups
	k.open(&x, seg)
	k.open(&y, otherSeg)
	if y.n == 0 {
		return seg
	}
	horizon := int64(0)
	if k.keep > 0 {
		horizon = max(x.newest(), y.newest()) - k.keep + 1
	}
	out := joinGroups(&x, &y, scratch, horizon, k.limit, func(cell, other []byte) { put(cell, get(cell)|get(other)) })
	k.open(&g, out)
	now := g.newest()
	var room [MaxStages]reach
	m, sum := matcher{at: room[:len(k.stages)]}, summary{}
	k.read(&g, now, &sum, &m)
	sum.store(fixed, now)
	return out
}

// search is groups.search; without keys there is one group, of the empty one.
func (k *sequence) search(g *groups, key []byte, ms int64) place {
	if k.keyed {
		return g.search(key, ms)
	}
	return g.locate(0, g.keys.n > 0, ms)
}

func timeOf(cell []byte) int64  { return int64(get(cell) & mask48) }
func maskOf(cell []byte) uint64 { return get(cell) >> 48 }

// key is what an occurrence is about; ok is false for an input that is none.
func (k *sequence) key(in *Input) (key []byte, ok bool) {
	if in.Op != Add || int(in.Step) >= k.steps || in.Time < 0 || in.Time > maxTime {
		return nil, false
	}
	if !k.keyed {
		return nil, true
	}
	return in.Value.Str, in.Value.Kind == event.String && len(in.Value.Str) <= MaxSequenceKey
}
