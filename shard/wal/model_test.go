package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"dashi/shard/wal/vfs"
)

// model is the naive log: maps and slices.
type model map[uint32]*modelGroup

type modelGroup struct {
	first   uint64
	entries []Record
	commit  uint64
	stable  map[string]string
}

func (m model) group(id uint32) *modelGroup {
	if m[id] == nil {
		m[id] = &modelGroup{first: 1, stable: map[string]string{}}
	}
	return m[id]
}

func (g *modelGroup) next() uint64 { return g.first + uint64(len(g.entries)) }

// text describes everything that must survive.
func (m model) text() string {
	var b strings.Builder
	ids := make([]int, 0, len(m))
	for id := range m {
		ids = append(ids, int(id))
	}
	sort.Ints(ids)
	for _, id := range ids {
		g := m[uint32(id)]
		describe(&b, uint32(id), g.first, g.entries, g.commit, g.stable)
	}
	return b.String()
}

func describe(b *strings.Builder, id uint32, first uint64, entries []Record, commit uint64, stable map[string]string) {
	if first == 1 && len(entries) == 0 && commit == 0 && len(stable) == 0 {
		return // as good as unknown
	}
	fmt.Fprintf(b, "group %d from %d commit %d:", id, first, commit)
	for _, r := range entries {
		fmt.Fprintf(b, " %d/%d/%d/%d/%d.%08x", r.Index, r.Term, r.Commit, r.Type, len(r.Data), crc32.ChecksumIEEE(r.Data))
	}
	keys := make([]string, 0, len(stable))
	for k := range stable {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		fmt.Fprintf(b, " %q=%q", k, stable[k])
	}
	b.WriteByte('\n')
}

// text reads the same out of a log.
func text(t testing.TB, l *Log) string {
	t.Helper()
	var b strings.Builder
	for _, id := range l.Groups() {
		first, last := l.Bounds(id)
		var entries []Record
		for i := first; i <= last; i++ {
			r, _, err := l.Read(id, i, nil)
			must(t, err)
			entries = append(entries, r)
		}
		stable := map[string]string{}
		for _, k := range []string{"term", "vote", "third"} {
			if v, ok := l.Get(id, k); ok {
				stable[k] = string(v)
			}
		}
		describe(&b, id, first, entries, l.Commit(id), stable)
	}
	return b.String()
}

// driver does random operations to a log and to the model. history is what the model was after each frame: what a
// crash leaves must be one of these, not older than the last that was promised.
type driver struct {
	t       testing.TB
	rng     *rand.Rand
	l       *Log
	model   model
	history []string
	ends    []Position // where the operation of history[i] ended in the log; 0 while it is under way
	acked   int        // history[acked] was acknowledged in the mode of the log
	durable int        // history[durable] was promised to survive a power cut
}

func newDriver(t testing.TB, seed uint64, l *Log) *driver {
	return &driver{t: t, rng: rand.New(rand.NewPCG(seed, 1)), l: l, model: model{}, history: []string{""}, ends: []Position{1}}
}

// step records what one more frame makes of the model.
func (d *driver) step(change func()) {
	change()
	d.history = append(d.history, d.model.text())
	d.ends = append(d.ends, 0)
}

// ended says how the operation that made the last steps ended.
func (d *driver) ended(err error, acked, durable bool) error {
	if err != nil {
		return err
	}
	last := len(d.history) - 1
	for i := last; i >= 0 && d.ends[i] == 0; i-- {
		d.ends[i] = d.l.end
	}
	if acked || durable {
		d.acked = last
	}
	if durable || acked && d.l.opts.Mode == Fsync {
		d.durable = last
	}
	return nil
}

// settle takes into account what the log has synced by itself, before a power cut.
func (d *driver) settle() {
	for i, end := range d.ends {
		if end != 0 && end <= d.l.durable {
			d.durable = max(d.durable, i)
		}
	}
}

// do does one random operation.
func (d *driver) do() error {
	id := uint32(d.rng.IntN(3))
	next, first := uint64(1), uint64(1)
	if g := d.model[id]; g != nil {
		next, first = g.next(), g.first
	}
	switch n := d.rng.IntN(100); {
	case n < 50:
		return d.append(id, next, n < 10)
	case n < 60:
		index := first + d.rng.Uint64N(next-first+1)
		err := d.l.TruncateBefore(id, index)
		d.step(func() {
			if g := d.model.group(id); index > g.first {
				g.entries, g.first = g.entries[index-g.first:], index
			}
		})
		return d.ended(err, false, false)
	case n < 70:
		index := first - 1 + d.rng.Uint64N(next-first+1)
		err := d.l.TruncateAfter(id, index)
		d.step(func() {
			g := d.model.group(id)
			g.entries = slices.Clone(g.entries[:index+1-g.first])
		})
		return d.ended(err, true, false)
	case n < 73:
		index := 1 + d.rng.Uint64N(next+10)
		err := d.l.Reset(id, index)
		d.step(func() {
			g := d.model.group(id)
			g.first, g.entries = index, nil
		})
		return d.ended(err, true, false)
	case n < 75:
		err := d.l.Drop(id)
		d.step(func() { delete(d.model, id) })
		return d.ended(err, true, true)
	case n < 85:
		key := []string{"term", "vote", "third"}[d.rng.IntN(3)]
		value := strings.Repeat("v", d.rng.IntN(20)) + fmt.Sprint(len(d.history))
		err := d.l.Set(id, key, []byte(value))
		d.step(func() { d.model.group(id).stable[key] = value })
		return d.ended(err, true, true)
	case n < 95:
		return d.ended(d.l.Sync(), true, true)
	default:
		return d.refused(id, first, next)
	}
}

