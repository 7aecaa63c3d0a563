package node

import (
	"context"
	"sync"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/ring"
	"dashi/shard"
)

// look is the scratch space of one look-up.
type look struct {
	view  shard.View
	at    shard.Place
	value []byte
}

var looks = sync.Pool{New: func() any { return new(look) }}

// Lookup calls fn with the profile of namespace:value and says whether there is one. The value is normalised as the
// cookbook says. fn runs under the shard's read lock: it must not wait for anything, and the view is good inside only. An
// identifier between two shards is found nowhere for a moment: it is waited for, a little.
func (n *Node) Lookup(namespace, value []byte, fn func(*shard.View)) bool {
	for range followTries {
		if found, moving := n.lookupNow(namespace, value, n.now(), false, fn); found || !moving {
			return found
		}
		time.Sleep(followPause)
	}
	return false
}

// lookupNow is Lookup without waiting: moving says that the identifier is between two shards. at and bare are for the View.
func (n *Node) lookupNow(namespace, value []byte, at int64, bare bool, fn func(*shard.View)) (found, moving bool) {
	l := looks.Get().(*look)
	defer looks.Put(l)
	namespaces := n.cookbook.Load().LookUp
	for i := range namespaces {
		ns := &namespaces[i]
		if string(namespace) != ns.Name {
			continue
		}
		if ns.Normalise != nil {
			var ok bool
			if l.value, ok = ns.Normalise(l.value[:0], value); !ok {
				return false, false
			}
			value = l.value
		}
		l.view.At, l.view.Bare = at, bare
		return n.follow(l, namespace, value, identity.Hash(ns.Name, value), fn)
	}
	return false, false
}

// Limits of following an identifier that is on its way between two shards, which takes about a millisecond.
const (
	followTries = 20
	followPause = time.Millisecond
)

// follow looks an identifier up at its home, and where that says it lies: one other shard at most, once pointers are shortened. One
// lock is held at a time.
func (n *Node) follow(l *look, namespace, value []byte, hash uint64, fn func(*shard.View)) (found, moving bool) {
	m := n.members[ring.Shard(hash, len(n.members))]
	m.mu.RLock()
	if m.shard.Lookup(namespace, value, hash, &l.view) {
		defer m.mu.RUnlock()
		fn(&l.view)
		return true, false
	}
	m.mu.RUnlock()
	moving = l.view.Moving
	for l.view.Next.Known {
		l.at, l.view.Next = l.view.Next, l.at // it is overwritten
		m := n.members[ring.Shard(l.at.Hash, len(n.members))]
		m.mu.RLock()
		if m.shard.LookupVia(&l.at, namespace, value, hash, &l.view) {
			defer m.mu.RUnlock()
			fn(&l.view)
			return true, false
		}
		m.mu.RUnlock()
		moving = l.view.Moving
	}
	return false, moving
}

// FieldIndex is the index of an attribute in the present program.
func (n *Node) FieldIndex(name []byte) (int, bool) {
	i, ok := n.cookbook.Load().fields[string(name)]
	return i, ok
}

// AudienceIndex is the index of an audience in the present program.
func (n *Node) AudienceIndex(name []byte) (int, bool) {
	i, ok := n.cookbook.Load().audiences[string(name)]
	return i, ok
}

// Sends says whether an activation of the present program has that name: that of its audience, or else its own.
func (n *Node) Sends(name string) bool {
	p := n.cookbook.Load().Program
	return sends(p, name) || p.Accounts != nil && sends(p.Accounts.Program, name)
}

func sends(p *recipe.Program, name string) bool {
	for i := range p.Audiences {
		if p.Audiences[i].Name == name && p.Audiences[i].Emit != audience.EmitNone {
			return true
		}
	}
	for i := range p.Activations {
		switch act := &p.Activations[i]; act.Trigger {
		case recipe.OnEnter, recipe.OnExit:
			if p.Audiences[act.Audience].Name == name {
				return true
			}
		default:
			if act.Name == name {
				return true
			}
		}
	}
	return false
}

// AudienceSize is the number of profiles in an audience, on all shards.
func (n *Node) AudienceSize(i int) int64 {
	total := 0
	for _, m := range n.members {
		m.mu.RLock()
		total += m.shard.AudienceSize(i)
		m.mu.RUnlock()
	}
	return int64(total)
}

// pageProfiles is how many profiles are handed over under one hold of a shard's lock; scanPage how many are looked at.
const (
	pageProfiles = 256
	scanPage     = 2048
)

// Members calls fn for the members of an audience from a cursor on until it returns false, and returns where to go on and whether there
// may be more. A member that leaves or comes meanwhile may be seen or not; none is seen twice.
func (n *Node) Members(audience int, from Cursor, fn func(*shard.View) bool) (next Cursor, more bool) {
	return n.walk(from, func(s *shard.Shard, ordinal uint32, v *shard.View) (uint32, bool, bool) {
		left, stopped := pageProfiles, false
		o, more := s.Members(audience, ordinal, v, func(v *shard.View) bool {
			left--
			stopped = !fn(v)
			return !stopped && left > 0
		})
		return o, more, stopped
	})
}

// Scan calls fn for the profiles, or accounts, for which the condition is true, like Members. It stops when ctx is done, or with an error when it comes to a shard that has another
// program than the condition is of.
func (n *Node) Scan(ctx context.Context, program *recipe.Program, accounts bool, condition expr.Bool, from Cursor, fn func(*shard.View) bool) (next Cursor, more bool, err error) {
	next, more = n.walk(from, func(s *shard.Shard, ordinal uint32, v *shard.View) (uint32, bool, bool) {
		stopped := false
		if !has(s, program) {
			err = httpapi.ErrSwitching
			return ordinal, true, true
		}
		if accounts {
			s = s.Accounts()
		}
		o, more := s.Scan(condition, ordinal, scanPage, v, func(v *shard.View) bool {
			stopped = !fn(v)
			return !stopped
		})
		return o, more, stopped || ctx.Err() != nil
	})
	return next, more, err
}

// walk steps through the shards, a page under each hold of a lock, so that updates never wait long.
func (n *Node) walk(c Cursor, page func(*shard.Shard, uint32, *shard.View) (next uint32, more, stopped bool)) (Cursor, bool) {
	l := looks.Get().(*look)
	defer looks.Put(l)
	l.view.At = n.now()
	for c.Shard < len(n.members) {
		m := n.members[c.Shard]
		m.mu.RLock()
		next, more, stopped := page(m.shard, c.Ordinal, &l.view)
		m.mu.RUnlock()
		c.Ordinal = next
		if !more {
			c = Cursor{Shard: c.Shard + 1}
		}
		if stopped {
			return c, c.Shard < len(n.members)
		}
	}
	return Cursor{}, false
}
