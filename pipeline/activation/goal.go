package activation

import "cmp"

// Some activations have a goal: that people buy, say. What such an activation did is known only by comparison with people who would have got it and did
// not. So it is held back from a share of the people, and for both sides the schedule keeps, among its marks, when a person was exposed (when the activation
// left, or would have left) and how long after that the goal was reached. The first exposure of a person counts, and decides for good which side they are on.
//
// Two profiles that turn out to be one person are one exposure: the earlier one, with its side. That keeps the two sides comparable. To leave out people who
// were on both sides would not: of people with two devices it would leave out nearly all who were held back on one, and few of the others.

// Exposure is what is kept of a person who was exposed to an activation with a goal.
type Exposure struct {
	ID      uint64 // of the goal
	At      int64
	Control bool  // it was held back
	After   int64 // how long after At the goal was reached first, in milliseconds; 0: it was not
}

// Converted says whether the goal was reached in time.
func (e *Exposure) Converted(within int64) bool { return e.After > 0 && e.After <= within }

func (e *Exposure) mark() mark {
	m := mark{kind: markExposed, id: e.ID, at: e.At, value: uint64(e.After) << 1}
	if e.Control {
		m.value |= 1
	}
	return m
}

func (m *mark) exposure() Exposure {
	return Exposure{ID: m.id, At: m.at, Control: m.value&1 != 0, After: int64(m.value >> 1)}
}

// Exposes says whether a schedule knows of an exposure.
func Exposes(segment []byte) bool { return len(segment) > 0 && segment[0]&exposes != 0 }

// exposed is the index of the mark of an exposure, -1 for none.
func (s *Schedule) exposed(id uint64) int {
	for i := range s.marks {
		if s.marks[i].kind == markExposed && s.marks[i].id == id {
			return i
		}
	}
	return -1
}

// Expose notes that the person is exposed at an instant, held back or not, and returns on which side they are: whoever was exposed before stays on that side.
func (s *Schedule) Expose(id uint64, control bool, at int64) (side, first bool) {
	if i := s.exposed(id); i >= 0 {
		return s.marks[i].value&1 != 0, false
	}
	e := Exposure{ID: id, At: at, Control: control}
	s.marks = append(s.marks, e.mark())
	return control, true
}

// Reach notes that the goal was reached at an instant, if that is after the exposure and in time. changed says whether that is news, and first
// whether it is the first time that they have reached it in time.
func (s *Schedule) Reach(id uint64, within, at int64) (control, changed, first bool) {
	i := s.exposed(id)
	if i < 0 {
		return false, false, false
	}
	e := s.marks[i].exposure()
	after := at - e.At
	if after <= 0 || after > within || e.After > 0 && e.After <= after {
		return e.Control, false, false
	}
	first = !e.Converted(within)
	e.After = after
	s.marks[i] = e.mark()
	return e.Control, true, first
}

// EachExposure calls fn with the exposures.
func (s *Schedule) EachExposure(fn func(e *Exposure)) {
	for i := range s.marks {
		if s.marks[i].kind == markExposed {
			e := s.marks[i].exposure()
			fn(&e)
		}
	}
}

// Leave drops the exposures that another schedule has as well: they went away with it.
func (s *Schedule) Leave(o *Schedule) {
	kept := s.marks[:0]
	for _, m := range s.marks {
		if i := o.exposed(m.id); m.kind != markExposed || i < 0 || o.marks[i].at != m.at {
			kept = append(kept, m)
		}
	}
	s.marks = kept
}

// Remember puts the exposures of another schedule in.
func (s *Schedule) Remember(o *Schedule) {
	for _, m := range o.marks {
		if m.kind != markExposed {
			continue
		}
		if i := s.exposed(m.id); i >= 0 {
			s.marks[i] = joinExposures(s.marks[i], m)
		} else {
			s.marks = append(s.marks, m)
		}
	}
}

// joinExposures makes one exposure of two of the same person: the earlier one, with the first time that the goal was reached.
func joinExposures(m, o mark) mark {
	a, b := m.exposure(), o.exposure()
	if cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(m.value&1, o.value&1)) > 0 {
		a, b = b, a
	}
	if after := b.At - a.At + b.After; b.After > 0 && (a.After == 0 || after < a.After) {
		a.After = after
	}
	return a.mark()
}
