package reread

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"dashi/node/cookbook"
	"dashi/node/httpapi"
	"dashi/pipeline/event"
	"dashi/pipeline/kafka"
	"dashi/pipeline/recipe"
)

// Person is whose events are looked for.
type Person struct {
	Profile     string           // its id
	Identifiers []string         // namespace:value
	FirstSeen   map[string]int64 // by identifier: since when it is theirs, in event time, in Unix milliseconds
}

// Events looks for the last events of a person in the input topics. An event is theirs if its strongest identifier is, as it is for the shards: if any
// identifier would do, somebody who used another person's device would be shown what that person did. An event from before its identifier was first seen is
// of somebody who was erased, and is not shown. The error wraps httpapi.ErrUnavailable when Kafka does not answer, or the program cannot read an input.
func (t *Topics) Events(ctx context.Context, q httpapi.EventsQuery, person *Person, program *recipe.Program) (*httpapi.Events, error) {
	found := &httpapi.Events{Profile: person.Profile, Identifiers: person.Identifiers, Events: []httpapi.Event{}, Since: q.Since}
	decoders := map[string]cookbook.Decoder{}
	for _, in := range t.Inputs {
		if err := cookbook.CheckDecoder(in.Decoder, program); err != nil {
			return nil, fmt.Errorf("%w: topic %q: %w", httpapi.ErrUnavailable, in.Topic, err)
		}
		found.Topics, decoders[in.Topic] = append(found.Topics, in.Topic), cookbook.NewDecoder(in.Decoder, program)
	}
	var e event.Event
	var name []byte
	latest := keeper{limit: q.Limit}
	from, err := kafka.Recent(ctx, t.Kafka, found.Topics, q.Since, int64(q.Scan), func(topic string, partition int32, r *kafka.Record) {
		found.Scanned++
		if decoders[topic].Decode(r.Value, r.Millis, &e) != nil {
			return
		}
		strongest := &e.Identifiers[0]
		name = append(append(append(name[:0], program.Schema.Namespaces[strongest.Namespace].Name...), ':'), strongest.Value...)
		if first, theirs := person.FirstSeen[string(name)]; !theirs || e.Time < first {
			return
		}
		ev := httpapi.Event{Topic: topic, Partition: partition, Offset: r.Offset, Arrived: instant(r.Millis), Time: instant(e.Time), Name: string(e.Name), Identifier: string(name)}
		if json.Valid(r.Value) {
			ev.Event = bytes.Clone(r.Value)
		} else {
			ev.Base64 = bytes.Clone(r.Value)
		}
		latest.add(ev)
	})
	if err != nil {
		return nil, unread(ctx, err)
	}
	found.Events = append(found.Events, latest.newest()...)
	if n := len(found.Events); latest.dropped && found.Events[n-1].Arrived.After(from) {
		from = found.Events[n-1].Arrived
	}
	found.Complete, found.Since = !from.After(q.Since) && !latest.dropped, from.UTC()
	return found, nil
}

func instant(millis int64) time.Time { return time.UnixMilli(millis).UTC() }

// keeper keeps the newest events, of all partitions together, in no more than twice the memory of those.
type keeper struct {
	limit   int
	events  []httpapi.Event
	dropped bool
}

func (k *keeper) add(e httpapi.Event) {
	if k.events = append(k.events, e); len(k.events) >= 2*k.limit {
		k.newest()
	}
}

// newest are the events kept, the newest first, at most limit.
func (k *keeper) newest() []httpapi.Event {
	slices.SortFunc(k.events, func(a, b httpapi.Event) int {
		return cmp.Or(b.Arrived.Compare(a.Arrived), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(b.Offset, a.Offset))
	})
	if len(k.events) > k.limit {
		clear(k.events[k.limit:])
		k.events, k.dropped = k.events[:k.limit], true
	}
	return k.events
}
