package resp

import (
	"sync/atomic"

	"dashi/shard"
)

// A node does not have every profile, and one that it has may be older than the client wants (DASHI READ). What a session needs from other nodes is fetched
// while others are served: the command is paused, everything that the commands behind it will need is asked for along with it, and the session
// goes on where it was when that has come.

// maxFetch is how many profiles are asked for at once.
const maxFetch = 1024

// fetch is what a session waits for, or has been brought. It is good for the commands that had been read when it began: for no later one, which may have
// been sent after something changed.
type fetch struct {
	keys, audiences map[string]int // to their places in Fetched
	upTo            int            // the first of Session.ready that it is not good for
	got             atomic.Pointer[Fetched]
	came            chan struct{} // closed when got is set
	before          *fetch        // what came earlier, of which more may be needed
}

// fetching says whether the session waits for another node.
func (s *Session) fetching() bool { return s.fetch != nil && s.fetch.got.Load() == nil }

// fetched is lookup for a profile that has to be fetched, or has been.
func (s *Session) fetched(key []byte, fn func(*shard.View)) (found, ok bool) {
	if p := s.brought(key); p != nil {
		found, err := p.Show(fn)
		if err != nil {
			s.unavailable(err)
			return false, false
		}
		s.note(found)
		return found, true
	}
	s.begin(s.keysAhead(key), nil)
	return false, false
}

// brought is the profile under a key, if that has been fetched.
func (s *Session) brought(key []byte) Profile {
	for f := s.fetch; f != nil && s.next < f.upTo; f = f.before {
		if i, asked := f.keys[string(key)]; asked {
			return f.got.Load().Profiles[i]
		}
	}
	return nil
}

// audienceSize is the number of profiles in an audience. When it is not ok, the command is paused, or an error was answered.
func (s *Session) audienceSize(name []byte) (size int64, ok bool) {
	i, known := s.shared.backend.AudienceIndex(name)
	if !known {
		return 0, true
	}
	s.work -= sizeWork
	if s.level == Local {
		if size, here := s.shared.backend.AudienceSize(i); here {
			return size, true
		}
	}
	for f := s.fetch; f != nil && s.next < f.upTo; f = f.before {
		if i, asked := f.audiences[string(name)]; asked {
			got := f.got.Load()
			if got.SizesErr != nil {
				s.unavailable(got.SizesErr)
				return 0, false
			}
			return got.Sizes[i], true
		}
	}
	s.begin(nil, []string{string(name)})
	return 0, false
}

// unavailable answers that no node could be asked. TRYAGAIN is what clients know from Redis' own clusters.
func (s *Session) unavailable(err error) { s.fail("TRYAGAIN " + err.Error()) }

// keysAhead are the keys of profiles that the present command and those behind it read, key first.
func (s *Session) keysAhead(key []byte) (keys []string) {
	s.keys = append(s.keys[:0], key)
	switch s.ready[s.next].command.name {
	case "exists":
		s.keys = append(s.keys, s.args[max(s.at, 1):]...)
	case "smismember":
		s.keys = append(s.keys, s.args[max(s.at, 2):]...)
	}
	s.keys = s.appendKeys(s.keys, s.input[s.used:])
	for _, k := range s.keys {
		if _, _, ok := cut(k); ok && len(keys) < maxFetch && s.brought(k) == nil {
			keys = append(keys, string(k))
		}
	}
	clear(s.keys)
	return keys
}

// begin asks for profiles and sizes, besides those that the command has been brought already, and pauses it.
func (s *Session) begin(keys, audiences []string) {
	f := &fetch{keys: map[string]int{}, audiences: map[string]int{}, upTo: len(s.ready), came: make(chan struct{}), before: s.fetch}
	keys, audiences = once(keys, f.keys), once(audiences, f.audiences)
	s.fetch = f
	s.pause(s.at)
	feed := s.feed
	s.shared.backend.Fetch(s.level, keys, audiences, func(got *Fetched) {
		f.got.Store(got)
		close(f.came)
		if feed != nil {
			feed.wake()
		}
	})
}

// once gives each name its place, and returns them without repetitions.
func once(names []string, places map[string]int) (all []string) {
	for _, name := range names {
		if _, again := places[name]; !again {
			places[name] = len(all)
			all = append(all, name)
		}
	}
	return all
}

// levels are the words of DASHI READ.
var levels = [...]string{Local: "LOCAL", Leader: "LEADER", Linearizable: "LINEARIZABLE"}

// dashi answers DASHI READ [level], which says how fresh the answers to this connection have to be, and DASHI BEHIND.
func (s *Session) dashi() {
	switch {
	case is(s.args[1], "BEHIND") && len(s.args) == 2:
		s.out = appendInt(s.out, int64(s.shared.backend.Info().Behind))
		return
	case !is(s.args[1], "READ"):
		s.failShown("ERR unknown subcommand ", s.args[1], ": DASHI READ [LOCAL | LEADER | LINEARIZABLE], DASHI BEHIND")
		return
	}
	if len(s.args) == 2 {
		s.out = appendBulk(s.out, levels[s.level])
		return
	}
	for level, word := range levels {
		if len(s.args) == 3 && is(s.args[2], word) {
			s.level = Level(level)
			s.ok()
			return
		}
	}
	s.fail("ERR DASHI READ takes LOCAL, LEADER or LINEARIZABLE")
}

// readonly and readwrite are what clients of Redis' own clusters say: whether a replica may answer, or the leader has to.
func (s *Session) readonly() {
	s.level = Local
	s.ok()
}

func (s *Session) readwrite() {
	s.level = Leader
	s.ok()
}
