package resp

import "bytes"

// How far a session reads ahead of the command that it answers, and how much one Handle does. A look-up is about a
// microsecond, so that a Handle takes about half a millisecond at most, and a loop with many clients goes round soon.
const (
	aheadCommands = 64  // found before the first of them is answered
	aheadKeys     = 64  // of one command with many keys, whose memory is read ahead at once
	turnWork      = 512 // commands and look-ups; then Handle returns Again
	fieldStep     = 256 // fields of one HMGET that are read under one hold of a profile
)

// request is a command that has been found and not been answered.
type request struct {
	command *command // nil when there is no such word
	spans   int      // how many of Session.spans are its arguments
	size    int      // bytes
}

// single says whether the command reads one profile and changes nothing in the session, so that what follows it can be
// looked at first.
func (r *request) single() bool { return r.command != nil && r.command.single > 0 }

// ahead finds commands in in, which begins with the first that has not been answered. It stops behind one that may
// change how the rest is read (AUTH, RESET, QUIT), and at a fault, which is told when all before it is answered.
func (s *Session) ahead(in []byte) {
	if s.next == len(s.ready) {
		s.ready, s.spans, s.next, s.nextSpan, s.parsed = s.ready[:0], s.spans[:0], 0, 0, 0
	}
	for len(s.ready) < aheadCommands && s.fault == "" {
		if n := len(s.ready); n > 0 && !s.ready[n-1].single() {
			return
		}
		n, fault := s.parser.next(in[s.parsed:], s.bounds())
		if n == 0 {
			s.fault = fault
			return
		}
		r := request{spans: len(s.parser.spans), size: n}
		if r.spans > 0 {
			word := s.parser.spans[0]
			var upper [maxName]byte
			r.command = s.shared.commandTable[string(upperCase(upper[:0], in[s.parsed+word.from:s.parsed+word.to]))]
		}
		s.spans = append(s.spans, s.parser.spans...)
		s.ready = append(s.ready, r)
		s.parsed += n
	}
}

// appendKeys appends the keys of the profiles that the commands ahead read, NS:VALUE. They are parts of in.
func (s *Session) appendKeys(dst [][]byte, in []byte) [][]byte {
	spans := s.spans[s.nextSpan:]
	for i := s.next; i < len(s.ready); i++ {
		r := &s.ready[i]
		if r.single() && r.command.single < r.spans {
			sp := spans[r.command.single]
			dst = append(dst, bytes.TrimPrefix(in[sp.from:sp.to], audiencesBytes))
		}
		in, spans = in[r.size:], spans[r.spans:]
	}
	return dst
}

var audiencesBytes = []byte(audiencesPrefix)

// touch has the memory of all profiles ahead read before the first is answered, so that the cache misses overlap.
func (s *Session) touch(in []byte) {
	if len(s.ready)-s.next < 2 {
		return
	}
	s.keys = s.appendKeys(s.keys[:0], in)
	s.touchKeys(s.keys)
	clear(s.keys)
}

func (s *Session) touchKeys(keys [][]byte) {
	if len(keys) > 1 {
		s.shared.backend.Touch(keys)
	}
}

// spent says whether this Handle has done its share, so that a command with many keys goes on in the next.
func (s *Session) spent() bool { return s.work <= 0 || len(s.out) >= s.limit }

// pause makes the command go on with argument i in the next Handle.
func (s *Session) pause(i int) { s.at, s.paused = i, true }
