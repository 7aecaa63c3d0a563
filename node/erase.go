package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"
	"dashi/shard"
)

// deliveryWait is how long Unlink and Erase wait until the shards have told each other; what is in the log takes effect in any case.
const deliveryWait = 2 * time.Second

// sayPatience is how long Unlink and Erase take at most. A shard without a majority may have the entry in a log all the same.
const sayPatience = 15 * time.Second

// unsaid is the error for an entry that a shard has not answered; once ctx is done it says that the entry may still take effect.
func unsaid(ctx context.Context, h *shardHost, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("no majority of the replicas of shard %d answers, and nobody knows whether it was done: it may still take effect: %w", h.id, err)
}

// Unlink says that two identifiers are never one person.
func (n *Node) Unlink(ctx context.Context, a, b string) error {
	nsA, valueA, err := n.normal(a)
	if err != nil {
		return err
	}
	nsB, valueB, err := n.normal(b)
	if err != nil {
		return err
	}
	if nsA == nsB && string(valueA) == string(valueB) {
		return httpapi.ErrSame
	}
	ctx, cancel := context.WithTimeout(ctx, sayPatience)
	defer cancel()
	h := n.shards[n.home(identity.Hash(nsA, valueA))]
	as, byEvents, err := n.instant(ctx)
	if err != nil {
		return err
	}
	r, err := h.patient(ctx, func() []byte { return asOf(shard.AppendUnlink(nil, n.now(), nsA, valueA, nsB, valueB), as, byEvents) })
	if err != nil {
		return unsaid(ctx, h, err)
	}
	if r.Outcome != shard.Accepted {
		return fmt.Errorf("shard %d: %s %s", h.id, r.Outcome, r.Detail)
	}
	if err := n.delivered(ctx); err != nil {
		return err
	}
	return n.survives(ctx)
}

// Erase takes a person or an account out, and returns the time of day at which that was said. Its errors are httpapi.ErrIdentifier, and that it may not have
// been done.
func (n *Node) Erase(ctx context.Context, id string) (at time.Time, err error) {
	ns, value, err := normalIn(n.cookbook.Load().LookUp, id)
	if err != nil {
		return at, err
	}
	ctx, cancel := context.WithTimeout(ctx, sayPatience)
	defer cancel()
	as, byEvents, err := n.instant(ctx)
	if err != nil {
		return at, err
	}
	var now int64
	if ns == recipe.AccountNamespace { // the people of an account are in all shards
		now = n.now()
		err = n.eraseAccount(ctx, value, as)
	} else {
		now, err = n.erasePerson(ctx, ns, value, as, byEvents)
	}
	if err != nil {
		return at, err
	}
	if err := n.delivered(ctx); err != nil {
		return at, err
	}
	return time.UnixMilli(now).UTC(), n.survives(ctx)
}

// instant is the instant as of which something is said to shards: the time of day, or, if their clock is that of event times, the latest that any of them
// has come to. All shards have the same kind of clock, which does not change while there are profiles; a replica without profiles may be behind and not know
// it, so it is not asked.
func (n *Node) instant(ctx context.Context) (as int64, byEvents bool, err error) {
	for _, h := range n.shards {
		if h.leads() || h.load.profiles.Load() > 0 {
			h.mu.RLock()
			byEvents = h.shard.ByEvents()
			h.mu.RUnlock()
			if !byEvents {
				return n.now(), false, nil
			}
			break
		}
	}
	for {
		all, err := n.reports(ctx, readLeader, false)
		as = shard.NoTime
		for _, r := range all {
			switch {
			case r == nil:
			case !r.Shard.ByEvents:
				return n.now(), false, nil
			default:
				as = max(as, r.Shard.Now)
			}
		}
		if err == nil {
			return as, true, nil
		}
		if pause(ctx, switchPause); ctx.Err() != nil {
			return 0, false, fmt.Errorf("cannot find out how far all shards have come, so nothing is done: %w", err)
		}
	}
}

// asOf adds to an entry as of which instant it is, if the clock is that of event times; each shard knows the time of day itself.
func asOf(entry []byte, as int64, byEvents bool) []byte {
	if byEvents {
		return shard.AppendAsOf(entry, as)
	}
	return entry
}

