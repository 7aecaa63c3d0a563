package shard

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
)

const crowdRecipe = `
recipe: crowd
attributes:
  orders: {kind: count, on: Order Completed}
  works_at: {kind: set, add: {on: group, value: groupId}, remove: {on: Account Removed User, value: groupId}}
accounts:
  member_of: works_at
  people: 3
  audiences:
    somebody: {when: people.count() > 0, emit: both}
    sums: {when: people.sum(orders) > 100, emit: none}
`

var crowdProgram = sync.OnceValue(func() *recipe.Program {
	p, _ := recipe.Compile(readInline("crowd.yml", crowdRecipe))
	return p
})

// size is the number of people who count.
func (c *gathering) size() (n int) {
	c.each(func(int) { n++ })
	return n
}

// crowded is a shard with accounts, and a way to tell them something of a person.
func crowded(t testing.TB) (s *Shard, hear func(from int, kind byte, orders uint64, who string)) {
	settings := testSettings()
	settings.Compile = func(sources []recipe.Source) (*recipe.Program, []recipe.Diagnostic) { return crowdProgram(), nil }
	s = newShard(t, settings, readInline("crowd.yml", crowdRecipe))
	return s, func(from int, kind byte, orders uint64, who string) {
		m := appendBytes([]byte{messagePeople}, []byte("acme"))
		m = binary.AppendVarint(m, 1000)
		m = appendBytes(append(m, kind), []byte("user_id"))
		m = appendBytes(m, []byte(who))
		if kind == tellIn || kind == tellTakes {
			m = binary.AppendUvarint(m, 1)
			m = binary.LittleEndian.AppendUint64(m, s.program.Accounts.Items[0].ID)
			m = binary.LittleEndian.AppendUint64(m, orders)
		}
		s.apply.message(m, from)
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
	}
}

func crowdOf(s *Shard) (c gathering, found bool) {
	k := key{hash: homeOf("acme"), value: []byte("acme")}
	ref, found := s.accounts.table.Find(k.hash, 0, k.value)
	if !found {
		return c, false
	}
	return gathering{s.accounts.table.Record(ref).Segment(s.accounts.program.crowd), crowdWidth(s.program.Accounts.Items)}, true
}

// Somebody goes from shard 1 to 2, to 3, and back to 2, where they leave the account or stay. Each shard's messages arrive in their order, those of
// several shards in any. Once the first has arrived nobody ever sees them missing or twice, before the last that leaves; and nothing is left of the way.
func TestCrowdOnTheWay(t *testing.T) {
	type said struct {
		kind   byte
		orders uint64
	}
	for _, stays := range []bool{true, false} {
		says := map[int][]said{
			1: {{tellIn, 1}, {tellIn, 2}, {tellMoves, 0}},
			2: {{tellTakes, 2}, {tellMoves, 0}, {tellTakes, 3}, {tellIn, 4}},
			3: {{tellTakes, 2}, {tellIn, 3}, {tellMoves, 0}},
		}
		if !stays {
			says[2] = append(says[2], said{tellOut, 0})
		}
		r := rand.New(rand.NewPCG(1, 2))
		for range 500 {
			s, hear := crowded(t)
			left := map[int][]said{1: says[1], 2: says[2], 3: says[3]}
			for {
				var open []int
				for from, list := range left {
					if len(list) > 0 {
						open = append(open, from)
					}
				}
				if len(open) == 0 {
					break
				}
				slices.Sort(open)
				from := open[r.IntN(len(open))]
				hear(from, left[from][0].kind, left[from][0].orders, "ada")
				left[from] = left[from][1:]
				if c, _ := crowdOf(s); c.size() > 1 {
					t.Fatal("she counts twice")
				}
			}
			c, found := crowdOf(s)
			switch {
			case !stays && found:
				t.Fatalf("something is left: %d rows", c.len())
			case stays && (c.len() != 1 || c.shard(0) != 2 || le64(c.contribution(0)[8:]) != 4 || c.balance(0) != 0):
				t.Fatalf("%d rows, the first of shard %d with %x", c.len(), c.shard(0), c.contribution(0))
			}
			s.Close()
		}
	}
}

