package shard

import "slices"

// applyUnlink sends the fact that two identifiers are never one person on its way. The entry may come to the home of either.
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
	s.apply.mail.out = s.appendJoin(s.apply.mail.out[:0], messageUnlink, b, a, &f)
	s.apply.send(s.home(b), s.apply.mail.out)
	s.apply.drain()
}

// readPair reads two identifiers with readNamed; that they are the same one is an error.
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

// readNamed reads an identifier whose namespace is given by name; one that the shard does not know is an error.
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
