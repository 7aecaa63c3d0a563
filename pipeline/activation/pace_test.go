package activation

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"dashi/pipeline/zone"

	"pgregory.net/rapid"
)

func drawSchedule(t *rapid.T) *Schedule {
	s := &Schedule{}
	word := rapid.SampledFrom([]uint64{1, 2, 3})
	at := rapid.Int64Range(-100, 1<<42)
	for range rapid.IntRange(0, 5).Draw(t, "pending") {
		s.Put(Pending{ID: word.Draw(t, "id"), Key: word.Draw(t, "key"), Due: at.Draw(t, "due"), At: at.Draw(t, "at"),
			Held: rapid.SampledFrom([]int64{0, Passed, 77}).Draw(t, "held"), Type: []byte(rapid.String().Draw(t, "type"))})
	}
	for range rapid.IntRange(0, 9).Draw(t, "sent") {
		p := &Pace{ID: word.Draw(t, "id"), Keyed: rapid.Bool().Draw(t, "keyed"), Count: rapid.IntRange(0, 3).Draw(t, "count"), Period: 1000,
			Group: rapid.Uint64Range(0, 2).Draw(t, "group"), Cooldown: 500, Priority: rapid.IntRange(-3, 3).Draw(t, "priority")}
		s.Sent(p, word.Draw(t, "key"), at.Draw(t, "at"))
	}
	return s
}

// What is written is read back, and the same content has the same bytes.
func TestScheduleRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchedule(t)
		text := s.Append(nil)
		var r Schedule
		r.Read(text)
		if again := r.Append(nil); !bytes.Equal(again, text) || len(r.Pending) != len(s.Pending) || len(r.marks) != len(s.marks) {
			t.Fatalf("%x, then %x", text, again)
		}
		holds := false
		for _, p := range s.Pending {
			holds = holds || p.Held == 77
		}
		if Holds(text) != holds {
			t.Fatalf("Holds is %v", !holds)
		}
	})
}

func FuzzSchedule(f *testing.F) {
	s := &Schedule{}
	s.Put(Pending{ID: 1, Key: 2, Due: 3, Type: []byte("x")})
	s.Sent(&Pace{ID: 1, Keyed: true, Group: 5, Count: 1, Period: 10}, 3, 4)
	f.Add(s.Append(nil))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s Schedule
		s.Read(text)
		s.Read(s.Append(nil))
	})
}

// A profile remembers the latest MaxKeys keys of an activation, and no more.
func TestKeysAreBounded(t *testing.T) {
	var s Schedule
	p := &Pace{ID: 1, Keyed: true}
	for k := range uint64(3 * MaxKeys) {
		s.Sent(p, k, int64(k))
	}
	if len(s.marks) != MaxKeys || s.Asks(p, 2*MaxKeys-1, 0, 0) != Leaves || s.Asks(p, 2*MaxKeys, 0, 0) != Again {
		t.Errorf("%d keys", len(s.marks))
	}
	for i := range uint64(2 * MaxPending) {
		want := Leaves
		if i >= MaxPending {
			want = Crowded
		}
		if got := s.Put(Pending{ID: 1, Key: i}); got != want {
			t.Fatalf("pending %d: %s", i, got)
		}
	}
}

// A cool-down lasts as long as the longest that its priority has begun, whatever leaves meanwhile; what says nothing more is forgotten, so a group has one mark a
// priority at most.
func TestCooldownsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s, o Schedule
		var until [5]int64 // by priority
		at := int64(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			at += rapid.Int64Range(0, 10).Draw(t, "wait")
			p := &Pace{ID: 1, Group: 5, Priority: rapid.IntRange(-2, 2).Draw(t, "priority"), Cooldown: rapid.Int64Range(1, 50).Draw(t, "cooldown")}
			want := Leaves
			for _, u := range until[p.Priority+2:] {
				if at < u {
					want = Cooling
				}
			}
			if got := s.Asks(p, 0, 0, at); got != want {
				t.Fatalf("at %d priority %d: %s, want %s; %v", at, p.Priority, got, want, s.marks)
			}
			if want == Cooling { // the other one may have left
				o.Sent(p, 0, at)
				s.Merge(&o)
			} else {
				s.Sent(p, 0, at)
			}
			until[p.Priority+2] = max(until[p.Priority+2], at+p.Cooldown)
			if len(s.marks) > len(until) {
				t.Fatalf("%d marks of %d priorities", len(s.marks), len(until))
			}
		}
	})
}

// What comes back to where it has been brings nothing twice, and what left twice at one instant stays two.
func TestMergeAgain(t *testing.T) {
	var s, o Schedule
	p := &Pace{ID: 1, Keyed: true, Count: 4, Period: 100, Group: 5, Cooldown: 10}
	o.Sent(p, 1, 7)
	o.Sent(p, 2, 7)
	s.Sent(p, 3, 20)
	s.Merge(&o)
	once := bytes.Clone(s.Append(nil))
	s.Merge(&o)
	if again := s.Append(nil); !bytes.Equal(again, once) {
		t.Errorf("%x, then %x", once, again)
	}
	if s.Asks(p, 4, 0, 30) != Leaves {
		t.Error("three have left of four")
	}
	if s.Sent(p, 4, 30); s.Asks(p, 5, 0, 40) != Capped {
		t.Error("four have left of four")
	}
}

func TestQuietHours(t *testing.T) {
	berlin, err := zone.Load("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const hour = 3600_000
	f := func(from, to int64, z *zone.Zone, at, want string) {
		t.Helper()
		instant, _ := time.Parse(time.RFC3339, at)
		end, ok := (&Quiet{From: from * hour, To: to * hour}).End(instant.UnixMilli(), z)
		got := ""
		if ok {
			got = time.UnixMilli(end).UTC().Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%d to %d at %s: %q, want %q", from, to, at, got, want)
		}
	}
	utc := &zone.Zone{}
	f(21, 8, utc, "2026-03-01T20:59:59Z", "")
	f(21, 8, utc, "2026-03-01T21:00:00Z", "2026-03-02T08:00:00Z")
	f(21, 8, utc, "2026-03-02T07:59:59Z", "2026-03-02T08:00:00Z")
	f(21, 8, utc, "2026-03-02T08:00:00Z", "")
	f(9, 17, utc, "2026-03-02T09:00:00Z", "2026-03-02T17:00:00Z")
	f(9, 17, utc, "2026-03-02T17:00:00Z", "")
	f(9, 17, utc, "1969-12-31T10:00:00Z", "1969-12-31T17:00:00Z")
	f(21, 8, berlin, "2026-03-28T21:00:00Z", "2026-03-29T06:00:00Z") // clocks go forward in between
	f(21, 8, berlin, "2026-10-24T20:00:00Z", "2026-10-25T07:00:00Z") // and back
}

func TestScheduleDoesNotAllocate(t *testing.T) {
	var s Schedule
	p := &Pace{ID: 1, Keyed: true, Count: 5, Period: 1000, Group: 9, Cooldown: 10}
	for i := range 20 {
		s.Put(Pending{ID: 1, Key: uint64(i)})
		s.Sent(p, uint64(i), int64(i*20))
	}
	text := s.Append(nil)
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		s.Read(text)
		s.Put(Pending{ID: 1, Key: 3})
		_ = fmt.Stringer(s.Asks(p, 3, 0, 500))
		s.Sent(p, 77, 500)
		buf = s.Append(buf[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
