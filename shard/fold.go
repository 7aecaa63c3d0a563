package shard

import (
	"bytes"
	"math"
	"slices"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// flip is how an update of an attribute finds out which audiences may flip.
type flip uint8

const (
	flipNothing flip = iota // no audience reads the attribute
	flipNumber              // its number before and after, against the constants that conditions compare with
	flipGauge               // the same, for a kind that tells both at once
	flipText                // whether its string is another
	flipTruth               // whether its truth is another
	flipSet                 // one element, if any came or went
	flipTally               // one key
	flipAny                 // every update counts
)

// fold is what an update needs to know of a stored attribute, on one cache line.
type fold struct {
	kind    attribute.Kind
	gauge   attribute.Gauge // for flipGauge
	offset  int
	segment int
	size    int // of its fixed part
	flip    flip
	exact   bool // it sums exactly, and so has a range
}

// nothing says whether a state is the zero state, which a merge may pass over (I1 of attribute.Kind). Most states of a profile that another one
// takes in are.
func (f *fold) nothing(fixed, segment []byte) bool {
	if len(segment) > 0 {
		return false
	}
	for at := f.offset; at < f.offset+f.size; at += 8 {
		if le64(fixed[at:]) != 0 {
			return false
		}
	}
	return true
}

func newFold(a *recipe.Attribute, read bool) fold {
	if a.Kind == nil {
		return fold{}
	}
	name := a.Kind.Name()
	f := fold{kind: a.Kind, offset: a.Slot.Offset, segment: a.Slot.Segment, size: a.Kind.FixedSize(), flip: flipAny, exact: slices.Contains([]string{"sum", "avg", "tally"}, name)}
	switch {
	case !read:
		f.flip = flipNothing
	case a.Timed != nil: // its next change by time may be another one while its value stays
	case a.Type == attribute.Number || a.Type == attribute.Time:
		f.flip = flipNumber
		if gauge, ok := attribute.GaugeOf(a.Kind); ok {
			f.flip, f.gauge = flipGauge, gauge
		}
	case a.Type == attribute.Bool:
		f.flip = flipTruth
	case a.Type == attribute.String:
		f.flip = flipText
	case attribute.InSession(a.Kind): // another session, other elements
	case name == "set":
		f.flip = flipSet
	case name == "tally":
		f.flip = flipTally
	}
	return f
}

// fold folds one occurrence into attribute i and marks the audiences that may flip.
func (a *applier) fold(i int, in *attribute.Input) {
	p, state := a.s.program, &a.env.State
	f := &p.folds[i]
	if f.exact && outOfRange(in) {
		a.s.counters.OutOfRange++
		return
	}
	if len(state.Data) >= MaxProfile && f.segment >= 0 {
		a.s.counters.TooLarge++
		return
	}
	if a.fragment != 0 {
		a.besides(f, in)
		a.side.heeded = a.side.heeded || p.sticky.bits != nil && p.sticky.attributes[i]
	}
	fixed := state.Fixed[f.offset:]
	if f.flip == flipGauge {
		m := f.gauge.Move(fixed, in)
		p.index.Changed(i, m.Before, m.Had, m.After, m.Has, a.dirty)
		return
	}
	var segment []byte
	if f.segment >= 0 {
		segment = state.Segment(f.segment)
	}
	switch f.flip {
	case flipNothing:
		a.update(f, fixed, segment, in)
	case flipNumber:
		before, had := f.kind.Num(fixed, segment, in.Now)
		segment, _ = a.update(f, fixed, segment, in)
		after, has := f.kind.Num(fixed, segment, in.Now)
		p.index.Changed(i, before, had, after, has, a.dirty)
	case flipTruth:
		before, had := f.kind.Truth(fixed, segment, in.Now)
		segment, _ = a.update(f, fixed, segment, in)
		if after, has := f.kind.Truth(fixed, segment, in.Now); after != before || has != had {
			p.index.Touched(i, a.dirty)
		}
	case flipText:
		before, had := f.kind.Str(fixed, segment, in.Now)
		a.scratch.text = append(a.scratch.text[:0], before...)
		segment, _ = a.update(f, fixed, segment, in)
		if after, has := f.kind.Str(fixed, segment, in.Now); has != had || !bytes.Equal(after, a.scratch.text) {
			p.index.Touched(i, a.dirty)
		}
	case flipSet, flipTally:
		before := f.kind.Len(fixed, segment, in.Now)
		segment, anew := a.update(f, fixed, segment, in)
		if f.flip == flipTally && !anew { // a key that it has
			p.index.TouchedKey(i, in.Value.Str, a.dirty)
			return
		}
		a.element(i, f, f.kind.Len(fixed, segment, in.Now)-before, anew, in.Value.Str)
	default:
		a.update(f, fixed, segment, in)
		p.index.Touched(i, a.dirty)
	}
}

// element marks the audiences that may flip because set or tally i was updated with element key: it has more elements than before by that
// number, and its segment was built anew or else edited in place.
func (a *applier) element(i int, f *fold, more int, anew bool, key []byte) {
	index := a.s.program.index
	switch {
	case anew && more != 1: // it was full: another element went
		index.Touched(i, a.dirty)
	case f.flip == flipTally || more != 0:
		index.TouchedKey(i, key, a.dirty)
	}
	// An element of a set was seen again: nobody came or went, and conditions see nothing else of a set.
}

// update folds the occurrence in, and returns the segment as it is now, and whether it was built anew.
func (a *applier) update(f *fold, fixed, segment []byte, in *attribute.Input) (now []byte, anew bool) {
	if f.segment < 0 {
		f.kind.Update(fixed, nil, in, nil)
		return nil, false
	}
	updated := f.kind.Update(fixed, segment, in, a.scratch.segment[:0])
	if same(updated, segment) {
		return segment, false
	}
	if cap(updated) > cap(a.scratch.segment) {
		a.scratch.segment = updated[:0]
	}
	a.draft.set(&a.env.State, f.segment, updated)
	return a.env.State.Segment(f.segment), true
}

// side is the fragment to which an event is applied besides the profile: its record, and the segments that changed.
type side struct {
	state  attribute.State // Fixed is all of the fixed part
	draft  draft
	heeded bool // the event changed something that a sticky audience reads
}

func (d *side) begin(rec profile.Record) {
	d.state = attribute.State{Fixed: rec.Fixed(), Dir: rec.Dir(), Data: rec.Data()}
	d.draft.begin()
}

// besides folds the occurrence into the fragment beside the profile.
func (a *applier) besides(f *fold, in *attribute.Input) {
	d := &a.side
	if len(d.state.Data) >= MaxProfile && f.segment >= 0 {
		a.s.counters.TooLarge++
		return
	}
	fixed := d.state.Fixed[f.offset:]
	if f.segment < 0 {
		f.kind.Update(fixed, nil, in, nil)
		return
	}
	segment := d.state.Segment(f.segment)
	updated := f.kind.Update(fixed, segment, in, a.scratch.segment[:0])
	if same(updated, segment) {
		return
	}
	if cap(updated) > cap(a.scratch.segment) {
		a.scratch.segment = updated[:0]
	}
	d.draft.set(&d.state, f.segment, updated)
}

// outOfRange says whether a kind that sums exactly passes over the input because a number is too large.
func outOfRange(in *attribute.Input) bool {
	if !attribute.InRange(in.By) {
		return true
	}
	return in.Value.Kind == event.Number && !attribute.InRange(math.Float64frombits(in.Value.Bits))
}

// same says whether b is the very slice a, edited in place or not at all.
func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
