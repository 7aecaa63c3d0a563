package event

// Reset empties e and gives its slices the lengths that s asks for, keeping what they have allocated. Decode and
// Unpack call it; only code that fills an Event by hand needs to. The zero Event is ready for Reset.
func (e *Event) Reset(s *Schema) {
	e.resetHead()
	e.fit(s)
	clear(e.Values)
	for i := range e.Items {
		e.Items[i] = e.Items[i][:0]
	}
	clear(e.Lens)
}

func (e *Event) resetHead() {
	e.Type, e.Name, e.Time, e.ID, e.Hash = 0, nil, 0, [2]uint64{}, 0
	e.Identifiers = e.Identifiers[:0]
	e.scratch = e.scratch[:0]
}

// fit gives the slices their lengths. Old content stays.
func (e *Event) fit(s *Schema) {
	if len(e.Values) == len(s.Fields) && len(e.Items) == len(s.Fields) && len(e.Lens) == len(s.Arrays) {
		return
	}
	e.Values = resize(e.Values, len(s.Fields))
	e.Items = resize(e.Items, len(s.Fields))
	e.Lens = resize(e.Lens, len(s.Arrays))
}

func resize[T any](v []T, n int) []T {
	if cap(v) >= n {
		return v[:n]
	}
	return append(v[:cap(v)], make([]T, n-cap(v))...)
}
