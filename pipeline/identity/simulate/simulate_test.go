package simulate

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"

	"pgregory.net/rapid"
)

var names = []string{"user_id", "email", "anonymous_id"}

func shopRules() *identity.Rules {
	return &identity.Rules{MaxIdentifiers: 50, Namespaces: []identity.Rule{
		{Name: "user_id", Unique: true, Limit: 1}, {Name: "email"}, {Name: "anonymous_id", Shared: identity.LastAuthenticated}}}
}

// seen makes an event with identifiers of the namespaces in order; "" for none.
func seen(at int64, values ...string) *event.Event {
	e := &event.Event{Time: at, ID: [2]uint64{uint64(at), 1}}
	for ns, v := range values {
		if v != "" {
			e.Identifiers = append(e.Identifiers, event.Identifier{Namespace: uint8(ns), Value: []byte(v)})
		}
	}
	return e
}

func run(t testing.TB, rules *identity.Rules, events ...*event.Event) (*Simulation, *Report) {
	t.Helper()
	s := New(rules, names)
	for _, e := range events {
		if _, err := s.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return s, s.Resolve(nil)
}

func (s *Simulation) profileOf(namespace int, value string) string {
	return s.Profile(s.index[string(byte(namespace))+value])
}

func TestSharedTablet(t *testing.T) {
	s, r := run(t, shopRules(),
		seen(1, "ada", "ada@a.example", "tablet"), seen(2, "bob", "", "tablet"), seen(3, "", "", "tablet"),
		seen(4, "", "ada@a.example", "phone"), seen(5, "eve", "ada@a.example"))
	if r.Events != 5 || r.Identifiers != 6 || r.Profiles != 3 || r.Links != 5 {
		t.Errorf("%+v", r)
	}
	if got := s.profileOf(2, "tablet"); got != "user_id:bob" {
		t.Errorf("the tablet is of %s", got)
	}
	if got := s.profileOf(2, "phone"); got != "user_id:ada" {
		t.Errorf("the phone is of %s", got)
	}
	if got := s.profileOf(1, "ada@a.example"); got != "user_id:ada" {
		t.Errorf("the address is of %s", got)
	}
	if want := map[string]map[string]int{"anonymous_id": {"limit": 1}, "email": {"limit": 1}}; !reflect.DeepEqual(r.Refused, want) {
		t.Errorf("refused %v", r.Refused)
	}
	if want := map[string]int{"anonymous_id": 1, "email": 1}; !reflect.DeepEqual(r.Shared, want) {
		t.Errorf("shared %v", r.Shared)
	}
	if len(r.Largest) == 0 || r.Largest[0].ID != "user_id:ada" || len(r.Largest[0].Identifiers) != 3 || r.Largest[0].Events != 2 {
		t.Errorf("largest %+v", r.Largest)
	}
}

func TestKioskIsNobodys(t *testing.T) {
	var events []*event.Event
	for i := range identity.MaxPartners + 10 {
		events = append(events, seen(int64(i), fmt.Sprint("u", i), "", "kiosk"))
	}
	_, r := run(t, shopRules(), events...)
	if len(r.Saturated) != 1 || r.Saturated[0].String() != "anonymous_id:kiosk" || r.Profiles != len(events)+1 {
		t.Errorf("%+v", r)
	}
}

// A chain of shared addresses that would bring everybody to one place is cut, and that is said.
func TestChain(t *testing.T) {
	var events []*event.Event
	for i := range 2 * MostTogether {
		events = append(events, seen(int64(i), fmt.Sprint("u", i), fmt.Sprint("m", i), ""), seen(int64(i), fmt.Sprint("u", i), fmt.Sprint("m", i+1), ""))
	}
	_, r := run(t, shopRules(), events...)
	if r.Overlong == 0 || r.Overlong > 10 {
		t.Errorf("%d links passed over", r.Overlong)
	}
}

// Whatever the order of events, and group by group, it is what the resolver says about everything at once.
func TestAgainstAllAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := func(ns string) *rapid.Generator[string] {
			return rapid.SampledFrom([]string{"", "1" + ns, "2" + ns, "3" + ns, "4" + ns})
		}
		var events []*event.Event
		for i := range rapid.IntRange(0, 12).Draw(t, "events") {
			e := seen(rapid.Int64Range(0, 5).Draw(t, "at"), value("u").Draw(t, "user"), value("e").Draw(t, "email"), value("a").Draw(t, "device"))
			e.ID[0] = uint64(i)
			if len(e.Identifiers) > 0 {
				events = append(events, e)
			}
		}
		rules := shopRules()
		rules.MaxIdentifiers = rapid.IntRange(2, 6).Draw(t, "max")
		rules.Namespaces[2].Shared = rapid.SampledFrom([]identity.Shared{identity.First, identity.LastAuthenticated, identity.Isolate}).Draw(t, "shared")
		s, r := New(rules, names), (*Report)(nil)
		for _, i := range rapid.Permutation(indices(len(events))).Draw(t, "order") {
			if _, err := s.Add(events[i]); err != nil {
				t.Fatal(err)
			}
		}
		r = s.Resolve(nil)
		want := allAtOnce(s, rules)
		profiles := map[string]bool{}
		for m := range s.members {
			profiles[s.Profile(int32(m))] = true
			if got := s.Profile(int32(m)); got != want[m] {
				t.Fatalf("%s is of %s, want %s", s.identifier(int32(m)), got, want[m])
			}
		}
		if len(profiles) != r.Profiles {
			t.Fatalf("%d profiles, report says %d", len(profiles), r.Profiles)
		}
	})
}

