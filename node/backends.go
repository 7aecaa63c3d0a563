package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dashi/node/httpapi"
	"dashi/node/reread"
	"dashi/node/resp"
	"dashi/pipeline/event"
	"dashi/pipeline/kafka"
	"dashi/pipeline/say"
	"dashi/shard"
)

// Cursor is a place in a walk over all profiles of all shards.
type Cursor = httpapi.Cursor

// respBackend is the node as the RESP server sees it.
type respBackend struct{ *Node }

// Lookup does not wait for an identifier that is on its way between two shards: the server asks again.
func (b respBackend) Lookup(namespace, value []byte, at int64, fn func(*shard.View)) resp.Whereabouts {
	_, where := b.lookupNow(namespace, value, at, true, fn)
	if where == junk {
		return resp.Missing
	}
	return resp.Whereabouts(where) // resp has the same constants in the same order
}

// Fetch calls done, on another goroutine, with profiles and audience sizes that are as fresh as level says, from whichever nodes have them.
func (b respBackend) Fetch(level resp.Level, keys, audiences []string, done func(*resp.Fetched)) {
	b.calling.Go(func() { done(b.fetchFor(readLevel(level), keys, audiences)) })
}

func (b respBackend) fetchFor(level readLevel, keys, audiences []string) *resp.Fetched {
	ctx := context.WithValue(b.running, readingKey{}, &reading{level: level})
	got := &resp.Fetched{Profiles: make([]resp.Profile, len(keys))}
	var wants []*want
	for i, key := range keys {
		namespace, value, _ := strings.Cut(key, ":")
		w, ok := b.wanted([]byte(namespace), []byte(value))
		if !ok {
			w = &want{}
		} else {
			wants = append(wants, w)
		}
		got.Profiles[i] = fetched{b.Node, w}
	}
	b.fetch(ctx, level, wants)
	if len(audiences) > 0 {
		var indices []int
		for _, name := range audiences {
			i, ok := b.AudienceIndex([]byte(name))
			if !ok {
				got.SizesErr = httpapi.ErrSwitching
				return got
			}
			indices = append(indices, i)
		}
		got.Sizes, got.SizesErr = b.AudienceSizes(ctx, indices)
	}
	return got
}

// fetched is a profile that was asked of other nodes.
type fetched struct {
	n *Node
	w *want
}

// Show calls fn with the profile, and says whether there is one.
func (f fetched) Show(fn func(*shard.View)) (bool, error) { return f.n.show(f.w, fn) }

// Webhooks are the names of the endpoints.
func (b httpBackend) Webhooks() (names []string) {
	for i := range b.settings.Webhooks {
		names = append(names, b.settings.Webhooks[i].Name)
	}
	return names
}

// Subscribe passes activations on.
func (b respBackend) Subscribe(after string, deliver func(id, activation, audience string, payload []byte)) (stop func()) {
	return b.hub.Subscribe(after, deliver)
}

// Info is what INFO prints.
func (b respBackend) Info() resp.Info {
	events, profiles := b.applications()
	behind := uint64(0)
	for _, h := range b.shards {
		behind = max(behind, b.behind(h))
	}
	return resp.Info{Version: b.version, Uptime: time.Since(b.started), Profiles: int64(profiles), Events: events, Behind: behind}
}

// httpBackend is the node as the HTTP interface sees it.
type httpBackend struct{ *Node }

// Produce writes messages to Kafka. Those that cannot be events go to the dead topic.
func (b httpBackend) Produce(ctx context.Context, messages []httpapi.Message) error {
	if !b.ready.Load() {
		return fmt.Errorf("%w: the node is stopping", httpapi.ErrBusy)
	}
	events := make([]kafka.Message, 0, len(messages))
	var letters []kafka.DeadLetter
	for _, m := range messages {
		if m.Reason == "" {
			events = append(events, kafka.Message{Key: m.Key, Value: m.Value})
			continue
		}
		letters = append(letters, kafka.DeadLetter{Reason: string(m.Reason), Detail: "refused at the HTTP interface", Key: m.Key, Value: m.Value})
	}
	err := b.kafka.producer.Produce(ctx, "", events)
	if err == nil && len(letters) > 0 {
		err = b.kafka.dead.Write(ctx, letters)
	}
	if err == nil {
		for i := range letters {
			b.intake.counts.rejected.add(event.Reason(letters[i].Reason))
		}
	}
	if errors.Is(err, kafka.ErrBackpressure) {
		return fmt.Errorf("%w: %w", httpapi.ErrBusy, err)
	}
	return err
}

