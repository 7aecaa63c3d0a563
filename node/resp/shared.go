package resp

import (
	"crypto/sha256"
	"crypto/subtle"
	"sync/atomic"

	"dashi/pipeline/recipe"
)

// shared is what the sessions of one server have in common.
type shared struct {
	backend   Backend
	limits    Limits
	locks     atomic.Pointer[locks]
	trusted   bounds
	anonymous bounds

	commandList  []command
	commandTable map[string]*command

	names atomic.Pointer[names]
	counters
}

func newShared(b Backend, passwords []string, limits Limits) *shared {
	l := limits.withDefaults()
	list := commandList()
	sh := &shared{
		backend:   b,
		limits:    l,
		trusted:   bounds{l.Arguments, l.ArgumentBytes, l.CommandBytes},
		anonymous: bounds{l.AnonymousArguments, l.AnonymousBytes, l.AnonymousBytes},

		commandList:  list,
		commandTable: tableOf(list),
	}
	sh.locks.Store(newLocks(passwords))
	return sh
}

// digest is the SHA-256 of a password.
type digest [sha256.Size]byte

// locks are the passwords in force: none lets everyone in.
type locks struct{ passwords []digest }

func newLocks(passwords []string) *locks {
	l := &locks{}
	for _, p := range passwords {
		l.passwords = append(l.passwords, sha256.Sum256([]byte(p)))
	}
	return l
}

func (l *locks) none() bool { return len(l.passwords) == 0 }

// open says whether one of the passwords is the given one. It compares in constant time, and with all of them.
func (l *locks) open(given *digest) bool {
	right := 0
	for i := range l.passwords {
		right |= subtle.ConstantTimeCompare(given[:], l.passwords[i][:])
	}
	return right == 1
}

// names holds the attribute names of a program as bulk strings, which HGETALL copies.
type names struct {
	program *recipe.Program
	bulk    [][]byte
}

// namesOf returns the names of p. Two programs live side by side only while a cookbook is being replaced, so one is kept.
func (sh *shared) namesOf(p *recipe.Program) [][]byte {
	if n := sh.names.Load(); n != nil && n.program == p {
		return n.bulk
	}
	n := &names{program: p, bulk: make([][]byte, len(p.Attributes))}
	for i := range p.Attributes {
		n.bulk[i] = appendBulk(nil, p.Attributes[i].Name)
	}
	sh.names.Store(n)
	return n.bulk
}

type counters struct {
	accepted, refused, dropped   atomic.Uint64
	idle, unread, unauthorised   atomic.Uint64
	commands, failures           atomic.Uint64
	hits, misses, pushed         atomic.Uint64
	bytesIn, bytesOut            atomic.Uint64
	connections, subscriberCount atomic.Int64
}

func (c *counters) count(t *tally) {
	if t.commands != 0 {
		c.commands.Add(t.commands)
	}
	if t.failures != 0 {
		c.failures.Add(t.failures)
	}
	if t.hits != 0 {
		c.hits.Add(t.hits)
	}
	if t.misses != 0 {
		c.misses.Add(t.misses)
	}
	*t = tally{}
}

// Stats are the counters of a server since it started.
type Stats struct {
	Connections, Subscribers int64 // open now
	Accepted                 uint64
	Refused                  uint64 // over Limits.Connections
	Commands                 uint64
	Failures                 uint64 // answered with an error
	Hits, Misses             uint64 // look-ups of a profile
	Pushed                   uint64 // activations written to subscribers
	BytesIn, BytesOut        uint64
	// Connections that the server closed, by reason.
	SlowSubscribers, Idle, Unread, Unauthorised uint64
}

func (c *counters) stats() Stats {
	return Stats{
		Connections: c.connections.Load(), Subscribers: c.subscriberCount.Load(),
		Accepted: c.accepted.Load(), Refused: c.refused.Load(),
		Commands: c.commands.Load(), Failures: c.failures.Load(),
		Hits: c.hits.Load(), Misses: c.misses.Load(), Pushed: c.pushed.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		SlowSubscribers: c.dropped.Load(), Idle: c.idle.Load(), Unread: c.unread.Load(), Unauthorised: c.unauthorised.Load(),
	}
}