// erasePerson has the home of an identifier take out the person who has it, and returns the time of day at which that was proposed.
func (n *Node) erasePerson(ctx context.Context, ns string, value []byte, as int64, byEvents bool) (now int64, err error) {
	h := n.shards[n.home(identity.Hash(ns, value))]
	err = eraseIn(ctx, h, func() []byte {
		now = n.now()
		return asOf(shard.AppendErase(nil, now, ns, value), as, byEvents)
	})
	return now, err
}

// eraseAccount has all shards take an account out, its home first, as of one instant.
func (n *Node) eraseAccount(ctx context.Context, name []byte, at int64) error {
	entry := func() []byte { return shard.AppendEraseAccount(nil, max(n.now(), at), name, at) }
	home := n.shards[n.home(identity.Hash(recipe.AccountNamespace, name))]
	if err := eraseIn(ctx, home, entry); err != nil {
		return err
	}
	errs := make([]error, len(n.shards))
	var wait sync.WaitGroup
	for i, h := range n.shards {
		if h != home {
			wait.Go(func() { errs[i] = eraseIn(ctx, h, entry) })
		}
	}
	wait.Wait()
	return errors.Join(errs...)
}

func eraseIn(ctx context.Context, h *shardHost, entry func() []byte) error {
	r, err := h.patient(ctx, entry)
	if err != nil {
		return unsaid(ctx, h, err)
	}
	if r.Outcome != shard.Accepted {
		err = fmt.Errorf("shard %d: %s %s", h.id, r.Outcome, r.Detail)
	}
	return err
}

// delivered waits, for at most deliveryWait, until the shards have told each other.
func (n *Node) delivered(ctx context.Context) error {
	end := time.Now().Add(deliveryWait)
	return n.settled(ctx, func(done func() bool, _ string) error {
		for !done() && time.Now().Before(end) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return nil
	})
}

// survives returns when everything that the shards have applied by now would survive a power cut of their leaders. It is for what clients are told is done
// and Kafka does not have.
func (n *Node) survives(ctx context.Context) error {
	n.poll(ctx)
	applied := make([]uint64, len(n.shards))
	for i, h := range n.shards {
		applied[i] = n.ahead(h).applied
	}
	for i, h := range n.shards {
		for n.ahead(h).durable < applied[i] {
			if pause(ctx, survivePause); ctx.Err() != nil {
				return fmt.Errorf("it is done, and not yet on the disk: %w", ctx.Err())
			}
			if !h.leads() {
				n.poll(ctx)
			}
		}
	}
	return nil
}

// survivePause is the time between two looks at what the disks have.
const survivePause = 10 * time.Millisecond

// normal is an identifier of a person in the form in which it is kept.
func (n *Node) normal(id string) (namespace string, value []byte, err error) {
	return normalIn(n.cookbook.Load().Schema.Namespaces, id)
}

// normalIn is an identifier in the form in which it is kept, by one of the namespaces.
func normalIn(namespaces []event.Namespace, id string) (namespace string, value []byte, err error) {
	namespace, text, err := identity.ParseIdentifier(id)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", httpapi.ErrIdentifier, err)
	}
	for _, ns := range namespaces {
		if ns.Name != namespace {
			continue
		}
		value, ok := []byte(text), true
		if ns.Normalise != nil {
			value, ok = ns.Normalise(nil, value)
		}
		if !ok {
			return "", nil, fmt.Errorf("%w: %s: %s", httpapi.ErrIdentifier, say.Quote(text), ns.Refusal([]byte(text)))
		}
		if most := event.DefaultLimits.IdentifierBytes; len(value) > most && namespace != recipe.AccountNamespace { // the shards would keep what no event can have
			return "", nil, fmt.Errorf("%w: %s has %d bytes; an identifier has at most %d", httpapi.ErrIdentifier, say.Quote(text), len(value), most)
		}
		return namespace, value, nil
	}
	return "", nil, fmt.Errorf("%w: it has no namespace %s", httpapi.ErrIdentifier, say.Quote(namespace))
}
