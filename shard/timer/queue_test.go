package timer

import (
	"bytes"
	"cmp"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type timer struct {
	due     int64
	ordinal uint32
}

// naive is a sorted list.
type naive []timer

func (l *naive) clear(ordinal uint32) {
	*l = slices.DeleteFunc(*l, func(t timer) bool { return t.ordinal == ordinal })
}

func (l *naive) set(ordinal uint32, due int64) {
	l.clear(ordinal)
	*l = append(*l, timer{due, ordinal})
	slices.SortStableFunc(*l, func(a, b timer) int { return cmp.Compare(a.due, b.due) })
}

// pop takes out everything of the first instant that is due.
func (l *naive) pop(now int64) (due int64, who []uint32) {
	if len(*l) == 0 || (*l)[0].due > now {
		return 0, nil
	}
	due = (*l)[0].due
	for len(*l) > 0 && (*l)[0].due == due {
		who = append(who, (*l)[0].ordinal)
		*l = (*l)[1:]
	}
	slices.Sort(who)
	return due, who
}

// I1, I4, I5: the queue against a sorted list, with restores in between.
func TestAgainstSortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, list := &Queue{}, &naive{}
		now := rapid.Int64Range(-1<<45, 1<<46).Draw(t, "start")
		steps := 1 << 30
		q.Pop(now, &steps)
		for range rapid.IntRange(1, 80).Draw(t, "operations") {
			o := uint32(rapid.SampledFrom([]int{0, 1, 2, 3, 4095, 4096, 9000, 4094, 17}).Draw(t, "ordinal"))
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1, 2:
				due := now + 1 + rapid.Int64Range(0, 1<<rapid.IntRange(0, 44).Draw(t, "bits")).Draw(t, "wait")
				q.Set(o, due)
				list.set(o, due)
			case 3:
				q.Clear(o)
				list.clear(o)
			case 4:
				now += rapid.Int64Range(0, 1<<rapid.IntRange(0, 42).Draw(t, "bits")).Draw(t, "pass")
				drain(t, q, list, now)
			case 5:
				f := q.Freeze()
				text := f.Append(nil)
				q.Set(77, now+5)
				q.Clear(77)
				if !bytes.Equal(text, f.Append(nil)) {
					t.Fatal("a frozen queue has changed")
				}
				r, rest, err := Restore(append(slices.Clone(text), 'x'), 10_000)
				if err != nil || string(rest) != "x" || !bytes.Equal(r.Freeze().Append(nil), text) {
					t.Fatalf("restored: %v, rest %q", err, rest)
				}
				q = r
			}
			if q.Len() != len(*list) {
				t.Fatalf("%d timers, want %d", q.Len(), len(*list))
			}
			for _, x := range *list {
				if q.Due(x.ordinal) != x.due || q.Next() > (*list)[0].due {
					t.Fatalf("timer %d is due at %d and the first not before %d, want %d and %d", x.ordinal, q.Due(x.ordinal), q.Next(), x.due, (*list)[0].due)
				}
			}
		}
		drain(t, q, list, Never)
	})
}

// drain pops all that is due, in slices of a few steps.
func drain(t *rapid.T, q *Queue, list *naive, now int64) {
	pop := func() (uint32, int64, bool) {
		for {
			steps := rapid.IntRange(1, 3).Draw(t, "steps")
			o, due, ok := q.Pop(now, &steps)
			if ok || steps > 0 {
				return o, due, ok
			}
		}
	}
	for {
		due, who := list.pop(now)
		var got []uint32
		for range who {
			o, at, ok := pop()
			if !ok || at != due {
				t.Fatalf("popped %d at %d: %v; want %v at %d", o, at, ok, who, due)
			}
			got = append(got, o)
		}
		if slices.Sort(got); !slices.Equal(got, who) {
			t.Fatalf("popped %v, want %v", got, who)
		}
		if who == nil {
			if o, at, ok := pop(); ok {
				t.Fatalf("popped %d at %d too early", o, at)
			}
			return
		}
	}
}

// I2: timers of one instant come in the order in which they were set.
func TestOrderOfOneInstant(t *testing.T) {
	q := &Queue{}
	order := []uint32{5, 3, 9000, 1, 4096}
	for _, o := range order {
		q.Set(o, 1_000_000)
	}
	var got []uint32
	for steps := 1000; ; {
		o, _, ok := q.Pop(2_000_000, &steps)
		if !ok {
			break
		}
		got = append(got, o)
	}
	if !slices.Equal(got, order) {
		t.Errorf("%v, want %v", got, order)
	}
}