// A move alone, with its two messages in either order, is no transition of the account.
func TestCrowdSteady(t *testing.T) {
	for _, first := range []byte{tellMoves, tellTakes} {
		s, hear := crowded(t)
		hear(1, tellIn, 5, "ada")
		before := s.outbox.next
		if first == tellMoves {
			hear(1, tellMoves, 0, "ada")
			hear(2, tellTakes, 5, "ada")
		} else {
			hear(2, tellTakes, 5, "ada")
			hear(1, tellMoves, 0, "ada")
		}
		if s.outbox.next != before {
			t.Errorf("first %d: the account leaves or enters although nobody does", first)
		}
		hear(2, tellOut, 0, "ada")
		if _, found := crowdOf(s); found || s.outbox.next != before+1 {
			t.Errorf("first %d: an account without people is not forgotten, or does not say so", first)
		}
	}
}

// An account counts so many people and no more; those it turns away are counted, and come in when they say something and there is room.
func TestCrowdFull(t *testing.T) {
	s, hear := crowded(t)
	for i := range 5 {
		hear(1, tellIn, 1, fmt.Sprint("u", i))
	}
	c, _ := crowdOf(s)
	if c.size() != 3 || c.over() != 2 || s.Stats().PeopleOver != 2 {
		t.Fatalf("%d people, %d turned away, %d counted", c.size(), c.over(), s.Stats().PeopleOver)
	}
	hear(1, tellMoves, 0, "u4") // one who was turned away moves
	hear(2, tellTakes, 1, "u4")
	hear(1, tellOut, 0, "u0")
	hear(2, tellIn, 2, "u4")
	if c, _ = crowdOf(s); c.size() != 3 || c.len() != 3 {
		t.Fatalf("%d people in %d rows", c.size(), c.len())
	}
}

// Those who are turned away stay away when they move, whichever of the two messages comes first, and nothing is left of their way.
func TestCrowdFullMoves(t *testing.T) {
	s, hear := crowded(t)
	for i := range 3 {
		hear(1, tellIn, 1, fmt.Sprint("u", i))
	}
	for i, order := range [][]byte{{tellIn, tellMoves, tellTakes}, {tellIn, tellTakes, tellMoves}, {tellTakes, tellIn, tellMoves}} {
		for _, kind := range order {
			from := 1
			if kind == tellTakes {
				from = 2
			}
			hear(from, kind, 1, fmt.Sprint("late", i))
			if c, _ := crowdOf(s); c.size() != 3 {
				t.Errorf("order %v: %d people after %d", order, c.size(), kind)
			}
		}
		if c, _ := crowdOf(s); c.len() != 3 {
			t.Errorf("order %v: %d rows are left", order, c.len())
		}
	}
	hear(1, tellIn, 1, "dan") // there is room again while he is on the way: his own row does not take it
	hear(1, tellMoves, 0, "dan")
	hear(1, tellOut, 0, "u0")
	hear(2, tellTakes, 1, "dan")
	if c, _ := crowdOf(s); c.size() != 3 || c.len() != 3 {
		t.Errorf("%d people in %d rows, with dan", c.size(), c.len())
	}
	hear(1, tellMoves, 0, "u1") // one who is in goes on counting on the way, and moves in although it is full
	hear(2, tellTakes, 2, "u1")
	if c, _ := crowdOf(s); c.size() != 3 || c.len() != 3 {
		t.Errorf("%d people in %d rows", c.size(), c.len())
	}
}