func indices(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func allAtOnce(s *Simulation, rules *identity.Rules) []string {
	var group []int32
	for m := range s.members {
		group = append(group, int32(m))
	}
	slices.SortFunc(group, s.order)
	f := &identity.Facts{}
	for _, m := range group {
		f.Members = append(f.Members, identity.Member{Namespace: int(s.members[m].namespace)})
	}
	for _, l := range s.links {
		here := *l
		here.A, here.B = slices.Index(group, int32(l.A)), slices.Index(group, int32(l.B))
		f.Links = append(f.Links, here)
	}
	slices.SortFunc(f.Links, func(x, y identity.Link) int { return (x.A-y.A)*1000 + x.B - y.B })
	var r identity.Resolver
	r.Resolve(rules, f)
	profiles := make([]string, len(s.members))
	for i, m := range group {
		p := group[f.Members[i].Profile]
		profiles[m] = s.names[s.members[p].namespace] + ":" + s.members[p].value
	}
	return profiles
}

// With e-mail as the only identifier nearly all pairs of records that come together are of one person.
func TestFake1000ByEmail(t *testing.T) {
	f, err := os.Open("../../../../shared/data/fake_1000.csv.gz")
	if err != nil {
		t.Skipf("the data is not there: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	normalise, err := identity.Normaliser("email")
	if err != nil {
		t.Fatal(err)
	}
	mail, cluster := slices.Index(rows[0], "email"), slices.Index(rows[0], "cluster")
	s := New(shopRules(), names)
	var of []int32 // by record with an address
	var truth []string
	for i, row := range rows[1:] {
		address, ok := normalise(nil, []byte(row[mail]))
		if !ok {
			continue
		}
		m, err := s.Add(seen(int64(i), "", string(address), ""))
		if err != nil {
			t.Fatal(err)
		}
		of, truth = append(of, m), append(truth, row[cluster])
	}
	s.Resolve(nil)
	found, right := 0, 0
	for a := range of {
		for b := a + 1; b < len(of); b++ {
			if s.Profile(of[a]) == s.Profile(of[b]) {
				found++
				if truth[a] == truth[b] {
					right++
				}
			}
		}
	}
	t.Logf("%d records with an address, %d pairs, %d right", len(of), found, right)
	if found < 400 || float64(right) < 0.99*float64(found) {
		t.Errorf("%d of %d pairs are right", right, found)
	}
}

func BenchmarkSimulation(b *testing.B) {
	for b.Loop() {
		s := New(shopRules(), names)
		for i := range 100_000 {
			_, _ = s.Add(seen(int64(i), fmt.Sprint(i/4), fmt.Sprint("m", i/3), fmt.Sprint("a", i/2)))
		}
		s.Resolve(nil)
	}
}