func (d *driver) append(id uint32, next uint64, later bool) error {
	records := make([]Record, 1+d.rng.IntN(3))
	for i := range records {
		data := make([]byte, d.rng.IntN(400))
		for k := range data {
			data[k] = byte(d.rng.Uint32())
		}
		records[i] = Record{Index: next + uint64(i), Term: d.rng.Uint64N(9), Commit: next - 1, Type: uint8(d.rng.IntN(4)), Data: data}
	}
	p, err := d.l.Submit(id, records)
	for _, r := range records {
		d.step(func() {
			g := d.model.group(id)
			g.entries, g.commit = append(slices.Clone(g.entries), r), max(g.commit, r.Commit)
		})
	}
	if err == nil && !later {
		err = d.l.Wait(p)
	}
	return d.ended(err, !later, false)
}

// refused does what makes no sense: it must be refused and change nothing.
func (d *driver) refused(id uint32, first, next uint64) error {
	for _, err := range []error{
		d.l.Append(id, []Record{{Index: next + 1}}),
		d.l.TruncateBefore(id, next+1),
		d.l.Reset(id, 0),
	} {
		if d.l.Err() == nil && !errors.Is(err, ErrGap) {
			d.t.Fatalf("nonsense gave %v", err)
		}
	}
	if first > 1 {
		if err := d.l.TruncateAfter(id, first-2); d.l.Err() == nil && !errors.Is(err, ErrGap) {
			d.t.Fatalf("nonsense gave %v", err)
		}
	}
	return d.l.Err()
}

// match finds which point of its history a log stands at, and fails if that is before from.
func (d *driver) match(l *Log, from int, what string) int {
	d.t.Helper()
	got := text(d.t, l)
	for i := len(d.history) - 1; i >= from; i-- {
		if d.history[i] == got {
			return i
		}
	}
	old := slices.Index(d.history, got)
	d.t.Fatalf("%s: the log stands at point %d of %d and must not be before %d; it is\n%s\nand should be at least\n%s", what, old, len(d.history)-1, from, got, d.history[from])
	return 0
}

// goOn takes the log that was recovered as point i of the history.
func (d *driver) goOn(l *Log, i int, m model) {
	d.l, d.model = l, m
	d.history, d.ends = d.history[i:i+1], []Position{1}
	d.acked, d.durable = 0, 0
}

// learn makes a model of a log.
func learn(t testing.TB, l *Log) model {
	m := model{}
	for _, id := range l.Groups() {
		g := m.group(id)
		first, last := l.Bounds(id)
		g.first, g.commit = first, l.Commit(id)
		for i := first; i <= last; i++ {
			r, _, err := l.Read(id, i, nil)
			must(t, err)
			g.entries = append(g.entries, r)
		}
		for _, k := range []string{"term", "vote", "third"} {
			if v, ok := l.Get(id, k); ok {
				g.stable[k] = string(v)
			}
		}
	}
	return m
}

func inline(mode Mode) Options {
	return Options{Mode: mode, SegmentSize: minSegment, KeepFree: 1, inline: true}
}

func openInline(fs vfs.FS, mode Mode) (*Log, error) {
	opts := inline(mode)
	opts.FS = fs
	return Open("wal", opts)
}

// TestModel compares a log with the model while nothing goes wrong.
func TestModel(t *testing.T) {
	seeds := uint64(15)
	if testing.Short() {
		seeds = 2
	}
	for _, mode := range []Mode{Replicated, Fsync} {
		for seed := range seeds {
			mem := vfs.NewMem()
			l, err := openInline(mem, mode)
			must(t, err)
			d := newDriver(t, seed, l)
			for n := range 300 {
				must(t, d.do())
				if n%50 == 49 {
					if got, want := text(t, d.l), d.model.text(); got != want {
						t.Fatalf("seed %d, operation %d:\n%s\nwant\n%s", seed, n, got, want)
					}
				}
				if n%100 == 99 {
					must(t, d.l.Close())
					l, err := openInline(mem, mode)
					must(t, err)
					d.l = l
				}
			}
			must(t, d.l.Close())
		}
	}
}