// The rows against a list, with values that collide in nothing or in all but the value.
func TestCrowdRows(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	c := gathering{width: crowdWidth([]recipe.Item{{Attribute: -1}, {Attribute: 0}})}
	type person struct {
		k     key
		shard int
	}
	var want []person
	for range 3000 {
		k := key{ns: uint8(r.IntN(2)), hash: uint64(r.IntN(4)), value: []byte(fmt.Sprint("v", r.IntN(30)))}
		shard := r.IntN(3)
		lo, hi := c.find(k)
		i := lo
		for i < hi && c.shard(i) < shard {
			i++
		}
		at := slices.IndexFunc(want, func(p person) bool { return p.k.is(k) && p.shard == shard })
		if has := i < hi && c.shard(i) == shard; has != (at >= 0) {
			t.Fatalf("row there %v, want %v", has, at >= 0)
		}
		if at >= 0 {
			c.remove(i)
			want = slices.Delete(want, at, at+1)
		} else {
			c.insert(i, k, shard)
			copy(c.contribution(i), k.value)
			want = append(want, person{k, shard})
		}
	}
	if c.len() != len(want) {
		t.Fatalf("%d rows, want %d", c.len(), len(want))
	}
	for i := range c.len() {
		k := key{c.space(i), c.hash(i), c.value(i)}
		if !slices.ContainsFunc(want, func(p person) bool { return p.k.is(k) && p.shard == c.shard(i) }) || string(c.contribution(i)[:len(k.value)]) != string(k.value) {
			t.Errorf("row %d is strange", i)
		}
	}
}

func homeOf(account string) uint64 { return identity.Hash(recipe.AccountNamespace, []byte(account)) }

// An account travels to another node as a profile does, people and all; damaged bytes are an error.
func TestAccountTravels(t *testing.T) {
	s, hear := crowded(t)
	hear(1, tellIn, 7, "ada")
	hear(2, tellIn, 8, "bob")
	var v, w View
	if !s.Lookup([]byte("account"), []byte("acme"), homeOf("acme"), &v) || !v.IsAccount() {
		t.Fatal("there is no account")
	}
	bytes := AppendView(nil, &v)
	r := NewReader(s.Program())
	if err := r.Read(bytes, &w); err != nil {
		t.Fatal(err)
	}
	for _, text := range []func(v *View) []byte{func(v *View) []byte { return v.AppendJSON(nil) }, func(v *View) []byte { return v.AppendPeople(nil) }} {
		if got, want := string(text(&w)), string(text(&v)); got != want || want == "" {
			t.Errorf("after the journey %s, before %s", got, want)
		}
	}
	for i := range bytes {
		damaged := slices.Clone(bytes)
		damaged[i] ^= 0xff
		if r.Read(damaged, &w) == nil {
			w.AppendPeople(w.AppendJSON(nil))
		}
		if r.Read(bytes[:i], &w) == nil {
			t.Errorf("%d of %d bytes are enough", i, len(bytes))
		}
	}
}

// Accounts live by the times of events when people do, although the cookbook was there before the clock was set.
func TestAccountClock(t *testing.T) {
	s := newShard(t, testSettings(), readInline("clock.yml", `
recipe: clock
attributes:
  works_at: {kind: set, add: {on: group, value: groupId}}
  seen: {kind: last_at, on: "*"}
accounts:
  member_of: works_at
  attributes: {seen: {kind: derived, value: people.max(seen)}}
  audiences: {quiet: 'now - seen > duration("30d")'}
`))
	mustAccept(t, s.Apply(AppendClock(nil, 5, true, 0)))
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	f := newFeeder(t, s.Program(), [][]byte{[]byte(`{"type":"group","userId":"ada","groupId":"acme","timestamp":"2026-03-01T09:00:00Z"}`)})
	mustAccept(t, s.Apply(f.batch(-1, 0, 7)))
	mustAccept(t, s.Apply(AppendClock(nil, 9, true, at.AddDate(0, 2, 0).UnixMilli())))
	var left []string
	s.Outbox(0, func(_ uint64, _, payload []byte) bool {
		left = append(left, string(payload))
		return true
	})
	if len(left) != 1 || !strings.Contains(left[0], `"profile":"account:acme"`) || !strings.Contains(left[0], `"at":"2026-03-31T09:00:00.001Z"`) {
		t.Errorf("what left is %q", left)
	}
}
