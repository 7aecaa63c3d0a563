package kafka

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestLetters: what was written comes back, once, with what else is there passed over; a letter that was sent again is known to have been.
func TestLetters(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "dead", Partitions: 3})
	d, err := NewDeadLetters(b.Settings(), "dead")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, began := testContext(t), time.Now().Add(-time.Second)
	stream := Stream{Topic: [16]byte{1, 2, 3}, Name: "events", Partition: 2}
	var want []DeadLetter
	for i := range 20 {
		want = append(want, DeadLetter{Reason: "malformed", Detail: fmt.Sprint("letter ", i), Stream: stream, Offset: int64(i), Key: []byte{byte(i)}, Value: []byte(fmt.Sprint("value ", i))})
	}
	want[3].Sink = "crm"
	want[4].Value = bytes.Repeat([]byte("x"), deadLetterBytes+5)
	want[5].Stream, want[5].Offset = Stream{}, 0 // it came in another way
	want = append(want, want[6], want[5])        // one is written twice; two without an origin are two
	for _, l := range want {
		if err := d.Put(ctx, l); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	produce(t, openProducer(t, b.Settings(), "dead"), 0, 5) // no letters

	read := func(since time.Time) (letters map[string]Letter, again map[Origin]time.Time) {
		t.Helper()
		letters = map[string]Letter{}
		again, _, err := Letters(ctx, b.Settings(), "dead", since, 1e6, func(l *Letter) {
			key := l.Detail
			for _, twice := letters[key]; twice; _, twice = letters[key] {
				key += "'"
			}
			letters[key] = *l
		})
		if err != nil {
			t.Fatal(err)
		}
		return letters, again
	}
	letters, again := read(began)
	if len(letters) != 21 || len(again) != 0 {
		t.Fatalf("%d letters, %d sent again", len(letters), len(again))
	}
	for _, w := range want[:20] {
		l := letters[w.Detail]
		size := len(w.Value)
		w.Value = w.Value[:min(size, deadLetterBytes)]
		if l.Reason != w.Reason || l.Stream != w.Stream || l.Offset != w.Offset || l.Sink != w.Sink || string(l.Key) != string(w.Key) || string(l.Value) != string(w.Value) || l.Size != size {
			t.Errorf("%+v, want %+v", l, w)
		}
		if since := time.Since(l.Found); since < 0 || since > time.Minute {
			t.Errorf("found %v", l.Found)
		}
	}

	sent := []Letter{letters["letter 3"], letters["letter 7"], letters["letter 8"]}
	if err := SentAgain(ctx, b.Settings(), "dead", sent); err != nil {
		t.Fatal(err)
	}
	letters, again = read(began)
	if len(letters) != 21 || len(again) != 3 {
		t.Fatalf("%d letters, %v sent again", len(letters), again)
	}
	for _, l := range sent {
		if at := again[l.Origin()]; at.Before(began) {
			t.Errorf("%s was sent again at %v", l.Detail, at)
		}
	}
	// Each note lies behind its letter.
	err = History(ctx, b.Settings(), "dead", func(partition int32, r *Record) error {
		if l, at := readLetter(partition, r); !at.IsZero() {
			for _, s := range sent {
				if s.Origin() == l.Origin() && (s.Partition != partition || r.Offset < s.Place) {
					t.Errorf("the note of %s is at %d/%d, it at %d/%d", s.Detail, partition, r.Offset, s.Partition, s.Place)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if letters, _ = read(time.Now().Add(time.Hour)); len(letters) != 0 {
		t.Errorf("%d letters of the future", len(letters))
	}
	if err := SentAgain(ctx, b.Settings(), "nowhere", sent[:1]); err == nil || !strings.Contains(err.Error(), `write to topic "nowhere"`) {
		t.Error(err)
	}
}
