package httpapi

import (
	"context"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/shard"
	"dashi/shard/profile"
)

// fake is a node with profiles in a map and Kafka in a slice.
type fake struct {
	gone atomic.Pointer[string] // the audience that another cookbook has dropped

	application Application
	applied     *Applied
	applyErr    error

	clockFixed, byEvents bool
	program              *recipe.Program
	profiles             map[string]*shard.View
	order                []*shard.View

	events   func(EventsQuery) (*Events, error) // nil: there is nobody
	dead     func(DeadQuery) (*DeadLetters, error)
	resent   func(q DeadQuery, dry bool) (*Resent, error)
	webhooks []string
	unlinked []string
	erased   []string
	down     atomic.Bool // a part of the profiles cannot be reached

	mu       sync.Mutex
	produced []Message
	fault    error         // of the next Produce
	hold     chan struct{} // Produce waits for it, if not nil
	subs     map[int]func(id, activation, audience string, payload []byte)
	next     int
	after    string
	idle     error
	heldBack string
	unready  error
}

// newFake has an attribute "orders" and the audiences vip and odd.
func newFake() *fake {
	f := &fake{profiles: map[string]*shard.View{}, subs: map[int]func(id, activation, audience string, payload []byte){}, program: &recipe.Program{
		FixedSize: 8,
		Audiences: []audience.Definition{{Name: "vip", Description: "those who buy"}, {Name: "odd/one %"}},
		Attributes: []recipe.Attribute{{Name: "orders", Type: attribute.Number, Num: func(e *expr.Env) (float64, bool) {
			n := binary.LittleEndian.Uint64(e.State.Fixed)
			return float64(n), n != 0
		}}},
	}}
	return f
}

func (f *fake) put(id string, orders uint64, in ...int) {
	namespace, value, ok := cut(id)
	if !ok {
		panic(id)
	}
	v := &shard.View{
		Program:     f.program,
		Env:         expr.Env{State: attribute.State{Fixed: binary.LittleEndian.AppendUint64(nil, orders)}, Audiences: audience.NewBits(2)},
		Identifiers: []shard.Identifier{{Namespace: string(namespace), Value: value, FirstSeen: 1000, LastSeen: 2000}},
		Version:     3,
	}
	var since []byte
	for _, i := range in {
		audience.Bits(v.Env.Audiences).Set(i)
		since = binary.LittleEndian.AppendUint64(since, 1764000000000)
	}
	table := profile.New(profile.Layout{Segments: 1}, profile.Heap{})
	rec := table.Record(table.SetSegment(table.Insert(1, 0, value), 0, since)) // entry times are in the first segment
	field := reflect.ValueOf(v).Elem().FieldByName("rec")
	*(*profile.Record)(unsafe.Pointer(field.UnsafeAddr())) = rec // only the shard can set it otherwise
	f.profiles[id] = v
	f.order = append(f.order, v)
}

func (f *fake) Erase(_ context.Context, id string) (time.Time, error) {
	if strings.HasPrefix(id, "nothing:") {
		return time.Time{}, fmt.Errorf("%w: %s", ErrIdentifier, id)
	}
	f.erased = append(f.erased, id)
	return time.UnixMilli(1_700_000_000_000).UTC(), nil
}

func (f *fake) Unlink(_ context.Context, a, b string) error {
	f.unlinked = append(f.unlinked, a+" "+b)
	if strings.HasPrefix(a, "nothing:") {
		return fmt.Errorf("%w: %s", ErrIdentifier, a)
	}
	return nil
}

func (f *fake) Produce(ctx context.Context, messages []Message) error {
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault != nil {
		return f.fault
	}
	f.produced = append(f.produced, messages...)
	return nil
}

// take returns what was produced since the last call.
func (f *fake) take() []Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.produced
	f.produced = nil
	return p
}

func (f *fake) Lookup(_ context.Context, namespace, value []byte, fn func(*shard.View)) (bool, error) {
	if f.down.Load() {
		return false, fmt.Errorf("%w: shard 3: node n2 does not answer", ErrUnavailable)
	}
	if string(value) == "null" {
		return false, fmt.Errorf("%w: it is always blocked", ErrNobody)
	}
	v, ok := f.profiles[string(namespace)+":"+string(value)]
	if ok {
		fn(v)
	}
	return ok, nil
}

func (f *fake) Events(_ context.Context, q EventsQuery) (*Events, error) {
	if f.events == nil {
		return nil, nil
	}
	return f.events(q)
}

func (f *fake) DeadLetters(_ context.Context, q DeadQuery) (*DeadLetters, error) { return f.dead(q) }

func (f *fake) Resend(_ context.Context, q DeadQuery, dry bool) (*Resent, error) {
	return f.resent(q, dry)
}

func (f *fake) Webhooks() []string { return f.webhooks }

func (f *fake) Moved(context.Context) ([]Moved, error) { return []Moved{{5, 2}}, nil }

func (f *fake) AudienceStats(_ context.Context, i int) (AudienceStats, error) {
	return AudienceStats{Audience: f.program.Audiences[i].Name, Size: 3, Hours: []AudienceHour{{At: time.UnixMilli(0).UTC(), Entered: 4, Left: 1, Size: 3}}}, nil
}

