package recipe

import (
	"reflect"
	"testing"
	"time"

	"dashi/pipeline/identity"
)

func TestDefaultIdentity(t *testing.T) {
	p, found := Compile(nil)
	if p == nil || len(found) > 0 {
		t.Fatal(found)
	}
	want := identity.Rules{MaxIdentifiers: identity.DefaultMaxIdentifiers, Namespaces: []identity.Rule{
		{Name: "user_id", Unique: true, Limit: 1}, {Name: "crm_id"}, {Name: "email"}, {Name: "phone"},
		{Name: "anonymous_id", Shared: identity.LastAuthenticated}, {Name: "match_id"}}}
	if !reflect.DeepEqual(p.Identity, want) {
		t.Errorf("got %+v", p.Identity)
	}
	for i, r := range p.Identity.Namespaces {
		if p.Schema.Namespaces[i].Name != r.Name {
			t.Errorf("rule %d is of %s, namespace of %s", i, r.Name, p.Schema.Namespaces[i].Name)
		}
	}
}

func TestIdentityRules(t *testing.T) {
	p := compileText(t, `
recipe: r
identity:
  max_identifiers: 50
  namespaces:
    - {name: crm_id, from: userId, unique: True, blocked: ["test-*", "/^9{6}$/", None given]}
    - {name: email, from: traits.email, normalise: email, hash: sha256, limit: {count: 5, excess: oldest}}
    - {name: card, from: traits.card, limit: {count: 3, period: 4w, excess: refuse}, shared: isolate}
    - {name: device, from: anonymousId, normalise: exact, limit: {count: 30, period: ever}, shared: first}
`)
	weeks := 4 * 7 * 24 * time.Hour
	want := identity.Rules{MaxIdentifiers: 50, Namespaces: []identity.Rule{{Name: "crm_id", Unique: true, Limit: 1}, {Name: "email", Limit: 5, Excess: identity.Oldest},
		{Name: "card", Limit: 3, Period: weeks.Milliseconds(), Shared: identity.Isolate}, {Name: "device", Limit: 30}}}
	if !reflect.DeepEqual(p.Identity, want) {
		t.Errorf("got %+v", p.Identity)
	}
	f := func(namespace int, value, want string) {
		t.Helper()
		out, ok := p.Schema.Namespaces[namespace].Normalise(nil, []byte(value))
		if ok != (want != "") || string(out) != want {
			t.Errorf("%q gave %q, %v", value, out, ok)
		}
	}
	f(0, " 17 ", "17")
	f(0, "TEST-17", "")
	f(0, "999999", "")
	f(0, "none given", "")
	f(1, "A@B.example", "ebb18a030bf15174f5714e24d63af1a81355c951ea7389bd2a9bd18e3d0c2477")
	f(3, " 17 ", " 17 ")
}

func TestPeriod(t *testing.T) {
	for in, want := range map[string]time.Duration{"24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "2w": 14 * 24 * time.Hour,
		"0d": 0, "7": 0, "d": 0, "-1d": 0, "1.5d": 0, "7m": 0, "4000d": 0, "99999999999999999999h": 0} {
		if got := parsePeriod(in); got != want.Milliseconds() {
			t.Errorf("%q is %d ms", in, got)
		}
	}
}
