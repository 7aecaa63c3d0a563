package resp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

// fake is a node with a few profiles in maps. It is filled before it is used.
type fake struct {
	mu       sync.RWMutex
	program  *recipe.Program
	profiles map[string]map[string]*shard.View
	fields   map[string]int
	indices  map[string]int

	touched atomic.Int64
	moving  atomic.Int64           // how often the profile user_id:moving is still on its way
	away    atomic.Bool            // all profiles are on another node
	gate    chan struct{}          // what is fetched waits for it, if not nil
	fetches []string               // under subMu
	gone    atomic.Pointer[string] // the audience that another cookbook has dropped

	subMu sync.Mutex
	subs  map[int]func(id, activation, audience string, payload []byte)
	next  int
}

// newFake has n attributes, f0 a number, f1 a string, f2 a time, f3 a flag and so on, and three audiences.
func newFake(n int) *fake {
	f := &fake{
		program:  &recipe.Program{FixedSize: 8 * n},
		profiles: map[string]map[string]*shard.View{},
		fields:   map[string]int{},
		indices:  map[string]int{},
		subs:     map[int]func(id, activation, audience string, payload []byte){},
	}
	for i := range n {
		a := recipe.Attribute{Name: fmt.Sprintf("f%d", i)}
		word := func(e *expr.Env) uint64 { return binary.LittleEndian.Uint64(e.State.Fixed[8*i:]) }
		text := []byte(fmt.Sprintf("text of attribute %d", i))
		switch i % 4 {
		case 0:
			a.Type = attribute.Number
			a.Num = func(e *expr.Env) (float64, bool) { w := word(e); return math.Float64frombits(w), w != 0 }
		case 1:
			a.Type = attribute.String
			a.Str = func(e *expr.Env) ([]byte, bool) { return text, word(e) != 0 }
		case 2:
			a.Type = attribute.Time
			a.Num = func(e *expr.Env) (float64, bool) { w := word(e); return float64(w), w != 0 }
		case 3:
			a.Type = attribute.Bool
			// 0 is absent, 1 true and 2 false.
			a.Truth = func(e *expr.Env) expr.Truth { return [...]expr.Truth{expr.Absent, expr.True, expr.False}[word(e)] }
		}
		f.program.Attributes = append(f.program.Attributes, a)
		f.fields[a.Name] = i
	}
	for i, name := range []string{"vip", "new:comers", "lapsed"} {
		f.program.Audiences = append(f.program.Audiences, audience.Definition{Name: name})
		f.indices[name] = i
	}
	return f
}

// put makes a profile with the words of its attributes and the audiences it is in.
func (f *fake) put(namespace, value string, in []int, words ...uint64) {
	fixed := make([]byte, f.program.FixedSize)
	for i, w := range words {
		binary.LittleEndian.PutUint64(fixed[8*i:], w)
	}
	bits := audience.NewBits(len(f.program.Audiences))
	for _, i := range in {
		bits.Set(i)
	}
	if f.profiles[namespace] == nil {
		f.profiles[namespace] = map[string]*shard.View{}
	}
	f.profiles[namespace][value] = &shard.View{
		Program:     f.program,
		Env:         expr.Env{State: attribute.State{Fixed: fixed}, Audiences: bits},
		Identifiers: []shard.Identifier{{Namespace: namespace, Value: []byte(value)}},
	}
}

// full puts one profile with a value in each attribute.
func (f *fake) full(namespace, value string, in ...int) {
	words := make([]uint64, len(f.program.Attributes))
	for i := range words {
		switch i % 4 {
		case 0:
			words[i] = math.Float64bits(float64(i)*1.5 + 12)
		case 1, 3:
			words[i] = 1
		case 2:
			words[i] = 1764000000123
		}
	}
	f.put(namespace, value, in, words...)
}

func (f *fake) Lookup(namespace, value []byte, _ int64, fn func(*shard.View)) Whereabouts {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if string(value) == "moving" && f.moving.Add(-1) >= 0 {
		return Moving
	}
	if f.away.Load() && f.profiles[string(namespace)] != nil {
		return Away
	}
	v, ok := f.profiles[string(namespace)][string(value)]
	if ok {
		fn(v)
		return Found
	}
	return Missing
}