// Audiences lists the audiences with their sizes.
func (b httpBackend) Audiences(ctx context.Context) ([]httpapi.Audience, error) {
	program := b.cookbook.Load()
	all, indices := []httpapi.Audience{}, []int{}
	for i, d := range program.AllAudiences() {
		a := httpapi.Audience{Name: d.Name, Description: d.Description}
		if i >= len(program.Audiences) {
			a.Of = "accounts"
		}
		all, indices = append(all, a), append(indices, i)
	}
	sizes, err := b.AudienceSizes(ctx, indices)
	for i, size := range sizes {
		all[i].Size = size
	}
	return all, err
}

// LookupAll calls fn with each of many profiles, in order; with nil for one that is not there. Those that other nodes have are asked for in one call a
// node.
func (b httpBackend) LookupAll(ctx context.Context, ids []httpapi.Identifier, fn func(*shard.View)) error {
	r := readingOf(ctx)
	wants := make([]*want, len(ids)) // nil: it is here
	var far []*want
	for i, id := range ids {
		where := away
		if r.level == readLocal {
			_, where = b.lookupNow(id.Namespace, id.Value, b.now(), true, func(*shard.View) {})
		}
		if where != away {
			continue
		}
		if wants[i], _ = b.wanted(id.Namespace, id.Value); wants[i] != nil {
			far = append(far, wants[i])
		} else {
			wants[i] = &want{} // nobody can have it
		}
	}
	b.fetch(ctx, r.level, far)
	for i, id := range ids {
		var found bool
		var err error
		if w := wants[i]; w != nil {
			r.note(w.by, w.behind)
			found, err = b.show(w, fn)
		} else {
			found, err = b.Lookup(ctx, id.Namespace, id.Value, fn)
		}
		if err != nil && !errors.Is(err, httpapi.ErrNobody) {
			return err
		}
		if !found {
			fn(nil)
		}
	}
	return nil
}

// Events looks for the last events of a person in the input topics; nil when there is no such person.
func (b httpBackend) Events(ctx context.Context, q httpapi.EventsQuery) (*httpapi.Events, error) {
	var person *reread.Person
	account := false
	_, err := b.Lookup(ctx, q.Namespace, q.Value, func(v *shard.View) {
		account = v.IsAccount()
		person = &reread.Person{Profile: string(v.AppendID(nil)), FirstSeen: map[string]int64{}}
		for i := range v.Identifiers {
			if id := &v.Identifiers[i]; !id.Saturated {
				name := id.Namespace + ":" + string(id.Value)
				person.Identifiers, person.FirstSeen[name] = append(person.Identifiers, name), id.FirstSeen
			}
		}
	})
	switch {
	case account:
		return nil, httpapi.ErrAccount
	case person == nil || err != nil:
		return nil, err
	}
	return b.reread.Events(ctx, q, person, b.cookbook.Load().Program)
}

// DeadLetters are the newest letters of the dead topic that match.
func (b httpBackend) DeadLetters(ctx context.Context, q httpapi.DeadQuery) (*httpapi.DeadLetters, error) {
	return b.reread.DeadLetters(ctx, q)
}

// Resend sends dead letters again.
func (b httpBackend) Resend(ctx context.Context, q httpapi.DeadQuery, dry bool) (*httpapi.Resent, error) {
	return b.reread.Resend(ctx, q, dry)
}

// Subscribe passes activations on.
func (b httpBackend) Subscribe(after string, deliver func(id, activation, audience string, payload []byte)) (stop func()) {
	return b.hub.Subscribe(after, deliver)
}

// Status is the state of the node.
func (b httpBackend) Status(hashes bool) any { return b.Node.Status(hashes) }

// HeldBack says why no events come in; empty when they do.
func (b httpBackend) HeldBack() string {
	if why := b.heldBack(time.Now()); why != "" {
		return why
	}
	return b.inputTrouble()
}

// consoleBackend is the node as the console sees it.
type consoleBackend struct{ *Node }

// History is the samples that came after an instant, of the last ten minutes, as JSON.
func (b consoleBackend) History(after time.Time) []byte {
	text, err := say.JSON(b.metrics.History(after))
	if err != nil {
		return []byte("[]")
	}
	return text
}
