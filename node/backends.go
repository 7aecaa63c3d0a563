package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"dashi/node/httpapi"
	"dashi/node/resp"
	"dashi/pipeline/event"
	"dashi/pipeline/kafka"
	"dashi/shard"
)

// Cursor is a place in a walk over all profiles of all shards.
type Cursor = httpapi.Cursor

// respBackend is the node as the RESP server sees it.
type respBackend struct{ *Node }

// Lookup does not wait for an identifier between two shards: the server asks again.
func (b respBackend) Lookup(namespace, value []byte, at int64, fn func(*shard.View)) (found, moving bool) {
	return b.lookupNow(namespace, value, at, true, fn)
}

// Subscribe passes activations on.
func (b respBackend) Subscribe(after string, deliver func(id, name string, payload []byte)) (stop func()) {
	return b.hub.Subscribe(after, deliver)
}

// Info is what INFO prints.
func (b respBackend) Info() resp.Info {
	events, profiles := b.applications()
	return resp.Info{Version: b.version, Uptime: time.Since(b.started), Profiles: int64(profiles), Events: events}
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
	err := b.producer.Produce(ctx, "", events)
	if err == nil && len(letters) > 0 {
		err = b.dead.Write(ctx, letters)
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
func (b httpBackend) Audiences() []httpapi.Audience {
	program := b.cookbook.Load()
	all := []httpapi.Audience{}
	for i, d := range program.AllAudiences() {
		a := httpapi.Audience{Name: d.Name, Description: d.Description, Size: b.AudienceSize(i)}
		if i >= len(program.Audiences) {
			a.Of = "accounts"
		}
		all = append(all, a)
	}
	return all
}

// Subscribe passes activations on.
func (b httpBackend) Subscribe(after string, deliver func(id, name string, payload []byte)) (stop func()) {
	return b.hub.Subscribe(after, deliver)
}

// Status is the state of the node.
func (b httpBackend) Status(hashes bool) any { return b.Node.Status(hashes) }

// consoleBackend is the node as the console sees it.
type consoleBackend struct{ *Node }

// History is the samples of the last minutes that came after an instant, as JSON.
func (b consoleBackend) History(after time.Time) []byte {
	text, err := json.Marshal(b.metrics.history(after))
	if err != nil {
		return []byte("[]")
	}
	return text
}

func itoa(i int) string { return strconv.Itoa(i) }
