package resp

import (
	"bytes"
	"time"

	"dashi/shard"
)

// Keys that are not profiles.
const (
	audiencePrefix  = "audience:"  // + NAME
	audiencesPrefix = "audiences:" // + NS:VALUE
)

// cut splits namespace:value at the first colon.
func cut(key []byte) (namespace, value []byte, ok bool) {
	i := bytes.IndexByte(key, ':')
	if i <= 0 || i == len(key)-1 {
		return nil, nil, false
	}
	return key[:i], key[i+1:], true
}

func (s *Session) badKey(key []byte) {
	s.failShown("ERR the key ", key, " is not namespace:value, as in user_id:42")
}

// moveWait is how long a command waits for a profile that moves between two shards, which takes about a millisecond. Then the
// answer is that there is none.
const moveWait = 20 * time.Millisecond

// lookup calls fn with the profile under key. ok is false when the key is not one, and then an error was answered; or when the
// profile is moving, and then the command is paused: what it has answered stays, and it goes on at Session.at.
func (s *Session) lookup(key []byte, fn func(*shard.View)) (found, ok bool) {
	namespace, value, ok := cut(key)
	if !ok {
		s.badKey(key)
		return false, false
	}
	s.work--
	where := Away
	if s.level == Local {
		where = s.shared.backend.Lookup(namespace, value, s.now, fn)
	}
	if where == Away {
		return s.fetched(key, fn)
	}
	if where == Moving && s.wait() {
		return false, false
	}
	s.note(where == Found)
	return where == Found, true
}

// note counts a look-up that was answered.
func (s *Session) note(found bool) {
	s.waiting = time.Time{}
	if found {
		s.tally.hits++
	} else {
		s.tally.misses++
	}
}

// wait pauses the command, for moveWait in all; then it is false.
func (s *Session) wait() bool {
	now := time.Now()
	if s.waiting.IsZero() {
		s.waiting = now
	}
	if now.Sub(s.waiting) > moveWait {
		return false
	}
	s.pause(s.at)
	return true
}

// lookupHash is lookup for commands on hashes: the keys of sets are an error. They are looked for only after a miss, so
// a namespace that is called "audience" still works.
func (s *Session) lookupHash(key []byte, fn func(*shard.View)) (found, ok bool) {
	found, ok = s.lookup(key, fn)
	if !found && ok && isSetKey(key) {
		s.fail("WRONGTYPE this key holds a set: SISMEMBER, SMISMEMBER and SCARD read audience:NAME, SMEMBERS reads audiences:namespace:value")
		return false, false
	}
	return found, ok
}

func isSetKey(key []byte) bool {
	return bytes.HasPrefix(key, []byte(audiencePrefix)) || bytes.HasPrefix(key, []byte(audiencesPrefix))
}

func (s *Session) hgetall() {
	if found, ok := s.lookupHash(s.args[1], s.onHash); ok && !found {
		s.openMap(0)
	}
}

func (s *Session) visitHash(v *shard.View) {
	names := s.shared.namesOf(v.Program)
	kind, per := byte('*'), 2
	if s.resp3 {
		kind, per = '%', 1
	}
	likely := per * len(names)
	out, head := openHead(s.out, kind, likely)
	n := 0
	for i, name := range names {
		mark := len(out)
		out = append(out, name...)
		var ok bool
		if out, ok = appendField(out, v, i); !ok {
			out = out[:mark]
			continue
		}
		n++
	}
	s.out = closeHead(out, head, likely, per*n)
}

func (s *Session) hget() {
	s.found = false
	s.fields = s.args[2:3]
	found, ok := s.lookupHash(s.args[1], s.onField)
	if ok && !(found && s.found) {
		s.null()
	}
}

func (s *Session) visitField(v *shard.View) {
	if i, ok := s.fieldOf(v, s.fields[0]); ok {
		s.out, s.found = appendField(s.out, v, i)
	}
}

// hmget reads up to fieldStep fields under one hold of the profile. One that asks for more, or for more than
// Limits.OutputBytes, may see the profile change in between.
func (s *Session) hmget() {
	s.fields = s.args[2:]
	if s.at > 0 {
		switch found, ok := s.lookup(s.args[1], s.onFields); {
		case ok && !found:
			s.nulls(len(s.fields) - s.at)
		case !ok && !s.paused: // the error stands for one of them
			s.nulls(len(s.fields) - s.at - 1)
		}
		return
	}
	if found, ok := s.lookupHash(s.args[1], s.onFields); ok && !found {
		s.out = appendHead(s.out, '*', len(s.fields))
		s.nulls(len(s.fields))
	}
}

