package recipe

import (
	"fmt"
	"strings"
	"testing"

	"dashi/pipeline/identity"
)

func TestCompare(t *testing.T) {
	read := func(text string) *Program {
		t.Helper()
		p, diagnostics := Compile([]Source{{"a.yml", []byte(text)}})
		if p == nil {
			t.Fatal(diagnostics)
		}
		return p
	}
	const first = `
recipe: a
fields: {context.mail: bool, context.ads: bool}
purposes: {mail: context.mail, ads: context.ads}
attributes:
  kept: {kind: count, on: Visit}
  reset: {kind: count, on: Visit}
  dropped: {kind: count, on: Visit}
  turned: {kind: count, on: Visit}
  derived: {kind: derived, value: kept + 1}
  other: {kind: derived, value: kept + 1}
  gone: {kind: derived, value: kept + 1}
audiences:
  a_kept: {when: kept > 1}
  b_changed: {when: kept > 1}
  c_changed: {when: kept > 1}
  d_changed: {when: kept > 1, requires: [mail]}
  e_gone: {when: kept > 1}
`
	const second = `
recipe: b
fields: {context.mail: bool, context.calls: bool}
purposes: {calls: context.calls, mail: context.mail}
attributes:
  new: {kind: count, on: Visit}
  kept: {description: another, kind: count, on: Visit}
  reset: {kind: count, on: Order}
  turned: {kind: derived, value: kept + 1}
  derived: {kind: derived, value: kept + 1}
  other: {kind: derived, value: kept + 2}
audiences:
  a_kept: {when: kept > 1, emit: both}
  b_changed: {when: kept > 2}
  c_changed: {when: kept > 1, emit: none}
  d_changed: {when: kept > 1, requires: [calls]}
  f_new: {when: kept > 1}
`
	c := Compare(read(first), read(second))
	list := func(changes []Change) string {
		var parts []string
		for _, change := range changes {
			parts = append(parts, fmt.Sprint(change.Name, " ", change.Fate))
		}
		return strings.Join(parts, ", ")
	}
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	f(list(c.Attributes), "derived kept, dropped dropped, gone gone, kept kept, new new, other changed, reset reset, turned reset")
	f(list(c.Audiences), "a_kept kept, b_changed changed, c_changed changed, d_changed changed, e_gone gone, f_new new")
	f(list(c.Purposes), "ads dropped, calls new, mail kept")
	f(strings.Join(c.Losses(), ", "), "attribute dropped, attribute reset, attribute turned, consent to ads")
	f(c.Summary(), "attributes: 2 kept, 1 new, 1 changed, 2 reset, 1 dropped, 1 gone; audiences: 1 kept, 1 new, 3 changed, 1 gone; purposes: 1 kept, 1 new, 1 dropped; identity: 6 kept")
	same := Compare(read(first), read(first))
	f(same.Summary(), "attributes: 7 kept; audiences: 5 kept; purposes: 2 kept; identity: 6 kept")
	f(strings.Join(same.Losses(), ", "), "")
}

