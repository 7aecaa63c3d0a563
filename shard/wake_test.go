package shard

import (
	"fmt"
	"testing"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/shard/profile"
)

const wakeRecipe = `recipe: wake
attributes:
  orders: {kind: count, on: Order Completed}
  last_order: {kind: last_at, on: Order Completed}
audiences:
  lapsed: {when: 'now - last_order > duration("30d")', emit: %s}
`

// sleepers is a shard of people who all ordered in one second, so that all lapse in one.
func sleepers(t testing.TB, people int, emit string) (s *Shard, due int64) {
	settings := DefaultSettings
	settings.Memory = profile.NewMemory()
	sources := readInline("wake.yml", fmt.Sprintf(wakeRecipe, emit))
	s = newShard(t, settings, sources)
	decoder := event.NewDecoder(s.Program().Schema, event.DefaultLimits)
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var e event.Event
	var b Batch
	const size = 1000
	for at := 0; at < people; at += size {
		b.Begin(s.Program().Hash, Stream{Topic: [16]byte{1}}, int64(at)-1)
		for i := at; i < at+size; i++ {
			who := i * 7919 % people // so that neighbours in the table are not neighbours in time
			text := fmt.Sprintf(`{"type":"track","event":"Order Completed","userId":"u%d","timestamp":%q}`, who, start.Add(time.Duration(i%1000)*time.Millisecond).Format(time.RFC3339Nano))
			if err := decoder.Decode([]byte(text), start.UnixMilli(), &e); err != nil {
				t.Fatal(err)
			}
			b.Add(int64(i), &e)
		}
		mustAccept(t, s.Apply(b.Seal(int64(at)+size-1, start.UnixMilli()+1000)))
	}
	return s, start.UnixMilli() + 30*86400_000 + 1000
}

// One entry fires a bounded number of timers, the next goes on; an event does not overtake those of its own profile; and
// a full outbox stops them until it is acknowledged.
func TestManyTimersAtOnce(t *testing.T) {
	s, due := sleepers(t, 20_000, "enter")
	if s.Wake() > due || s.Wake() < due-86400_000*40 {
		t.Fatalf("the first timer is due at %d, not %d", s.Wake(), due)
	}
	r := s.Apply(AppendTick(nil, due+500))
	if r.Activations > wakeSteps/16 || s.Wake() >= 0 {
		t.Fatalf("one tick made %d activations, and the next entry is wanted at %d", r.Activations, s.Wake())
	}
	late := s.Stats().Timers
	for n := 1; s.Stats().Timers > 0; n++ {
		if s.Wake() == expr.Never { // the outbox is full
			before := s.Stats().Timers
			if s.Apply(AppendTick(nil, due+500)); s.Stats().Timers != before {
				t.Fatal("timers fired into a full outbox")
			}
			s.Apply(AppendAck(nil, due+500, s.Stats().OutboxNext))
		}
		s.Apply(AppendTick(nil, due+500))
		if n > late {
			t.Fatalf("%d timers are left", s.Stats().Timers)
		}
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	if n := s.AudienceSize(0); n != 20_000 || s.Wake() != expr.Never {
		t.Errorf("%d people have lapsed; next at %d", n, s.Wake())
	}
}

func TestWakeDoesNotAllocate(t *testing.T) {
	s, due := sleepers(t, 20_000, "none")
	var v View
	s.Lookup([]byte("user_id"), []byte("u1"), 0, &v)
	tick := AppendTick(nil, due)
	s.Apply(tick)
	if n := testing.AllocsPerRun(5, func() { s.Apply(tick) }); n > 20 { // the result, and a bitmap that grows
		t.Errorf("%v allocations for 500 timers", n)
	}
}

// BenchmarkWake is a million timers that are due in the same second: the work of all of them, and the longest entry, for which
// look-ups wait.
func BenchmarkWake(b *testing.B) {
	for _, emit := range []string{"none", "enter"} {
		b.Run("timers=1000000/emit="+emit, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				const people = 1_000_000
				s, due := sleepers(b, people, emit)
				b.StartTimer()
				longest, entries, used := time.Duration(0), 0, time.Duration(0)
				for s.AudienceSize(0) < people {
					before := cpuTime()
					if s.Wake() == expr.Never {
						s.Apply(AppendAck(nil, due, s.Stats().OutboxNext))
					} else {
						s.Apply(AppendTick(nil, due))
					}
					took := cpuTime() - before
					longest, used = max(longest, took), used+took
					entries++
				}
				b.ReportMetric(used.Seconds(), "cpu-s")
				b.ReportMetric(float64(longest.Microseconds())/1000, "longest-ms")
				b.ReportMetric(float64(entries), "entries")
				s.Close()
			}
		})
	}
}
