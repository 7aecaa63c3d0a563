package features

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/shard"
	"dashi/shard/profile"
)

// MostBytes bounds the events that a Replay holds, projected and packed: some tens of bytes each.
const MostBytes = 4 << 30

// MostLabels bounds the rows that Run makes.
const MostLabels = 50_000_000

// batchEvents is how many events one entry of the shard brings.
const batchEvents = 1024

// Row is what was known of somebody at an instant. It is good until the next.
type Row struct {
	Who   string // the identifier that was asked for, or the profile's
	At    int64  // milliseconds since 1970 UTC
	Label string
	Cells []string // by column; "" where nothing was known
}

// Summary says what became of events and labels.
type Summary struct {
	Events   int `json:"events"`
	Rows     int `json:"rows"`
	Positive int `json:"positive"` // with Every: rows whose label is true
	Strange  int `json:"strange"`  // labels of people of whom nothing was known by then: they make no row
}

// Replay lives through events.
type Replay struct {
	program *recipe.Program
	columns []Column
	packed  []byte
	events  []held
	labels  []label
	every   *every

	shard   *shard.Shard
	batch   shard.Batch
	stream  shard.Stream
	offset  int64
	begun   int64 // the offset at which the batch begins
	event   event.Event
	view    shard.View
	buf     []byte
	row     Row
	summary Summary
}

// held is an event: where it stands in packed.
type held struct {
	time, at int64
	counts   bool // it is of the type that labels rows
}

type label struct {
	namespace int
	who       string // NAMESPACE:VALUE, normalised
	at        int64
	value     string
}

// New makes a Replay of a program.
func New(p *recipe.Program, columns []Column) *Replay {
	r := &Replay{program: p, columns: columns, offset: -1, begun: -1}
	r.stream.Topic[0] = 1
	return r
}

// Add keeps an event. It is not kept itself.
func (r *Replay) Add(e *event.Event) error {
	if len(r.packed) > MostBytes {
		return fmt.Errorf("more than %d GiB of events: take a part of the history", MostBytes>>30)
	}
	r.events = append(r.events, held{e.Time, int64(len(r.packed)), r.every != nil && string(e.Name) == r.every.name})
	r.packed = event.AppendPacked(r.packed, e)
	return nil
}

// Label asks for a row of an identifier, NAMESPACE:VALUE, as of an instant in milliseconds.
func (r *Replay) Label(who string, at int64, value string) error {
	name, text, _ := strings.Cut(who, ":")
	i := slices.IndexFunc(r.program.Schema.Namespaces, func(n event.Namespace) bool { return n.Name == name })
	if i < 0 {
		return fmt.Errorf("%q is no identifier of this cookbook: write NAMESPACE:VALUE, for example user_id:42", who)
	}
	if normalise := r.program.Schema.Namespaces[i].Normalise; normalise != nil {
		normal, ok := normalise(nil, []byte(text))
		if !ok {
			return fmt.Errorf("%q is nobody's identifier", who)
		}
		text = string(normal)
	}
	if len(r.labels) == MostLabels {
		return fmt.Errorf("more than %d labels", MostLabels)
	}
	r.labels = append(r.labels, label{i, name + ":" + text, at, value})
	return nil
}

// Run lives through all, in the order of event times, and calls fn for each row, in the order of instants.
func (r *Replay) Run(ctx context.Context, fn func(*Row) error) (Summary, error) {
	slices.SortStableFunc(r.events, func(a, b held) int { return cmp.Compare(a.time, b.time) })
	slices.SortStableFunc(r.labels, func(a, b label) int { return cmp.Compare(a.at, b.at) })
	settings := shard.DefaultSettings
	settings.Memory = profile.Heap{}
	settings.Compile = func([]recipe.Source) (*recipe.Program, []recipe.Diagnostic) { return r.program, nil }
	r.shard = shard.New(settings)
	defer r.shard.Close()
	r.apply(shard.AppendCookbook(nil, 0, r.program.Sources))
	r.apply(shard.AppendClock(nil, 0, true, 0))
	r.batch.Begin(r.program.Hash, r.stream, r.begun)
	var err error
	if r.every != nil {
		err = r.runEvery(ctx, fn)
	} else {
		err = r.runLabels(ctx, fn)
	}
	return r.summary, err
}

func (r *Replay) runLabels(ctx context.Context, fn func(*Row) error) error {
	next := 0
	for i := range r.labels {
		l := &r.labels[i]
		var err error
		if next, err = r.liveUntil(ctx, next, l.at); err != nil {
			return err
		}
		if !r.look(l) {
			r.summary.Strange++
			continue
		}
		r.row.Who, r.row.Label = l.who, l.value
		r.fill(l.at)
		if err := fn(&r.row); err != nil {
			return err
		}
	}
	return nil
}

// liveUntil applies the events before an instant, from the one with that number on, and moves the clock there.
func (r *Replay) liveUntil(ctx context.Context, next int, at int64) (int, error) {
	for ; next < len(r.events) && r.events[next].time < at; next++ {
		if err := r.live(next); err != nil {
			return next, err
		}
		if next%batchEvents == 0 && ctx.Err() != nil {
			return next, ctx.Err()
		}
	}
	r.moveTo(at)
	return next, nil
}

// moveTo brings everybody to an instant.
func (r *Replay) moveTo(at int64) {
	r.flush()
	r.buf = shard.AppendClock(r.buf[:0], 0, true, at)
	r.apply(r.buf)
	r.view.At = at
}

// live applies one event, soon.
func (r *Replay) live(i int) error {
	if _, err := event.Unpack(r.packed[r.events[i].at:], r.program.Schema, &r.event); err != nil {
		return fmt.Errorf("cannot read a packed event: %w", err)
	}
	r.offset++
	r.batch.Add(r.offset, &r.event)
	r.summary.Events++
	if r.batch.Events() == batchEvents {
		r.flush()
	}
	return nil
}

// flush applies the batch.
func (r *Replay) flush() {
	if r.batch.Events() == 0 {
		return
	}
	r.apply(r.batch.Seal(r.offset, 0))
	r.begun = r.offset
	r.batch.Begin(r.program.Hash, r.stream, r.begun)
}

// apply gives the shard an entry, and lets what leaves go nowhere, until no timer is due.
func (r *Replay) apply(entry []byte) {
	for {
		if result := r.shard.Apply(entry); result.Outcome != shard.Accepted {
			panic(fmt.Sprintf("features: BUG: the shard answers %s: %s", result.Outcome, result.Detail))
		}
		if st := r.shard.Stats(); st.OutboxEntries > 0 {
			r.shard.Apply(shard.AppendAck(nil, 0, st.OutboxNext))
		}
		if r.shard.Wake() != math.MinInt64 {
			return
		}
		entry = shard.AppendTick(nil, 0)
	}
}

// look finds the profile of a label.
func (r *Replay) look(l *label) bool {
	name := r.program.Schema.Namespaces[l.namespace].Name
	value := []byte(l.who[len(name)+1:])
	return r.shard.Lookup([]byte(name), value, identity.Hash(name, value), &r.view)
}

// fill makes the cells of the profile in view.
func (r *Replay) fill(at int64) {
	r.row.At, r.row.Cells = at, r.row.Cells[:0]
	for i := range r.columns {
		r.view.Env.Scratch = r.view.Env.Scratch[:0]
		r.row.Cells = append(r.row.Cells, cell(r.columns[i].value(&r.view.Env)))
	}
	r.summary.Rows++
}
