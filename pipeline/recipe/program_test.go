package recipe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"dashi/pipeline/audience"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
)

// story decodes messages, one a line, and applies them to one person.
func story(t *testing.T, p *Program, messages string) *person {
	t.Helper()
	d := event.NewDecoder(p.Schema, event.DefaultLimits)
	x := newPerson(p)
	x.scratch = make([]byte, 0, 1<<16)
	var e event.Event
	for line := range strings.Lines(strings.TrimSpace(messages)) {
		if err := d.Decode([]byte(strings.TrimSpace(line)), 1900000000000, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		x.apply(p, &e)
		x.pack()
	}
	return x
}

// attributes are the values of a person, as people see them.
func (x *person) attributes(p *Program) string {
	var b []byte
	for i := range p.Attributes {
		n := len(b)
		b = append(b, p.Attributes[i].Name+"="...)
		m := len(b)
		b = p.Attributes[i].AppendJSON(b, &x.env)
		if string(b[m:]) == "null" {
			b = b[:n]
			continue
		}
		b = append(b, ' ')
	}
	return strings.TrimSpace(string(b))
}

// audiences are the names of those that the person is in.
func (x *person) audiences(p *Program) string {
	var names []string
	bits := audience.Bits(x.env.Audiences)
	for i, a := range p.Audiences {
		bits.Clear(i)
		if a.Condition(&x.env) == expr.True {
			bits.Set(i)
			names = append(names, a.Name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestShopStory(t *testing.T) {
	p, found := Compile([]Source{readRecipe(t, "testdata/shop.yml")})
	if p == nil {
		t.Fatal(found)
	}
	f := func(messages, wantAttributes, wantAudiences string) {
		t.Helper()
		x := story(t, p, messages)
		got := x.attributes(p)
		for _, want := range strings.Split(wantAttributes, " ") {
			if !slices.Contains(strings.Split(got, " "), want) {
				t.Errorf("%s is not among %s", want, got)
			}
		}
		if got := x.audiences(p); got != wantAudiences {
			t.Errorf("in %q, want %q", got, wantAudiences)
		}
	}
	order := `{"type":"track","event":"Order Completed","userId":"u1","timestamp":"2026-03-01T10:00:00Z","properties":{"total":1500.5,"products":[{"product_id":"P1","category":"shoes","price":500,"quantity":3},{"product_id":"P2","category":"bags","price":0.5}]}}
`
	f(order, `orders=1 lifetime_value=1500.5 owned=["P1","P2"] spend_by_category={"shoes":1500} purchases=1 average_order=1500.5 cart_abandoner=false`, "new_purchasers")
	late := `{"type":"track","event":"Store Purchase","userId":"u1","timestamp":"2026-02-01T10:00:00Z","properties":{"total":700,"products":[]}}
`
	f(order+late, `lifetime_value=2200.5 last_order="2026-03-01T10:00:00Z" store_purchases=1 purchases=2`, "big_spenders omnichannel repeat_purchasers vip")
	refund := `{"type":"track","event":"Order Refunded","userId":"u1","timestamp":"2026-03-02T10:00:00Z","properties":{"total":1000}}
`
	f(order+late+refund, `lifetime_value=1200.5`, "omnichannel repeat_purchasers")
	consent := `{"type":"track","event":"Segment Consent Preference Updated","userId":"u1","timestamp":"2026-03-02T10:00:00Z","context":{"consent":{"categoryPreferences":{"email":true,"ads":false}}}}
`
	f(order+late+consent, `orders=1`, "big_spenders omnichannel repeat_purchasers vip vip_by_email")
	gold := `{"type":"identify","userId":"u1","timestamp":"2026-03-02T10:00:00Z","traits":{"email":"a@b.example","loyalty_tier":"gold"}}
`
	f(gold, `mail_address="a@b.example" loyalty_tier="gold"`, "vip")
	added := `{"type":"track","event":"Product Added","userId":"u1","timestamp":"2026-02-28T10:00:00Z","properties":{"product_id":"P9"}}
`
	f(added, `cart_abandoner=true`, "cart_abandoners")
	f(order+added, `cart_abandoner=false`, "new_purchasers") // the order came after it, whatever arrived first
	view := `{"type":"track","event":"Product Viewed","userId":"u1","timestamp":"2026-02-28T10:00:00Z","properties":{"product_id":"P%d","category":"shoes"}}
`
	views := ""
	for i := range 12 {
		views += fmt.Sprintf(view, i)
	}
	f(views, `product_views=12 interest={"shoes":12}`, "shoe_lovers window_shoppers")
}

func TestConsentRules(t *testing.T) {
	p := compileText(t, `
recipe: consent
purposes:
  news:
    granted: {on: Newsletter Joined, where: properties.version == "2"}
    withdrawn: [{on: Unsubscribed}, {on: Email Marked as Spam}]
  ads: {from: context.consent.categoryPreferences.ads, on: identify}
attributes:
  n: {kind: count, on: "*"}
audiences:
  a: consent.news
  b: consent.ads
`)
	f := func(want string, messages ...string) {
		t.Helper()
		if got := story(t, p, strings.Join(messages, "\n")).audiences(p); got != want {
			t.Errorf("in %q, want %q", got, want)
		}
	}
	join := `{"type":"track","event":"Newsletter Joined","userId":"1","timestamp":"2026-01-01T00:00:00Z","properties":{"version":"2"}}`
	other := strings.Replace(join, `"2"`, `"1"`, 1)
	leave := `{"type":"track","event":"Unsubscribed","userId":"1","timestamp":"2026-01-02T00:00:00Z"}`
	ads := `{"type":"identify","userId":"1","context":{"consent":{"categoryPreferences":{"ads":true}}}}`
	track := strings.Replace(ads, `"identify"`, `"track","event":"X"`, 1)
	f("", other)
	f("a", join)
	f("", join, leave)
	f("b", ads)
	f("", track)
}

func TestActivations(t *testing.T) {
	p := compileText(t, `
recipe: activations
purposes: {email: context.consent.categoryPreferences.email}
attributes:
  n: {kind: count, on: page}
  twice: {kind: derived, value: n * 2}
audiences:
  c: n > 1
  b: {when: c, emit: exit, requires: email, description: D}
activations:
  one: {on: {enter: b}, requires: [email], include: [twice, n]}
  two: {on: {exit: c}, where: twice > 10 && now > timestamp("2020-01-01")}
  three: {on: {change: twice}}
  four: {on: {event: "*"}}
  five: {on: {event: page}, where: properties.url == "x" && c}
`)
	got := ""
	for _, a := range p.Activations {
		got += fmt.Sprintf("%s %d %d %d %d %v %v %v\n", a.Name, a.Trigger, a.Audience, a.Attribute, a.Type, a.Where != nil, a.Requires, a.Include)
	}
	want := `one 0 1 -1 -1 false [0] [1 0]
two 1 0 -1 -1 true [] []
three 2 -1 1 -1 false [] []
four 3 -1 -1 -1 false [] []
five 3 -1 -1 1 true [] []
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if b := p.Audiences[1]; b.Name != "b" || b.Emit != audience.EmitExit || !slices.Equal(b.Requires, []int{0}) || !slices.Equal(b.Nested, []int{0}) || b.Description != "D" {
		t.Errorf("%+v", b)
	}
	if c := p.Audiences[0]; len(c.Atoms) != 1 || c.Atoms[0] != (audience.Atom{Attribute: 0, Constant: 1}) || len(c.Reads) != 0 {
		t.Errorf("%+v", c)
	}
}

func TestBucketsAreOfTheSizeOfTheirWeights(t *testing.T) {
	p := compileText(t, `
recipe: ab
attributes:
  offer: {kind: bucket, salt: s, weights: {zero: 0, control: 50, free: 50}}
audiences: {free: offer == "free"}
`)
	counts := map[string]int{}
	x := newPerson(p)
	for i := range 10_000 {
		x.env.Hash = uint64(i) * 0x9e3779b97f4a7c15
		s, _ := p.Attributes[0].Str(&x.env)
		counts[string(s)]++
		if (x.audiences(p) == "free") != (string(s) == "free") {
			t.Fatalf("%s, but in %q", s, x.audiences(p))
		}
	}
	if counts["zero"] != 0 || counts["control"] < 4700 || counts["free"] < 4700 {
		t.Errorf("%v", counts)
	}
	if n := testing.AllocsPerRun(100, func() { p.Attributes[0].Str(&x.env) }); n > 0 {
		t.Errorf("a bucket allocates %v times", n)
	}
}

// Only of an A/B bucket, and of what is derived from one, does the outcome differ among people of whom nothing is known.
func TestPersonal(t *testing.T) {
	p := compileText(t, `
recipe: personal
attributes:
  visits: {kind: count, on: page}
  lately: {kind: count, on: page, window: 7d}
  last_visit: {kind: last_at, on: page}
  warm: {kind: derived, value: 'coalesce(lately, 0) + coalesce(visits, 0)'}
  offer: {kind: bucket, salt: s, weights: {control: 50, free: 50}}
  gift: {kind: derived, value: offer == "free" && warm > 3}
audiences:
  given: gift
  late: now - last_visit > duration("30d")
  offered: offer == "free"
  present: gift || warm > 9
  warm_ones: warm > 5
`)
	for _, d := range p.Audiences {
		if want := slices.Contains([]string{"given", "offered", "present"}, d.Name); d.Personal != want {
			t.Errorf("%s: %v", d.Name, d.Personal)
		}
	}
}

func TestReadsDoNotAllocate(t *testing.T) {
	p, _ := Compile([]Source{readRecipe(t, "testdata/shop.yml")})
	x := story(t, p, `{"type":"track","event":"Order Completed","userId":"u1","properties":{"total":1,"products":[{"product_id":"P1"}]}}`)
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		dst = dst[:0]
		for i := range p.Attributes {
			dst = p.Attributes[i].AppendJSON(dst, &x.env)
		}
		for i := range p.Audiences {
			p.Audiences[i].Condition(&x.env)
		}
	}); n > 0 {
		t.Errorf("reading allocates %v times", n)
	}
}