func FuzzRestore(f *testing.F) {
	q := &Queue{}
	for i := range uint32(40) {
		q.Set(i*100, int64(i*i*977))
	}
	f.Add(q.Freeze().Append(nil))
	f.Fuzz(func(t *testing.T, text []byte) {
		q, _, err := Restore(text, 5000)
		if err != nil {
			return
		}
		for n := q.Len(); n > 0; n-- {
			steps := 1 << 20
			if _, _, ok := q.Pop(Never, &steps); !ok {
				t.Fatalf("%d timers cannot be reached", n)
			}
		}
	})
}

// 5,000,000 timers in at most 16 bytes each, and a Freeze that nobody notices.
func TestMemory(t *testing.T) {
	const n = 5_000_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	q := &Queue{}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range uint32(n) {
		q.Set(i, 1_772_000_000_000+r.Int64N(90*86400_000))
	}
	used := float64(heap()-before) / n
	if used > 16 || float64(q.Bytes())/n > 16 {
		t.Errorf("%.2f bytes a timer, it says %.2f", used, float64(q.Bytes())/n)
	}
	start := time.Now()
	q.Freeze()
	t.Logf("%.2f bytes a timer; frozen in %v", used, time.Since(start))
	runtime.KeepAlive(q)
}

func TestSetDoesNotAllocate(t *testing.T) {
	q := &Queue{}
	q.Set(0, 1)
	i := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		i++
		q.Set(uint32(i*7%4096), i*1000)
		steps := 100
		q.Pop(i*500, &steps)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkSet moves a timer among a million.
func BenchmarkSet(b *testing.B) {
	q := &Queue{}
	steps := 1
	q.Pop(1_771_999_000_000, &steps)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range uint32(1_000_000) {
		q.Set(i, 1_772_000_000_000+r.Int64N(30*86400_000))
	}
	b.ReportAllocs()
	for b.Loop() {
		q.Set(r.Uint32N(1_000_000), 1_772_000_000_000+r.Int64N(30*86400_000))
	}
}

// BenchmarkPop takes out timers of one second, set in random order.
func BenchmarkPop(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		q := &Queue{}
		steps := 1
		q.Pop(1_771_999_000_000, &steps) // the position is where the clock is
		for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
			q.Set(uint32(i), 1_772_000_000_000+int64(i)%1000)
		}
		start := time.Now()
		for k := 0; k < n; {
			steps := 1 << 14
			for ; ; k++ {
				if _, _, ok := q.Pop(1_772_000_001_000, &steps); !ok {
					break
				}
			}
		}
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/n, "ns/timer")
	}
}

// Ahead gives what Pop gives next, of the same instant.
func TestAhead(t *testing.T) {
	var q Queue
	for o := range uint32(100) {
		q.Set(o*7%100, int64(1000+o/25))
	}
	steps := math.MaxInt
	var list [16]uint32
	if n := q.Ahead(list[:]); n != 0 {
		t.Errorf("%d before the first instant", n)
	}
	seen := 0
	for {
		ordinal, due, ok := q.Pop(2000, &steps)
		if !ok {
			break
		}
		seen++
		if n := q.Ahead(list[:]); n > 0 {
			rest := q
			rest.pages = nil
			for _, p := range q.pages {
				own := *p
				rest.pages = append(rest.pages, &own)
			}
			for _, want := range list[:n] {
				if o, at, ok := rest.Pop(2000, &steps); !ok || o != want || at != due {
					t.Fatalf("after %d: %d at %d, ahead was %d at %d", ordinal, o, at, want, due)
				}
			}
		} else if seen%25 != 0 {
			t.Fatalf("nothing is ahead after %d timers", seen)
		}
	}
	if seen != 100 {
		t.Errorf("%d timers", seen)
	}
}

// Next is the first timer however far it is, and timers of one second that were far do not move down through all levels.
func TestNextIsTheFirst(t *testing.T) {
	var q Queue
	const day = 86400_000
	for o := range uint32(1000) {
		q.Set(o, 40*day+int64(o*7919%1000))
	}
	const enough = 1_000_000
	steps := enough
	for want := int64(40 * day); want < 40*day+1000; want++ {
		if q.Next() != want {
			t.Fatalf("the first timer is at %d, not %d", q.Next(), want)
		}
		if _, due, ok := q.Pop(want, &steps); !ok || due != want {
			t.Fatalf("popped %d %v, want %d", due, ok, want)
		}
	}
	if moves := enough - 1000*FireSteps - steps; moves > 2500 {
		t.Errorf("%d moves for 1,000 timers of one second", moves)
	}
}