func (s *Session) nulls(n int) {
	for range n {
		s.null()
	}
}

func (s *Session) visitFields(v *shard.View) {
	from := s.at
	if from == 0 {
		s.out = appendHead(s.out, '*', len(s.fields))
	}
	for k, name := range s.fields[from:] {
		if k == fieldStep || k > 0 && len(s.out) >= s.limit {
			s.pause(from + k)
			return
		}
		i, ok := s.fieldOf(v, name)
		if ok {
			s.out, ok = appendField(s.out, v, i)
		}
		if !ok {
			s.null()
		}
	}
}

// fieldOf finds an attribute in the program of the View: that of the backend may be newer (I6).
func (s *Session) fieldOf(v *shard.View, name []byte) (index int, ok bool) {
	if i, ok := s.shared.backend.FieldIndex(name); ok && i < v.Fields() && v.FieldName(i) == string(name) {
		return i, true
	}
	for i := range v.Fields() {
		if v.FieldName(i) == string(name) {
			return i, true
		}
	}
	return 0, false
}

func (s *Session) hexists() {
	s.count = 0
	s.fields = s.args[2:3]
	if _, ok := s.lookupHash(s.args[1], s.onExists); ok {
		s.out = appendInt(s.out, int64(s.count))
	}
}

func (s *Session) visitExists(v *shard.View) {
	mark := len(s.out)
	if i, ok := s.fieldOf(v, s.fields[0]); ok {
		if s.out, ok = v.AppendField(s.out, i); ok {
			s.count = 1
		}
	}
	s.out = s.out[:mark]
}

func (s *Session) hlen() {
	s.count = 0
	if _, ok := s.lookupHash(s.args[1], s.onCount); ok {
		s.out = appendInt(s.out, int64(s.count))
	}
}

func (s *Session) visitCount(v *shard.View) {
	mark := len(s.out)
	for i := range v.Fields() {
		var ok bool
		if s.out, ok = v.AppendField(s.out[:mark], i); ok {
			s.count++
		}
	}
	s.out = s.out[:mark]
}

func (s *Session) exists() {
	if s.at == 0 {
		s.at, s.total = 1, 0
	}
	keys := s.args[s.at:]
	for i, key := range keys {
		if s.spent() {
			s.pause(s.at + i)
			return
		}
		if i%aheadKeys == 0 {
			s.touchKeys(keys[i:min(i+aheadKeys, len(keys))])
		}
		kind, ok := s.typeOf(key)
		if s.paused {
			s.pause(s.at + i)
		}
		if !ok {
			return
		}
		if kind != "none" {
			s.total++
		}
	}
	s.out = appendInt(s.out, s.total)
}

func (s *Session) typeCommand() {
	if kind, ok := s.typeOf(s.args[1]); ok {
		s.out = appendSimple(s.out, kind)
	}
}

// ttl answers TTL and PTTL as Redis does for a key without a time to live, -1, and for one that there is not, -2. A profile that goes after a silence
// has no such time: whatever is heard of it puts its end off.
func (s *Session) ttl() {
	if kind, ok := s.typeOf(s.args[1]); ok && kind == "none" {
		s.out = appendInt(s.out, -2)
	} else if ok {
		s.out = appendInt(s.out, -1)
	}
}

// typeOf says what a key holds. An empty set does not exist, as in Redis.
func (s *Session) typeOf(key []byte) (kind string, ok bool) {
	found, ok := s.lookup(key, nothing)
	switch {
	case !ok:
		return "", false
	case found:
		return "hash", true
	}
	if rest, ok := bytes.CutPrefix(key, []byte(audiencesPrefix)); ok {
		if _, _, ok := cut(rest); ok {
			s.count = 0
			if _, ok := s.lookup(rest, s.onSize); !ok {
				return "", false
			} else if s.count > 0 {
				return "set", true
			}
		}
	} else if name, ok := bytes.CutPrefix(key, []byte(audiencePrefix)); ok {
		if size, ok := s.audienceSize(name); !ok {
			return "", false
		} else if size > 0 {
			return "set", true
		}
	}
	return "none", true
}

func nothing(*shard.View) {}
