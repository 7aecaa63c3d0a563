package resp

import (
	"slices"
	"time"

	"dashi/shard"
)

// Next says what to do after Handle.
type Next uint8

// The answers of Handle.
const (
	More  Next = iota // everything complete was answered: write, then read more
	Again             // there is more to do: write, then call Handle with the rest
	Close             // write, then close
)

// Session is the protocol state of one client, without its connection.
type Session struct {
	shared *shared
	id     int64
	remote string
	feed   feed // where subscriptions go; nil when the session has no connection to push on

	parser   parser
	ready    []request // found by ahead; those before next are answered
	next     int
	spans    []span // arguments of ready, relative to the start of each command
	nextSpan int    // of ready[next]
	parsed   int    // bytes of ready[next:]
	fault    protocolError
	keys     [][]byte // scratch of touch

	args  [][]byte
	out   []byte // what Handle will return
	limit int    // length of out at which Handle returns
	work  int    // what this Handle may still do, in look-ups
	now   int64  // the clock, read once a Handle: milliseconds

	// A command with many keys may take several Handles: at is the argument that it goes on with, 0 for a fresh one.
	at      int
	paused  bool
	waiting time.Time // since when for a profile that moves; zero: for none
	total   int64     // of EXISTS so far

	level Level
	fetch *fetch // nil: nothing of other nodes is waited for, or still needed
	input []byte // what Handle was given, and how much of it is done with
	used  int

	resp3    bool
	locks    *locks // in force when the last batch was answered
	trusted  bool   // gave the password, or needs none
	by       digest // of the password that it gave
	closing  bool
	name     string
	library  [2]string // CLIENT SETINFO lib-name, lib-ver
	channels *channels // nil when not subscribed

	// Set before a look-up for the callback of the same name; the method values are made once, since making
	// one allocates (I4).
	audience                  int
	audienceName              []byte
	fields                    [][]byte
	found                     bool
	count                     int
	onHash, onFields, onField func(*shard.View)
	onExists, onCount, onSet  func(*shard.View)
	onMember, onSize          func(*shard.View)

	tally tally
}

// tally counts what a Handle did; it is added to the server's counters once per Handle.
type tally struct{ commands, failures, hits, misses uint64 }

// feed carries a session's subscriptions, and wakes it.
type feed interface {
	listen(*channels)
	wake() // what was fetched has come: Handle again. It is called from any goroutine.
}

func newSession(sh *shared, id int64, remote string) *Session {
	s := &Session{shared: sh, id: id, remote: remote}
	s.relock()
	s.onHash, s.onFields, s.onField = s.visitHash, s.visitFields, s.visitField
	s.onExists, s.onCount, s.onSet = s.visitExists, s.visitCount, s.visitSet
	s.onMember, s.onSize = s.visitMember, s.visitSize
	return s
}

// Handle answers the complete commands at the start of in, appending to out. used is how much of in it is done with;
// the rest must be given again, at the start, with more behind it or (after Again) as it is.
// It keeps neither slice.
func (s *Session) Handle(in, out []byte) (used int, answers []byte, next Next) {
	if s.fetching() {
		return 0, out, Again
	}
	s.relock()
	s.out, s.limit, s.work, s.input = out, len(out)+s.shared.limits.OutputBytes, turnWork, in
	s.now = time.Now().UnixMilli()
	next = More
	for next == More {
		if s.fetch != nil && s.next >= s.fetch.upTo {
			s.fetch = nil
		}
		if s.next == len(s.ready) {
			if s.ahead(in[used:]); len(s.ready) == 0 {
				break
			}
			s.touch(in[used:])
		}
		r := &s.ready[s.next]
		s.used = used
		if !s.run(r, in[used:used+r.size]) {
			next = Again
			break
		}
		used += r.size
		s.parsed -= r.size
		s.nextSpan += r.spans
		s.next++
		switch {
		case s.closing:
			next = Close
		case s.spent():
			next = Again
		}
	}
	if next == More && s.fault != "" {
		s.fail("ERR Protocol error: " + string(s.fault))
		next, used = Close, len(in)
	}
	answers, s.out, s.input = s.out, nil, nil
	s.shared.count(&s.tally)
	return used, answers, next
}

func (s *Session) bounds() *bounds {
	if s.trusted {
		return &s.shared.trusted
	}
	return &s.shared.anonymous
}

// run answers one command, or a part of it: then it is not done.
func (s *Session) run(r *request, raw []byte) (done bool) {
	if r.spans == 0 {
		return true
	}
	args := s.args[:0]
	for _, sp := range s.spans[s.nextSpan : s.nextSpan+r.spans] {
		args = append(args, raw[sp.from:sp.to])
	}
	s.args = args
	s.work--
	if s.paused {
		s.paused = false
	} else {
		s.at = 0
		s.tally.commands++
		if !s.may(r.command) {
			return true
		}
	}
	r.command.run(s)
	return !s.paused
}

