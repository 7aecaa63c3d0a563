package recipetest

import (
	"fmt"
	"strings"
	"testing"
)

const asking = `
recipe: asking
purposes:
  email: context.consent.categoryPreferences.Email
  sms: {granted: {on: Sms Allowed}, withdrawn: {on: Sms Refused}}
attributes:
  orders: {kind: count, on: Order Completed}
  total: {kind: sum, on: Order Completed, value: properties.total}
audiences:
  buyers: orders > 0
`

// What a test states of names that no recipe has is told, at its line, with what was meant.
func TestUnknownNames(t *testing.T) {
	f := func(recipes, step string, want ...string) {
		t.Helper()
		got := failures(t, "asking", recipes, "tests:\n  one:\n    - "+step+"\n", func(f Failure) string { return fmt.Sprintf("%d: %s: %s", f.Line, f.What, f.Got) })
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s\n got %q\nwant %q", step, got, want)
		}
	}
	f(asking, "{page: {}, consent: {Email: true}}")
	f(asking, "{page: {}, consent: {Emial: true}}", "asking.test.yml:3:28: error: no recipe reads consent to `Emial` at context.consent.categoryPreferences (is it Email?)")
	f(asking, "{page: {}, consent: {Email: true, advertising: true}}", "asking.test.yml:3:41: error: no recipe reads consent to `advertising` at context.consent.categoryPreferences (there are Email)")
	f(clocked, "{page: {}, consent: {email: true}}", "asking.test.yml:3:28: error: no recipe reads consent to `email` at context.consent.categoryPreferences (there are none)")

	f(asking, "expect: {attributes: {money: 1}}", `3: attribute money of user_id:somebody: there is no attribute "money"; there are orders, total`)
	f(asking, "expect: {attributes: {order: ~}}", `3: attribute order of user_id:somebody: there is no attribute "order"; is it orders?`)
	f(asking, "expect: {audiences: {vip: false}}", `3: audience vip: there is no audience "vip"; there are buyers`)
	f(asking, "expect: {audiences: [vip]}", `3: audiences of user_id:somebody: there is no audience "vip"; there are buyers`)
	f(asking, "expect: {sizes: {vip: 0}}", `3: size of vip: there is no audience "vip"; there are buyers`)
	f(asking, "expect: {consent: {ads: ~}}", `3: consent ads of user_id:somebody: there is no purpose "ads"; there are email, sms`)
	f(asking, "expect: {activations: [welcome]}", `3: activations: there is no activation "welcome"; there are buyers, erased, merged, unmerged`)
	f(asking, "expect: {activations: {include: [buyer enter]}}", `3: activations: there is no activation "buyer"; is it buyers?`)
	f(asking, "{expect: {activations: [{name: buyers, attributes: {totl: 1}}]}}", `3: activations: there is no attribute "totl"; is it total?`)

	// Nobody is ever in an audience of the other kind: to state so states nothing.
	const kinds = `
recipe: kinds
attributes:
  works_at: {kind: set, add: {on: group, value: groupId}}
audiences:
  employed: size(works_at) > 0
accounts:
  member_of: works_at
  attributes: {seats: {kind: derived, value: people.count()}}
  audiences: {large: seats > 10}
`
	f(kinds, "expect: {who: account:acme, audiences: {large: false}, attributes: {seats: ~}}")
	f(kinds, "expect: {audiences: {employed: false, large: false}}", "3: audience large of user_id:somebody: large is an audience of accounts: name one, as in {who: account:acme, ..}")
	f(kinds, "expect: {attributes: {seats: ~}}", "3: attribute seats of user_id:somebody: seats is an attribute of accounts: name one, as in {who: account:acme, ..}")
	f(kinds, "expect: {who: account:acme, audiences: {employed: false}}", "3: audience employed of account:acme: employed is an audience of people: name one, as in {who: user_id:somebody, ..}")
	f(kinds, "expect: {who: account:acme, attributes: {works_at: ~}}", "3: attribute works_at of account:acme: works_at is an attribute of people: name one, as in {who: user_id:somebody, ..}")

	// What there is a lot of is not listed to its end.
	var many strings.Builder
	many.WriteString("recipe: many\nattributes:\n")
	for i := range 40 {
		fmt.Fprintf(&many, "  a%02d: {kind: count, on: page}\n", i)
	}
	f(many.String(), "expect: {attributes: {money: 1}}", `3: attribute money of user_id:somebody: there is no attribute "money"; there are a00, a01, a02, a03, a04, a05, a06, a07, a08, a09, a10, a11, a12, a13, a14, a15 and 24 more`)
}