// fetched is a profile that the fake had somewhere else.
type fetched struct {
	v   *shard.View
	err error
}

func (p fetched) Show(fn func(*shard.View)) (bool, error) {
	if p.v != nil && p.err == nil {
		fn(p.v)
	}
	return p.v != nil && p.err == nil, p.err
}

// Fetch answers when the test lets it. What is called "lost" cannot be reached.
func (f *fake) Fetch(level Level, keys, audiences []string, done func(*Fetched)) {
	f.subMu.Lock()
	f.fetches = append(f.fetches, fmt.Sprint(levels[level], keys, audiences))
	f.subMu.Unlock()
	go func() {
		if f.gate != nil {
			<-f.gate
		}
		got := &Fetched{}
		for _, key := range keys {
			namespace, value, _ := cut([]byte(key))
			p := fetched{v: f.profiles[string(namespace)][string(value)]}
			if string(value) == "lost" {
				p.err = errors.New("shard 3: node n2 does not answer")
			}
			got.Profiles = append(got.Profiles, p)
		}
		for _, name := range audiences {
			got.Sizes = append(got.Sizes, f.size(f.indices[name]))
			if name == "lapsed" {
				got.Sizes, got.SizesErr = nil, errors.New("shard 5: node n3 does not answer")
			}
		}
		done(got)
	}()
}

// Touch notes how much was read ahead.
func (f *fake) Touch(keys [][]byte) { f.touched.Add(int64(len(keys))) }

func (f *fake) FieldIndex(name []byte) (int, bool) { i, ok := f.fields[string(name)]; return i, ok }

func (f *fake) AudienceIndex(name []byte) (int, bool) { i, ok := f.indices[string(name)]; return i, ok }

func (f *fake) AudienceSize(index int) (int64, bool) { return f.size(index), !f.away.Load() }

func (f *fake) size(index int) int64 {
	n := int64(0)
	for _, of := range f.profiles {
		for _, v := range of {
			if v.In(index) {
				n++
			}
		}
	}
	return n
}

func (f *fake) Sends(name string) bool {
	if gone := f.gone.Load(); gone != nil && *gone == name {
		return false
	}
	_, ok := f.indices[name]
	return ok || name == "welcome"
}

func (f *fake) Subscribe(_ string, deliver func(id, activation, audience string, payload []byte)) (stop func()) {
	f.subMu.Lock()
	defer f.subMu.Unlock()
	n := f.next
	f.next++
	f.subs[n] = deliver
	return func() {
		f.subMu.Lock()
		defer f.subMu.Unlock()
		delete(f.subs, n)
	}
}

// publish sends an activation that has the name of its audience, or "NAME of AUDIENCE".
func (f *fake) publish(id, name, payload string) {
	activation, audience, other := strings.Cut(name, " of ")
	if !other {
		audience = name
	}
	f.subMu.Lock()
	defer f.subMu.Unlock()
	for _, d := range f.subs {
		d(id, activation, audience, []byte(payload))
	}
}

func (f *fake) subscribers() int {
	f.subMu.Lock()
	defer f.subMu.Unlock()
	return len(f.subs)
}

func (f *fake) Info() Info {
	n := int64(0)
	for _, of := range f.profiles {
		n += int64(len(of))
	}
	return Info{Version: "0.1.0", Uptime: 90 * time.Second, Profiles: n, Events: 7, Behind: 7}
}

// shop is a fake with ada (all attributes, vip and new:comers), bob (two attributes) and a value with odd bytes.
func shop() *fake {
	f := newFake(4)
	f.full("email", "ada@example.com", 0, 1)
	f.put("user_id", "bob", []int{2}, math.Float64bits(3.25), 0, 0, 2)
	f.full("url", "http://a/b:c d", 0)
	return f
}

// until polls a condition that another goroutine makes true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s for: %s", what)
		}
	}
}
