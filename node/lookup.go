package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/audience"
	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"
	"dashi/ring"
	"dashi/shard"
)

// look is the scratch space of one look-up.
type look struct {
	view  shard.View
	at    shard.Place
	value []byte
	last  *shardHost // the shard that was looked at last
}

var looks = sync.Pool{New: func() any { return new(look) }}

// whereabouts is what a look-up on this node says.
type whereabouts int

const (
	missing whereabouts = iota
	found
	moving // the identifier is between two shards
	away   // it lies in a shard that is not here
	junk   // missing, and nobody's: see shard.View.Junk
)

// Lookup calls fn with the profile of namespace:value and says whether there is one. The value is normalised as the cookbook says. fn may run under a
// shard's read lock: it must not wait for anything, and the view is good inside fn only. An identifier that is on its way between two shards is waited for.
// ctx says how fresh the answer must be (readingOf). The error wraps httpapi.ErrNobody if a rule says that nobody can have such an identifier; any other
// error says that no node that could answer did.
func (n *Node) Lookup(ctx context.Context, namespace, value []byte, fn func(*shard.View)) (bool, error) {
	r := readingOf(ctx)
	for range followTries {
		if r.level != readLocal {
			break
		}
		at, where := n.lookupNow(namespace, value, n.now(), false, fn)
		switch where {
		case moving:
			time.Sleep(followPause)
			continue
		case away:
		default:
			n.noteHere(r, at)
			if where == found {
				return true, nil
			}
			return false, n.nobody(namespace, value, where == junk)
		}
		break
	}
	w, ok := n.wanted(namespace, value)
	if !ok {
		return false, n.nobody(namespace, value, false)
	}
	n.fetch(ctx, r.level, []*want{w})
	r.note(w.by, w.behind)
	if w.junk {
		return false, n.nobody(namespace, value, true)
	}
	return n.show(w, fn)
}

// nobody is the error that says why nobody can have an identifier; nil when somebody could.
func (n *Node) nobody(namespace, value []byte, junk bool) error {
	if junk {
		return fmt.Errorf("%w: it was seen with more than %d values of one namespace", httpapi.ErrNobody, identity.MaxPartners)
	}
	namespaces := n.cookbook.Load().LookUp
	i := slices.IndexFunc(namespaces, func(ns event.Namespace) bool { return ns.Name == string(namespace) })
	if i < 0 {
		return fmt.Errorf("%w: the cookbook has no namespace %s", httpapi.ErrNobody, say.Quote(string(namespace)))
	}
	if refusal := namespaces[i].Refusal; refusal != nil {
		if why := refusal(value); why != "" {
			return fmt.Errorf("%w: %s", httpapi.ErrNobody, why)
		}
	}
	return nil
}

// lookupNow looks a profile up on this node, without waiting. h is the shard that was looked at last; nil if nobody can have such an identifier. at and bare
// are View.At and View.Bare.
func (n *Node) lookupNow(namespace, value []byte, at int64, bare bool, fn func(*shard.View)) (h *shardHost, where whereabouts) {
	l := looks.Get().(*look)
	defer looks.Put(l)
	l.last = nil
	value, hash, ok := n.normalise(&l.value, namespace, value)
	if !ok {
		return nil, missing
	}
	l.view.At, l.view.Bare = at, bare
	where = n.follow(l, namespace, value, hash, fn)
	return l.last, where
}

// normalise is the value of an identifier as it is kept, and the hash of the identifier. The value is the client's own bytes, or scratch, which is written anew.
// ok is false when the cookbook has no such namespace, or a rule says that nobody can have such an identifier: the method nobody says which.
func (n *Node) normalise(scratch *[]byte, namespace, value []byte) (kept []byte, hash uint64, ok bool) {
	namespaces := n.cookbook.Load().LookUp
	for i := range namespaces {
		ns := &namespaces[i]
		if string(namespace) != ns.Name {
			continue
		}
		if ns.Normalise != nil {
			if *scratch, ok = ns.Normalise((*scratch)[:0], value); !ok {
				return nil, 0, false
			}
			value = *scratch
		}
		return value, identity.Hash(ns.Name, value), true
	}
	return nil, 0, false
}

// Limits of waiting for an identifier that is on its way between two shards, which takes about a millisecond. After followTries on this node all nodes are
// asked, until freshTimeout.
const (
	followTries     = 20
	followPause     = time.Millisecond
	followPauseMost = 20 * time.Millisecond
)

// follow looks an identifier up at its home, and where that says it lies: one other shard at most, once pointers are shortened. One
// lock is held at a time.
func (n *Node) follow(l *look, namespace, value []byte, hash uint64, fn func(*shard.View)) whereabouts {
	h := n.shards[ring.Shard(hash, len(n.shards))]
	l.last = h
	h.mu.RLock()
	if !h.answers {
		h.mu.RUnlock()
		return away
	}
	if h.shard.Lookup(namespace, value, hash, &l.view) {
		defer h.mu.RUnlock()
		fn(&l.view)
		return found
	}
	h.mu.RUnlock()
	isMoving := l.view.Moving
	for l.view.Next.Known {
		l.at, l.view.Next = l.view.Next, l.at // the next look-up overwrites view.Next, and l.at must survive that
		h := n.shards[ring.Shard(l.at.Hash, len(n.shards))]
		l.last = h
		h.mu.RLock()
		if !h.answers {
			h.mu.RUnlock()
			return away
		}
		if h.shard.LookupVia(&l.at, namespace, value, hash, &l.view) {
			defer h.mu.RUnlock()
			fn(&l.view)
			return found
		}
		h.mu.RUnlock()
		isMoving = l.view.Moving
	}
	switch {
	case isMoving:
		return moving
	case l.view.Junk:
		return junk
	}
	return missing
}

// FieldIndex is the index of an attribute in the present program.
func (n *Node) FieldIndex(name []byte) (int, bool) {
	return n.cookbook.Load().Field(name)
}

// AudienceIndex is the index of an audience in the present program.
func (n *Node) AudienceIndex(name []byte) (int, bool) {
	return n.cookbook.Load().Audience(name)
}

// Sends says whether anything leaves under that name in the present program: it is the name of an activation, or of an audience whose transitions leave
// or make something leave.
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
		act := &p.Activations[i]
		about := act.Trigger == recipe.OnEnter || act.Trigger == recipe.OnExit
		if act.Name == name || about && p.Audiences[act.Audience].Name == name {
			return true
		}
	}
	return false
}
