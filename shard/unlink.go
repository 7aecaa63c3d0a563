package shard

import "slices"

// applyUnlink makes the fact that two identifiers are never one person. It begins at the home of either.
func (s *Shard) applyUnlink(body []byte, r *Result) {
	if s.program == nil {
		r.Outcome = Stale
		return
	}
	a, b, rest, err := s.readPair(body)
	now := int64(0)
	if err == nil {
		now, err = s.instant(rest)
	}
	if err != nil {
		r.refuse("unlink of %d bytes: %v", len(body), err)
		return
	}
	if s.compare(a, b) > 0 {
		a, b = b, a
	}
	f := fact{weak: b, strong: a, cut: true, first: now, last: now}
	s.apply.out = s.appendJoin(s.apply.out[:0], messageUnlink, b, a, &f)
	s.apply.send(s.home(b), s.apply.out)
	s.apply.drain()
}

// readPair reads two identifiers whose namespaces are names of the cookbook in force.
func (s *Shard) readPair(src []byte) (a, b key, rest []byte, err error) {
	for _, k := range []*key{&a, &b} {
		if *k, src, err = s.readNamed(src); err != nil {
			return a, b, nil, err
		}
	}
	if a.is(b) {
		return a, b, nil, errMessage
	}
	return a, b, src, nil
}

// readNamed reads one of them.
func (s *Shard) readNamed(src []byte) (k key, rest []byte, err error) {
	name, src, err := readBytes(src)
	if err != nil {
		return k, nil, err
	}
	value, src, err := readBytes(src)
	if err != nil {
		return k, nil, err
	}
	i := slices.Index(s.namespaces, string(name))
	if i < 0 || len(value) == 0 || len(value) > maxIdentifier {
		return k, nil, errMessage
	}
	return s.key(uint8(i), value), src, nil
}