// may says whether the command is one and is allowed now; otherwise the error was answered.
func (s *Session) may(c *command) bool {
	switch {
	case c == nil:
		s.unknown(s.args[0])
	case c.arity > 0 && len(s.args) != c.arity || len(s.args) < -c.arity:
		s.wrongArity(c.name)
	case !s.trusted && !c.open:
		s.fail("NOAUTH Authentication required.")
	case s.channels != nil && !s.resp3 && !c.listening:
		s.fail("ERR Can't execute '" + c.name + "': only SUBSCRIBE / UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
	default:
		return true
	}
	return false
}

// maxName is longer than every command's name; a longer word is no command.
const maxName = 24

// upperCase appends word in upper case; nothing when it is too long.
func upperCase(dst, word []byte) []byte {
	if len(word) > maxName {
		return dst
	}
	for _, c := range word {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// is compares a word of the client with an upper-case one.
func is(word []byte, upper string) bool {
	if len(word) != len(upper) {
		return false
	}
	for i, c := range word {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

func (s *Session) fail(message string) {
	s.tally.failures++
	s.out = appendError(s.out, message)
}

// failShown puts a client's own text between two parts of a message.
func (s *Session) failShown(before string, text []byte, after string) {
	s.tally.failures++
	s.out = append(s.out, '-')
	s.out = append(s.out, before...)
	s.out = appendShown(s.out, text)
	s.out = append(s.out, after...)
	s.out = append(s.out, '\r', '\n')
}

func (s *Session) wrongArity(name string) {
	s.fail("ERR wrong number of arguments for '" + name + "' command")
}

func (s *Session) unknown(name []byte) {
	var upper [maxName]byte
	word := upperCase(upper[:0], name)
	switch {
	case string(word) == "POST" || string(word) == "HOST:": // as Redis does
		s.fail("ERR this is HTTP, which has another address here (http.listen): Redis clients ask this one")
		s.closing = true
	case !s.trusted:
		s.fail("NOAUTH Authentication required.")
	case slices.Contains(writes, string(word)):
		s.failShown("READONLY ", name, ": dashi takes no writes over RESP; events come in over Kafka or HTTP")
	case slices.Contains(transactions, string(word)):
		s.failShown("ERR ", name, ": dashi has no transactions and no scripts over RESP")
	case slices.Contains(otherReads, string(word)):
		s.failShown("WRONGTYPE ", name, " reads a type that dashi does not have: a profile is a hash (HGETALL namespace:value), its audiences are a set (SMEMBERS audiences:namespace:value)")
	case slices.Contains(ofHashes, string(word)):
		s.failShown("ERR ", name, ": HGETALL reads all of a profile, HGET and HMGET some of it, HEXISTS and HLEN say what there is")
	case slices.Contains(ofSets, string(word)):
		s.failShown("ERR ", name, ": SMEMBERS audiences:namespace:value lists the audiences of a profile; who is in an audience GET /v1/audiences/NAME/members streams over HTTP")
	case slices.Contains(listings, string(word)):
		s.failShown("ERR ", name, ": dashi lists no keys over RESP; over HTTP GET /v1/audiences/NAME/members streams who is in an audience, POST /v1/query finds people")
	default:
		s.failShown("ERR unknown command ", name, "")
	}
}

// Words that get a better answer than "unknown command".
var (
	writes = []string{"SET", "SETEX", "SETNX", "PSETEX", "GETSET", "GETDEL", "GETEX", "MSET", "MSETNX", "APPEND", "SETRANGE", "SETBIT",
		"INCR", "INCRBY", "INCRBYFLOAT", "DECR", "DECRBY", "DEL", "UNLINK", "RENAME", "RENAMENX", "COPY", "MOVE", "EXPIRE", "PEXPIRE",
		"EXPIREAT", "PEXPIREAT", "PERSIST", "HSET", "HSETNX", "HMSET", "HDEL", "HINCRBY", "HINCRBYFLOAT", "SADD", "SREM", "SMOVE", "SPOP",
		"LPUSH", "RPUSH", "LPUSHX", "RPUSHX", "LPOP", "RPOP", "LSET", "LREM", "LTRIM", "LINSERT", "ZADD", "ZREM", "ZINCRBY", "XADD", "XDEL",
		"XTRIM", "PFADD", "PFMERGE", "GEOADD", "PUBLISH", "SPUBLISH", "FLUSHALL", "FLUSHDB", "RESTORE", "MIGRATE"}
	transactions = []string{"MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "SCRIPT", "FCALL", "FCALL_RO", "FUNCTION"}
	listings     = []string{"SCAN", "KEYS", "RANDOMKEY", "ZSCAN"}
	ofHashes     = []string{"HKEYS", "HVALS", "HSCAN", "HSTRLEN", "HRANDFIELD"}
	ofSets       = []string{"SSCAN", "SRANDMEMBER", "SINTER", "SINTERCARD", "SUNION", "SDIFF"}
	otherReads   = []string{"GET", "MGET", "STRLEN", "GETRANGE", "LRANGE", "LLEN", "LINDEX", "ZRANGE", "ZSCORE", "ZCARD", "XRANGE", "XLEN", "GETBIT", "PFCOUNT"}
)

func (s *Session) null() {
	if s.resp3 {
		s.out = append(s.out, "_\r\n"...)
	} else {
		s.out = append(s.out, "$-1\r\n"...)
	}
}

// openMap and openSet start a map of n pairs and a set of n elements, in the protocol the client speaks.
func (s *Session) openMap(n int) {
	if s.resp3 {
		s.out = appendHead(s.out, '%', n)
	} else {
		s.out = appendHead(s.out, '*', 2*n)
	}
}

func (s *Session) openSet(n int) { s.out = appendHead(s.out, s.setKind(), n) }

func (s *Session) setKind() byte {
	if s.resp3 {
		return '~'
	}
	return '*'
}

// appendPush starts a message that is not an answer.
func appendPush(dst []byte, resp3 bool, n int) []byte {
	if resp3 {
		return appendHead(dst, '>', n)
	}
	return appendHead(dst, '*', n)
}

func (s *Session) ok() { s.out = append(s.out, "+OK\r\n"...) }

// relock looks whether other passwords are in force than before: who came in by one that is gone has to give another.
func (s *Session) relock() {
	now := s.shared.locks.Load()
	if now == s.locks {
		return
	}
	s.locks = now
	s.trusted = now.none() || s.trusted && now.open(&s.by)
}