func (f *fake) Activations(_ context.Context, name string) ([]ActivationStats, error) {
	letter := ActivationStats{Activation: "letter", On: "event", About: "Visit", Sent: 12, Sent24h: 7, Goal: &GoalStats{On: []string{"Order"}, Within: "14d",
		Treated: GoalSide{Exposed: 12, Converted: 3, Rate: &Interval{0.25, 0.09, 0.53}}, Confidence: 0.95}}
	all := []ActivationStats{letter, {Activation: "odd/one %", On: "change", About: "orders"}}
	all = slices.DeleteFunc(all, func(a ActivationStats) bool { return name != "" && a.Activation != name })
	return all, nil
}

func (f *fake) LookupAll(ctx context.Context, ids []Identifier, fn func(*shard.View)) error {
	for _, id := range ids {
		if found, err := f.Lookup(ctx, id.Namespace, id.Value, fn); err != nil {
			return err
		} else if !found {
			fn(nil)
		}
	}
	return nil
}

func (f *fake) Audiences(context.Context) ([]Audience, error) {
	if f.down.Load() {
		return nil, ErrUnavailable
	}
	var l []Audience
	for i, a := range f.program.Audiences {
		n := int64(0)
		for _, v := range f.order {
			if v.In(i) {
				n++
			}
		}
		l = append(l, Audience{Name: a.Name, Description: a.Description, Size: n})
	}
	return l, nil
}

func (f *fake) Sends(name string) bool {
	if gone := f.gone.Load(); gone != nil && *gone == name {
		return false
	}
	_, ok := f.AudienceIndex([]byte(name))
	return ok || name == "welcome"
}

func (f *fake) AudienceIndex(name []byte) (int, bool) {
	for i, a := range f.program.Audiences {
		if a.Name == string(name) {
			return i, true
		}
	}
	return 0, false
}

// Members has "shards" of 100 profiles. When a part is down, only the first 40 of them are there.
func (f *fake) Members(_ context.Context, index int, from Cursor, fn func(*shard.View) bool) (Cursor, bool, error) {
	at := func(i int) Cursor { return Cursor{i / 100, uint32(i % 100)} }
	for i := from.Shard*100 + int(from.Ordinal); i < len(f.order); i++ {
		if f.down.Load() && i >= 4000 {
			return at(i), false, ErrUnavailable
		}
		if f.order[i].In(index) && !fn(f.order[i]) {
			return at(i + 1), i+1 < len(f.order), nil
		}
	}
	return Cursor{}, false, nil
}

func (f *fake) Query(ctx context.Context, q Query, fn func(*shard.View)) (Found, error) {
	if f.down.Load() {
		return Found{}, ErrUnavailable
	}
	if q.Where == "slow" {
		<-ctx.Done()
		return Found{}, ctx.Err()
	}
	if q.Where != "vip" {
		return Found{}, &BadQuery{"unknown name \"" + q.Where + "\"", "did you mean vip?"}
	}
	var found Found
	for i, v := range f.order {
		if !v.In(0) {
			continue
		}
		found.Count++
		switch {
		case i < int(q.From.Ordinal):
		case q.Limit > 0:
			fn(v)
			q.Limit--
			found.Next = Cursor{0, uint32(i + 1)}
		default:
			found.More = true
		}
	}
	return found, nil
}

func (f *fake) Subscribe(after string, deliver func(id, activation, audience string, payload []byte)) (stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.next
	f.next++
	f.subs[n] = deliver
	f.after = after
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subs, n)
	}
}

// publish sends an activation that has the name of its audience, or "NAME of AUDIENCE".
func (f *fake) publish(id, name, payload string) {
	activation, audience, other := strings.Cut(name, " of ")
	if !other {
		audience = name
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.subs {
		d(id, activation, audience, []byte(payload))
	}
}

func (f *fake) subscribers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.subs)
}

func (f *fake) Apply(_ context.Context, a Application) (*Applied, error) {
	f.application = a
	return f.applied, f.applyErr
}

func (f *fake) Cookbook() Cookbook {
	return Cookbook{Version: 3, At: time.Unix(0, 0).UTC(), Hash: "00000000000000ab", Sources: []Source{{"a.yaml", "x: 1\n"}}}
}
func (f *fake) Status(bool) any { return map[string]any{"profiles": len(f.order)} }
func (f *fake) WaitIdle(ctx context.Context) error {
	if f.idle != nil {
		<-ctx.Done()
		return f.idle
	}
	return nil
}
func (f *fake) SetClock(byEvents bool, to int64) (int64, error) {
	if f.clockFixed {
		return 0, ErrClockFixed
	}
	f.byEvents = byEvents
	return max(to, 1_000), nil
}
func (f *fake) Ready() error     { return f.unready }
func (f *fake) HeldBack() string { return f.heldBack }

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newTestAPI has a fixed clock and ids m1, m2, ...
func newTestAPI(f *fake, change func(*Settings)) *API {
	n := 0
	s := Settings{Now: func() time.Time { return testNow }, NewID: func() string { n++; return fmt.Sprintf("m%d", n) }}
	if change != nil {
		change(&s)
	}
	return New(s, f, nil, nil)
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s for: %s", what)
		}
	}
}

func values(messages []Message) string {
	var l []string
	for _, m := range messages {
		l = append(l, string(m.Value))
	}
	return strings.Join(l, "\n")
}