// dashi apply did not show that consent is read from another field, nor anything of identity and expiry.
func TestCompareConsentAndIdentity(t *testing.T) {
	const first = `
recipe: a
fields: {context.mail: bool, context.post: bool}
purposes:
  mail: context.mail
  ads: {granted: {on: Accepted}, description: one}
identity:
  namespaces:
    - {name: user_id, from: userId, unique: true}
    - {name: phone, from: traits.phone}
    - {name: email, from: [traits.email, properties.email], normalise: email, expire: 2h}
    - {name: card, from: properties.reason}
    - {name: anonymous_id, from: anonymousId}
`
	f := func(replace, by string, want ...string) {
		t.Helper()
		text := strings.Replace(first, replace, by, 1)
		if text == first && replace != by {
			t.Fatalf("%q is not there", replace)
		}
		c := compared(t, first, text)
		var got []string
		for _, of := range [][]Change{c.Purposes, c.Identity} {
			for _, change := range of {
				if change.Fate != Kept || change.Note != "" {
					got = append(got, fmt.Sprintf("%s %s: %s", change.Name, change.Fate, change.Note))
				}
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q by %q:\n%s\nwant\n%s", replace, by, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(c.Losses()) > 0 {
			t.Errorf("%q by %q loses %q", replace, by, c.Losses())
		}
	}
	f("", "")
	f("mail: context.mail", "mail: context.post", "mail changed: "+readAnew)
	f("on: Accepted", "on: Agreed", "ads changed: "+readAnew)
	f("description: one", "description: two")
	f("[traits.email, properties.email]", "[properties.email, traits.email]", "email changed: "+readAnew)
	f("normalise: email, ", "", "email changed: "+readAnew)
	f("from: traits.phone", "from: [traits.phone]")
	f("from: traits.phone", "from: traits.phone, normalise: phone, limit: {count: 3}", "phone changed: "+readAnew+"; "+linkedAnew)
	f("user_id, from: userId, unique: true", "user_id, from: userId, limit: {count: 1, period: 4w}", "user_id changed: "+linkedAnew)
	f("name: anonymous_id, from: anonymousId", "name: anonymous_id, from: anonymousId, shared: isolate, expire: never",
		"anonymous_id changed: "+linkedAnew+"; expires never in place of after 30d")
	f("expire: 2h", "expire: 90m", "email changed: expires after 90m in place of after 2h")
	f("    - {name: card, from: properties.reason}\n", "", "card gone: the switch is refused if people are linked by it")
	f("name: card", "name: badge", "badge new: ", "card gone: the switch is refused if people are linked by it")
	f("    - {name: phone, from: traits.phone}\n    - {name: email, from: [traits.email, properties.email], normalise: email, expire: 2h}\n",
		"    - {name: email, from: [traits.email, properties.email], normalise: email, expire: 2h}\n    - {name: phone, from: traits.phone}\n",
		"email changed: "+anotherRank, "phone changed: "+anotherRank)
	f("identity:\n", "identity:\n  max_identifiers: 7\n", fmt.Sprintf("max_identifiers changed: 7 in place of %d; %s", identity.DefaultMaxIdentifiers, linkedAnew))
}

// compared is what becomes of one text when another takes its place.
func compared(t *testing.T, first, second string) *Changes {
	t.Helper()
	var programs [2]*Program
	for i, text := range []string{first, second} {
		p, diagnostics := Compile([]Source{{"a.yml", []byte(text)}})
		if p == nil {
			t.Fatal(diagnostics)
		}
		programs[i] = p
	}
	return Compare(programs[0], programs[1])
}

// replaced is a text with some of it in other words.
func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("no %q in the recipe", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// listed is all that does not stay as it is, or that has something to be said of it.
func listed(c *Changes) string {
	var parts []string
	if c.Accounts != "" && c.Accounts != Kept {
		parts = append(parts, "accounts "+string(c.Accounts))
	}
	for _, of := range c.Sections() {
		for _, change := range of.Changes {
			if change.Fate != Kept || change.Note != "" {
				parts = append(parts, strings.TrimSuffix(fmt.Sprintf("%s %s %s: %s", of.One, change.Name, change.Fate, change.Note), ": "))
			}
		}
	}
	return strings.Join(parts, "\n")
}

// What accounts know is lost as what people do, and what only answers questions about people is folded anew.
func TestCompareAccounts(t *testing.T) {
	f := func(losses, summary, changes string, pairs ...string) {
		t.Helper()
		c := compared(t, accountsRecipe, replaced(t, accountsRecipe, pairs...))
		if got := strings.Join(c.Losses(), ", "); got != losses {
			t.Errorf("%q: losses %s, want %s", pairs, got, losses)
		}
		if !strings.Contains(c.Summary(), summary) {
			t.Errorf("%q: %s, want %s", pairs, c.Summary(), summary)
		}
		if got := listed(c); got != changes {
			t.Errorf("%q: got\n%s\nwant\n%s", pairs, got, changes)
		}
	}
	const plan, growing = "    plan: {kind: last, on: group, value: traits.plan}\n", `growing: people.count(active) >= 2 && plan == "pro"`
	f("", "account attributes: 4 kept; account audiences: 4 kept; account activations: 1 kept", "")
	f("account attribute plan", "account attributes: 3 kept, 1 dropped",
		"account attribute plan dropped: "+forgets+"\naccount audience growing changed: "+moves+"\naccount activation call_them changed",
		plan, "", growing, "growing: people.count(active) >= 2", "[plan, spent]", "[spent]")
	f("account attribute plan", "account attributes: 3 kept, 1 reset", "account attribute plan reset: "+forgets+"\naccount audience growing kept: "+movesWith,
		"on: group, value: traits.plan", "on: group, value: traits.email")
	f("", "account audiences: 3 kept, 1 changed", "account audience growing changed: "+moves, "people.count(active) >= 2", "people.count(active) >= 1")
	f("", "account attributes: 3 kept, 1 changed", "account attribute spent changed\naccount audience large kept: "+movesWith, "people.sum(spent)", "people.max(spent)")
	f("", "account audiences: 4 kept", "audience active changed: "+movesSilently+"\naccount audience adopted kept: "+movesWith+"\naccount audience asleep kept: "+movesWith+"\naccount audience growing kept: "+movesWith,
		"logins >= 3", "logins >= 4")
	c := compared(t, accountsRecipe, replaced(t, accountsRecipe, "people: 50", "people: 60"))
	if c.Accounts != Changed || len(c.Losses()) > 0 || !strings.Contains(c.Summary(), "accounts: changed; account attributes: 4 kept") || c.AccountAudiences[2].Note != movesWith {
		t.Errorf("accounts are %s: %s, %+v", c.Accounts, c.Summary(), c.AccountAudiences)
	}

	head, _, _ := strings.Cut(accountsRecipe, "accounts:\n")
	c = compared(t, accountsRecipe, head)
	if got := strings.Join(c.Losses(), ", "); got != "all accounts, account attribute orders, account attribute plan" || c.Accounts != Dropped {
		t.Errorf("accounts are %s: losses %s", c.Accounts, got)
	}
	if !strings.Contains(c.Summary(), "accounts: dropped; account attributes: 2 dropped, 2 gone; account audiences: 4 gone; account activations: 1 gone") {
		t.Error(c.Summary())
	}
	c = compared(t, head, accountsRecipe)
	if got := c.Losses(); len(got) > 0 || c.Accounts != New || !strings.Contains(c.Summary(), "accounts: new; account attributes: 4 new") {
		t.Errorf("accounts are %s: losses %s, %s", c.Accounts, got, c.Summary())
	}
	if c = compared(t, head, head); c.Accounts != "" {
		t.Errorf("no accounts are %s", c.Accounts)
	}
}

// Whatever people would notice is listed, and of a goal whether it counts anew.
func TestCompareActivations(t *testing.T) {
	const text = `
recipe: a
attributes:
  visits: {kind: count, on: Visit}
  twice: {kind: derived, value: visits * 2}
audiences:
  visitors: {when: visits > 0, emit: none}
  regulars: {when: twice > 10, emit: none}
  silent: {when: visits > 5, emit: none}
  both: {when: regulars && visits > 20}
activations:
  letter: {on: {enter: visitors}, goal: {on: Order, within: 1h}}
  note: {on: {event: Visit}, delay: 10s}
  plain: {on: {exit: regulars}}
mappings:
  rows: {event: Visit, time: {from: row.t, layout: unix}, identifiers: {user_id: row.u}}
`
	f := func(summary, changes string, pairs ...string) {
		t.Helper()
		c := compared(t, text, replaced(t, text, pairs...))
		if !strings.Contains(c.Summary(), summary) {
			t.Errorf("%q: %s, want %s", pairs, c.Summary(), summary)
		}
		if got := listed(c); got != changes {
			t.Errorf("%q: got\n%s\nwant\n%s", pairs, got, changes)
		}
		if got := c.Losses(); len(got) > 0 && c.Attributes[1].Fate != Reset {
			t.Errorf("%q: losses %s", pairs, got)
		}
	}
	const plain, rows = "  plain: {on: {exit: regulars}}\n", "mappings:\n  rows: {event: Visit, time: {from: row.t, layout: unix}, identifiers: {user_id: row.u}}\n"
	f("activations: 3 kept; mappings: 1 kept", "")
	f("activations: 3 kept", "", plain, "  plain: {description: as ever, on: {exit: regulars}}\n")
	f("activations: 2 kept, 1 gone", "activation plain gone", plain, "")
	f("activations: 3 kept, 1 new", "activation more new", plain, plain+"  more: {on: {event: Order}}\n")
	f("activations: 2 kept, 1 changed", "activation plain changed", "exit: regulars", "enter: regulars")
	f("mappings: 1 gone", "mapping rows gone", rows, "")
	f("mappings: 1 changed", "mapping rows changed", "user_id: row.u", "user_id: row.v")

	f("activations: 2 kept, 1 changed", "activation letter changed: "+countsAnew, "within: 1h", "within: 2h")
	f("activations: 2 kept, 1 changed", "activation letter changed: "+countsAnew, "on: Order", "on: Sale")
	f("", "activation letter changed", "within: 1h}", "within: 1h}, where: visits > 1") // the activation is another one, its goal is not
	f("", "activation letter changed", "within: 1h", "within: 60m")
	f("", "activation letter changed: "+countsNoMore, ", goal: {on: Order, within: 1h}", "")
	f("", "activation letter gone: "+countsNoMore, "  letter: {on: {enter: visitors}, goal: {on: Order, within: 1h}}\n", "")
	f("", "activation plain changed: "+countsNow, "{exit: regulars}", "{exit: regulars}, goal: {on: Order, within: 1h}")
	f("", "activation note gone: "+waitsNoMore, "  note: {on: {event: Visit}, delay: 10s}\n", "")
	f("", "activation note changed: "+waitsNoMore, ", delay: 10s", "")
	f("", "activation note changed", "delay: 10s", "delay: 20s")

	f("", "audience silent changed: "+movesSilently, "visits > 5", "visits > 6")
	f("", "audience visitors changed: "+moves, "visits > 0", "visits > 1") // an activation asks who enters
	f("", "audience both kept: "+movesWith+"\naudience regulars changed: "+moves, "twice > 10", "twice > 11")
	f("", "attribute twice changed\naudience both kept: "+movesWith+"\naudience regulars kept: "+movesWith, "visits * 2", "visits * 3")
	f("", "audience both changed", "visits > 20}", "visits > 20, emit: enter}") // the same people are in it
}
