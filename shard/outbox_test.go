package shard

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"

	"pgregory.net/rapid"
)

// I1, I5: what is in the outbox, how large it is and so when it is full does not depend on how it is cut into chunks, which a restore
// does anew. (It once did: a replica that had been restored took a batch that the others answered Full.)
func TestOutboxAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := outbox{limit: 1 << 20}
		var want []string
		first := 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				position := rapid.IntRange(0, len(want)+2).Draw(t, "position")
				o.ack(uint64(position))
				first = max(first, min(position, len(want)))
			case 1:
				var restored outbox
				restored.limit = o.limit
				if rest, err := restored.restore(o.append(nil)); err != nil || len(rest) > 0 {
					t.Fatal(len(rest), err)
				}
				o = restored
			default:
				key := []byte(fmt.Sprint("k", len(want)))
				payload := make([]byte, rapid.IntRange(0, 40_000).Draw(t, "size"))
				o.close(append(o.open(key), payload...))
				want = append(want, fmt.Sprint(string(key), len(payload)))
			}
			bytes, at := int64(0), first
			o.each(0, func(position uint64, key, payload []byte) bool {
				if got := fmt.Sprint(string(key), len(payload)); position != uint64(at) || got != want[at] {
					t.Fatalf("position %d is %s, want %d, %s", position, got, at, want[at])
				}
				bytes += int64(len(appendBytes(nil, key)) + len(payload))
				at++
				return true
			})
			if at != len(want) || o.first != uint64(first) || o.next != uint64(len(want)) {
				t.Fatalf("holds %d to %d and gives %d, want %d to %d", o.first, o.next, at, first, len(want))
			}
			if o.bytes != bytes {
				t.Fatalf("%d bytes, its entries have %d", o.bytes, bytes)
			}
		}
	})
}

const tagsRecipe = `
recipe: tags
fields:
  properties.tag: string
  properties.amount: number
attributes:
  tags: {kind: set, add: {on: Tagged, value: properties.tag}}
  total: {kind: sum, on: Tagged, value: properties.amount}
activations:
  tagged: {on: {event: Tagged}, include: [tags]}
`

// An activation that would be longer than what brokers take leaves without what makes it long: otherwise nothing of this shard would
// ever leave again.
func TestActivationIsNeverTooLong(t *testing.T) {
	n := 1000
	if testing.Short() { // the work grows with the square of it; from some 350 on they are too long
		n = 500
	}
	sources := readInline("tags.yml", tagsRecipe)
	var values [][]byte
	for i := range n {
		values = append(values, fmt.Appendf(nil, `{"type":"track","event":"Tagged","userId":"u","properties":{"tag":"%03d%s","amount":1e300}}`, i, strings.Repeat(`\u0001`, 500)))
	}
	s := newShard(t, testSettings(), sources)
	f := newFeeder(t, compile(t, sources), values)
	for mark := int64(-1); mark < int64(len(values))-1; mark += 10 {
		mustAccept(t, s.Apply(f.batch(mark, mark+10, 1)))
		var next uint64
		s.Outbox(0, func(position uint64, key, payload []byte) bool {
			next = position + 1
			var a struct {
				ID         string
				Attributes map[string]any
			}
			if err := json.Unmarshal(payload, &a); err != nil || a.ID == "" {
				t.Fatalf("%v in %.100s", err, payload)
			}
			if position < 100 && a.Attributes["tags"] == nil {
				t.Fatalf("activation %d of %d bytes came without its attributes", position, len(payload))
			}
			if len(payload) > MaxActivation {
				t.Fatalf("activation of %d bytes", len(payload))
			}
			return true
		})
		mustAccept(t, s.Apply(AppendAck(nil, 1, next)))
	}
	st := s.Stats()
	if st.Shortened == 0 || st.Shortened == st.Activations || st.Activations != uint64(n) {
		t.Errorf("%d of %d activations were shortened", st.Shortened, st.Activations)
	}
	if st.OutOfRange != uint64(n) {
		t.Errorf("%d numbers out of range, want %d", st.OutOfRange, n)
	}
	if r := restoreCopy(t, s); r.Stats().Counters != st.Counters {
		t.Errorf("counters %+v after a restore, want %+v", r.Stats().Counters, st.Counters)
	}
}

// I3: a batch whose events lie outside of it applies none of those. If one beyond the end were applied, it would be applied again when
// it is sent with the next batch.
func TestEventsOutsideOfTheBatch(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	p := compile(t, sources)
	f := newFeeder(t, p, traffic(1, 1, 12))
	if err := f.decoder.Decode(f.values[0], fallback, &f.e); err != nil {
		t.Fatal(err)
	}
	try := func(applied int, prev, last int64, change func(e *event.Event), offsets ...int64) {
		t.Helper()
		s := newShard(t, testSettings(), sources)
		var b Batch
		b.Begin(p.Hash, f.stream, prev)
		for i, o := range offsets {
			e := f.e
			e.ID = [2]uint64{uint64(i), 1}
			change(&e)
			b.Add(o, &e)
		}
		r := s.Apply(b.Seal(last, 1))
		corrupt := uint64(0)
		if applied < len(offsets) {
			corrupt = 1
		}
		if r.Outcome != Accepted || r.Applied != applied || s.Stats().Corrupt != corrupt {
			t.Errorf("(%d, %d] with %v: %+v, %d corrupt; want %d applied, %d corrupt", prev, last, offsets, r, s.Stats().Corrupt, applied, corrupt)
		}
		if err := s.Check(); err != nil {
			t.Error(err)
		}
	}
	same := func(*event.Event) {}
	try(3, -1, 9, same, 0, 4, 9)
	try(2, -1, 9, same, 0, 9, 10)
	try(1, -1, 9, same, 4, 4)
	try(1, -1, 9, same, 4, 3)
	try(0, -1, 0, func(e *event.Event) {
		e.Identifiers = []event.Identifier{{Namespace: 0, Value: make([]byte, 70_000)}}
	}, 0)
}

// A reader that comes after Close sees an empty shard.
func TestClosedShardIsEmpty(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	p := compile(t, sources)
	f := newFeeder(t, p, traffic(100, 5, 13))
	s := newShard(t, testSettings(), sources)
	mustAccept(t, s.Apply(f.batch(-1, 99, 1)))
	s.Close()
	s.Close()
	var v View
	id := f.e.Identifiers[0]
	ns := p.Schema.Namespaces[id.Namespace].Name
	if s.Lookup([]byte(ns), id.Value, identity.Hash(ns, id.Value), &v) {
		t.Error("found a profile")
	}
	never := func(*View) bool { t.Error("saw a profile"); return false }
	if _, more := s.Members(0, 0, &v, never); more {
		t.Error("there are more members")
	}
	if _, more := s.Scan(nil, 0, 10, &v, never); more {
		t.Error("there are more profiles")
	}
	if n := s.AudienceSize(0) + s.Count(nil, nil) + s.Stats().Profiles; n != 0 {
		t.Errorf("%d profiles", n)
	}
	s.Hash()
}
