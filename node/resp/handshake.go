package resp

import (
	"bytes"
	"crypto/sha256"
)

// speaks is the version of Redis whose protocol this is. Clients compare it before they use a command.
const speaks = "7.4.0"

func (s *Session) ping() {
	switch {
	case len(s.args) > 2:
		s.wrongArity("ping")
	case s.channels != nil && !s.resp3:
		s.out = appendHead(s.out, '*', 2)
		s.out = appendBulk(s.out, "pong")
		if len(s.args) == 2 {
			s.out = appendBulk(s.out, s.args[1])
		} else {
			s.out = appendBulk(s.out, "")
		}
	case len(s.args) == 2:
		s.out = appendBulk(s.out, s.args[1])
	default:
		s.out = appendSimple(s.out, "PONG")
	}
}

func (s *Session) echo() { s.out = appendBulk(s.out, s.args[1]) }

func (s *Session) quit() {
	s.ok()
	s.closing = true
}

// reset makes the session as it was when the client connected.
func (s *Session) reset() {
	s.setChannels(nil)
	s.resp3, s.trusted, s.name, s.level = false, s.locks.none(), "", Local
	s.out = appendSimple(s.out, "RESET")
}

func (s *Session) auth() {
	user, password := []byte("default"), s.args[1]
	switch {
	case len(s.args) == 3:
		user, password = s.args[1], s.args[2]
	case len(s.args) > 3:
		s.fail("ERR syntax error")
		return
	case s.locks.none():
		s.fail("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
		return
	}
	if s.authenticate(user, password) {
		s.ok()
	}
}

// authenticate knows one user, "default". Without a password any is right, as for Redis' own default user.
func (s *Session) authenticate(user, password []byte) bool {
	sum := digest(sha256.Sum256(password))
	if !s.locks.none() && !s.locks.open(&sum) || string(user) != "default" {
		s.fail("WRONGPASS invalid username-password pair or user is disabled.")
		return false
	}
	s.trusted, s.by = true, sum
	return true
}

func (s *Session) hello() {
	resp3 := s.resp3
	rest := s.args[1:]
	if len(rest) > 0 {
		switch string(rest[0]) {
		case "2":
			resp3 = false
		case "3":
			resp3 = true
		default:
			s.fail("NOPROTO unsupported protocol version")
			return
		}
		rest = rest[1:]
	}
	name := s.name
	for len(rest) > 0 {
		switch {
		case is(rest[0], "AUTH") && len(rest) >= 3:
			if !s.authenticate(rest[1], rest[2]) {
				return
			}
			rest = rest[3:]
		case is(rest[0], "SETNAME") && len(rest) >= 2:
			if !printable(rest[1]) {
				s.fail("ERR Client names cannot contain spaces, newlines or special characters.")
				return
			}
			name = string(rest[1])
			rest = rest[2:]
		default:
			s.failShown("ERR Syntax error in HELLO option ", rest[0], "")
			return
		}
	}
	if !s.trusted {
		s.fail("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	s.resp3, s.name = resp3, name
	s.openMap(7)
	s.pair("server", "redis")
	s.pair("version", speaks)
	s.out = appendBulk(s.out, "proto")
	if resp3 {
		s.out = appendInt(s.out, 3)
	} else {
		s.out = appendInt(s.out, 2)
	}
	s.out = appendBulk(s.out, "id")
	s.out = appendInt(s.out, s.id)
	s.pair("mode", "standalone")
	s.pair("role", "master")
	s.out = appendBulk(s.out, "modules")
	s.out = appendHead(s.out, '*', 0)
}

func (s *Session) pair(name, value string) {
	s.out = appendBulk(s.out, name)
	s.out = appendBulk(s.out, value)
}

func (s *Session) selectCommand() {
	if string(s.args[1]) == "0" {
		s.ok()
		return
	}
	s.fail("ERR DB index is out of range")
}

func (s *Session) role() {
	s.out = appendHead(s.out, '*', 3)
	s.out = appendBulk(s.out, "master")
	s.out = appendInt(s.out, 0)
	s.out = appendHead(s.out, '*', 0)
}

// cluster answers as Redis does outside a cluster, which is how clients learn that there is none. Any dashi node answers
// for all of them, so a client needs no slots.
func (s *Session) cluster() { s.fail("ERR This instance has cluster support disabled") }

func (s *Session) client() {
	sub, rest := s.args[1], s.args[2:]
	switch {
	case is(sub, "ID") && len(rest) == 0:
		s.out = appendInt(s.out, s.id)
	case is(sub, "GETNAME") && len(rest) == 0:
		if s.name == "" {
			s.null()
		} else {
			s.out = appendBulk(s.out, s.name)
		}
	case is(sub, "SETNAME") && len(rest) == 1:
		if !printable(rest[0]) {
			s.fail("ERR Client names cannot contain spaces, newlines or special characters.")
			return
		}
		s.name = string(rest[0])
		s.ok()
	case is(sub, "SETINFO") && len(rest) == 2:
		s.setInfo(rest[0], rest[1])
	case is(sub, "INFO") && len(rest) == 0:
		s.out = appendBulk(s.out, s.describeClient())
	case (is(sub, "NO-EVICT") || is(sub, "NO-TOUCH")) && len(rest) == 1 && (is(rest[0], "ON") || is(rest[0], "OFF")):
		s.ok()
	case is(sub, "ID") || is(sub, "GETNAME") || is(sub, "SETNAME") || is(sub, "SETINFO") || is(sub, "INFO") ||
		is(sub, "NO-EVICT") || is(sub, "NO-TOUCH"):
		s.fail("ERR wrong arguments for this CLIENT subcommand")
	default:
		s.unknownSub("CLIENT", sub)
	}
}

func (s *Session) setInfo(option, value []byte) {
	if !printable(value) {
		s.fail("ERR lib-name and lib-ver cannot contain spaces, newlines or special characters.")
		return
	}
	switch {
	case is(option, "LIB-NAME"):
		s.library[0] = string(value)
	case is(option, "LIB-VER"):
		s.library[1] = string(value)
	default:
		s.failShown("ERR Unrecognized option ", option, "")
		return
	}
	s.ok()
}

// nameBytes bounds what a client says about itself, which the session keeps.
const nameBytes = 256

func printable(name []byte) bool {
	return len(name) <= nameBytes && bytes.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
