package activation

import (
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// What is written is JSON with every field, whatever is in the identifiers, and Head finds in it what encoding/json does.
func TestJSONAndHead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.Just(`],"activation":"x","audience":"y"`), rapid.Just(`\\"],\"`)).Draw(t, "value")
		transition := rapid.SampledFrom([]Transition{Enter, Exit, Change, Event}).Draw(t, "transition")
		a := Activation{
			Subject:     NewSubject("welcome", "vip", transition),
			Type:        []byte("Order Completed"),
			Identifiers: []Identifier{{"user_id", []byte(value)}},
			Sequence:    rapid.Uint32().Draw(t, "sequence"),
			Cookbook:    rapid.Uint64().Draw(t, "cookbook"),
			EventTime:   1_772_400_000_123,
			At:          1_772_400_001_000,
			Attributes:  func(dst []byte) []byte { return append(dst, `"orders":3`...) },
		}
		text := a.AppendJSON(nil)
		var got struct {
			ID, Profile, Activation, Audience, Attribute, Type, Transition, Cookbook, At string
			EventTime                                                                    string `json:"event_time"`
			Sequence                                                                     uint32
			Identifiers                                                                  []struct{ Namespace, Value string }
			Attributes                                                                   struct{ Orders int }
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if got.ID != string(a.AppendID(nil)) || len(got.ID) != 32 || got.Sequence != a.Sequence || got.Transition != string(transition) ||
			got.At != "2026-03-01T21:20:01Z" || got.EventTime != "2026-03-01T21:20:00.123Z" || got.Attributes.Orders != 3 ||
			len(got.Identifiers) != 1 || got.Identifiers[0].Namespace != "user_id" || got.Profile != "user_id:"+got.Identifiers[0].Value {
			t.Fatalf("%s", text)
		}
		about := map[Transition][3]string{Enter: {"vip"}, Exit: {"vip"}, Change: {"", "vip"}, Event: {"", "", "Order Completed"}}[transition]
		if about != [3]string{got.Audience, got.Attribute, got.Type} {
			t.Fatalf("%s", text)
		}
		if id, name, audience := Head(text); id != got.ID || name != got.Activation || audience != got.Audience {
			t.Fatalf("Head gives %q, %q, %q for %s", id, name, audience, text)
		}
		if h := ReadHeading(text); string(h.ID) != got.ID || string(h.Activation) != got.Activation || string(h.Audience) != got.Audience || string(h.Transition) != got.Transition {
			t.Fatalf("ReadHeading gives %q for %s", h, text)
		}
	})
}

// The id depends on what happened, not on when it was written.
func TestIDIsStable(t *testing.T) {
	a := Activation{Subject: NewSubject("vip", "vip", Enter), Identifiers: []Identifier{{"user_id", []byte("u1")}}, Sequence: 4, EventTime: 1000, At: 2000}
	b := a
	b.At, b.Cookbook = 9000, 77
	if string(a.AppendID(nil)) != string(b.AppendID(nil)) {
		t.Error("the id changed with the clock or the cookbook")
	}
	for _, change := range []func(*Activation){
		func(c *Activation) { c.Sequence++ },
		func(c *Activation) { c.EventTime++ },
		func(c *Activation) { c.Subject = NewSubject("vip", "vip", Exit) },
		func(c *Activation) { c.Identifiers = []Identifier{{"user_id", []byte("u2")}} },
	} {
		c := a
		change(&c)
		if string(a.AppendID(nil)) == string(c.AppendID(nil)) {
			t.Error("two activations have one id")
		}
	}
}

// TestTexts: what is kept from one activation to the next is never of another instant or cookbook.
func TestTexts(t *testing.T) {
	var texts Texts
	rapid.Check(t, func(t *rapid.T) {
		a := Activation{Subject: NewSubject("vip", "vip", Enter), Identifiers: []Identifier{{"user_id", []byte("u1")}},
			Cookbook: rapid.Uint64Range(0, 2).Draw(t, "cookbook"), EventTime: rapid.Int64Range(0, 2).Draw(t, "event"), At: rapid.Int64Range(0, 2).Draw(t, "at")}
		want := a.AppendJSON(nil)
		a.Texts = &texts
		if got := a.AppendJSON(nil); string(got) != string(want) {
			t.Fatalf("%s\nwant %s", got, want)
		}
	})
}

// BenchmarkAppendJSON is three activations of each event.
func BenchmarkAppendJSON(b *testing.B) {
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprintf("kept=%v", kept), func(b *testing.B) {
			a := Activation{Subject: NewSubject("vip", "vip", Enter), Identifiers: []Identifier{{"user_id", []byte("u000000000042")}}, Cookbook: 7, At: 1_790_000_000_456}
			if kept {
				a.Texts = new(Texts)
			}
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				a.EventTime = 1_790_000_000_000 + int64(a.Sequence/3)
				a.Sequence++
				dst = a.AppendJSON(dst[:0])
			}
		})
	}
}

func FuzzHead(f *testing.F) {
	f.Add([]byte(`{"id":"0123456789abcdef0123456789abcdef"],"activation":"x","audience":"y"`))
	f.Fuzz(func(t *testing.T, payload []byte) { ReadHeading(payload) })
}

func TestAppendDoesNotAllocate(t *testing.T) {
	a := Activation{Subject: NewSubject("vip", "vip", Enter), Identifiers: []Identifier{{"user_id", []byte("u1")}}, Sequence: 4, EventTime: 1000, At: 2000}
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf = a.AppendJSON(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
