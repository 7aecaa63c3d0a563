package resp

import (
	"bytes"

	"dashi/shard"
)

// setKey says which set a key names: rest is NAME of an audience when one is true, else the NS:VALUE of a profile.
func (s *Session) setKey(key []byte) (rest []byte, one, ok bool) {
	if rest, ok = bytes.CutPrefix(key, []byte(audiencePrefix)); ok && len(rest) > 0 {
		return rest, true, true
	}
	if rest, ok = bytes.CutPrefix(key, []byte(audiencesPrefix)); ok && len(rest) > 0 {
		return rest, false, true
	}
	s.failShown("ERR the key ", key, " is no set: audience:NAME holds the members of an audience, audiences:namespace:value the audiences of a profile")
	return nil, false, false
}

func (s *Session) smembers() {
	rest, one, ok := s.setKey(s.args[1])
	if !ok {
		return
	}
	if one {
		s.failShown("ERR the members of the audience ", rest, " are not listed over RESP: GET /v1/audiences/NAME/members over HTTP streams them")
		return
	}
	if found, ok := s.lookup(rest, s.onSet); ok && !found {
		s.openSet(0)
	}
}

// likelyAudiences has as many digits as the number of audiences most profiles are in.
const likelyAudiences = 9

func (s *Session) visitSet(v *shard.View) {
	out, head := openHead(s.out, s.setKind(), likelyAudiences)
	n := 0
	for i := range v.Program.Audiences {
		if v.In(i) {
			out = appendBulk(out, v.Program.Audiences[i].Name)
			n++
		}
	}
	s.out = closeHead(out, head, likelyAudiences, n)
}

func (s *Session) visitSize(v *shard.View) {
	for i := range v.Program.Audiences {
		if v.In(i) {
			s.count++
		}
	}
}

// sizeWork is what the size of an audience costs, which asks every shard, in look-ups.
const sizeWork = 16

func (s *Session) scard() {
	rest, one, ok := s.setKey(s.args[1])
	if !ok {
		return
	}
	if one {
		if n, ok := s.audienceSize(rest); ok {
			s.out = appendInt(s.out, n)
		}
		return
	}
	s.count = 0
	if _, ok := s.lookup(rest, s.onSize); ok {
		s.out = appendInt(s.out, int64(s.count))
	}
}

func (s *Session) sismember() {
	rest, one, ok := s.setKey(s.args[1])
	if ok && s.areKeys(rest, one, s.args[2:3]) {
		if n, ok := s.member(rest, one, s.args[2]); ok {
			s.out = appendInt(s.out, n)
		}
	}
}

func (s *Session) smismember() {
	rest, one, ok := s.setKey(s.args[1])
	if !ok {
		return
	}
	if s.at == 0 {
		if !s.areKeys(rest, one, s.args[2:]) {
			return
		}
		s.out = appendHead(s.out, '*', len(s.args)-2)
		s.at = 2
	}
	members := s.args[s.at:]
	for i, m := range members {
		if s.spent() {
			s.pause(s.at + i)
			return
		}
		if one && i%aheadKeys == 0 {
			s.touchKeys(members[i:min(i+aheadKeys, len(members))])
		}
		n, ok := s.member(rest, one, m)
		if s.paused {
			s.pause(s.at + i)
			return
		}
		if ok { // else an error stands in its place
			s.out = appendInt(s.out, n)
		}
	}
}

// areKeys checks what has to be namespace:value before anything is answered: the members of an audience, or the rest of
// the key audiences:namespace:value.
func (s *Session) areKeys(rest []byte, one bool, members [][]byte) bool {
	if !one {
		if _, _, ok := cut(rest); !ok {
			s.badKey(rest)
			return false
		}
		return true
	}
	for _, m := range members {
		if _, _, ok := cut(m); !ok {
			s.badKey(m)
			return false
		}
	}
	return true
}

// member is 1 when m is in the set: a profile in an audience, or an audience among those of a profile. When it is not ok, the command is paused, or
// an error was answered.
func (s *Session) member(rest []byte, one bool, m []byte) (n int64, ok bool) {
	name, key := rest, m
	if !one {
		name, key = m, rest
	}
	s.audience = -1
	if i, ok := s.shared.backend.AudienceIndex(name); ok {
		s.audience = i
	}
	s.audienceName, s.count = name, 0
	_, ok = s.lookup(key, s.onMember)
	return int64(s.count), ok
}

func (s *Session) visitMember(v *shard.View) {
	i := s.audience
	if i < 0 || i >= len(v.Program.Audiences) || v.Program.Audiences[i].Name != string(s.audienceName) {
		// The cookbook is being replaced (I6), or there is no such audience.
		for i = len(v.Program.Audiences) - 1; i >= 0; i-- {
			if v.Program.Audiences[i].Name == string(s.audienceName) {
				break
			}
		}
	}
	if i >= 0 && v.In(i) {
		s.count = 1
	}
}
