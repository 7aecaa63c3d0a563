package recipe

import (
	"slices"
	"strings"
	"testing"
)

const accountsRecipe = `
recipe: companies
attributes:
  logins: {kind: count, on: Signed In}
  last_login: {kind: last_at, on: Signed In}
  spent: {kind: sum, on: Order Completed, value: properties.total}
  works_at: {kind: set, add: {on: group, value: groupId}, remove: {on: Account Removed User, value: groupId}}
  fresh: {kind: derived, value: (now - last_login).getHours()}
audiences:
  active: {when: logins >= 3, emit: none}
accounts:
  member_of: works_at
  people: 50
  attributes:
    plan: {kind: last, on: group, value: traits.plan}
    orders: {kind: count, on: Order Completed}
    spent: {kind: derived, value: people.sum(spent)}
    seen: {kind: derived, value: people.max(last_login)}
  audiences:
    growing: people.count(active) >= 2 && plan == "pro"
    asleep: {when: people.none(active) && now - seen > duration("30d")}
    adopted: people.all(active)
    large: spent > 100 && orders > 1
  activations:
    call_them: {on: {enter: growing}, include: [plan, spent]}
`

func TestAccounts(t *testing.T) {
	p, found := Compile([]Source{{Name: "a.yml", Text: []byte(accountsRecipe)}})
	if p == nil {
		t.Fatal(found)
	}
	a := p.Accounts
	if a == nil || a.People != 50 || p.Attributes[a.MemberOf].Name != "works_at" || len(a.ID) != 2 {
		t.Fatalf("accounts %+v", a)
	}
	var names []string
	for _, f := range a.Folds {
		names = append(names, a.Program.Attributes[f.Attribute].Name)
	}
	slices.Sort(names)
	if got, want := strings.Join(names, " "), "people.count() people.count(active) people.max(last_login) people.sum(spent)"; got != want {
		t.Errorf("folds %s, want %s", got, want)
	}
	if len(a.Items) != 3 {
		t.Errorf("items %+v", a.Items)
	}
	for i, name := range p.Schema.Types {
		want := slices.Contains([]string{"group", "Order Completed"}, string(name))
		if a.Events[i+1] != want {
			t.Errorf("events of type %s are told to accounts: %v", name, a.Events[i+1])
		}
	}
	if len(p.LookUp) != len(p.Schema.Namespaces)+1 || p.LookUp[len(p.LookUp)-1].Name != "account" {
		t.Errorf("look-up by %+v", p.LookUp)
	}
	if _, err := a.Program.Explain(0); err != nil {
		t.Errorf("cannot explain an audience of accounts: %v", err)
	}
}

// What is wrong with accounts is said at its place, with what to write instead.
func TestAccountsWrong(t *testing.T) {
	f := func(old, new, message, hint string) {
		t.Helper()
		text := strings.Replace(accountsRecipe, old, new, 1)
		if text == accountsRecipe {
			t.Fatalf("no %q in the recipe", old)
		}
		p, found := Compile([]Source{{Name: "a.yml", Text: []byte(text)}})
		if p != nil || len(found) == 0 {
			t.Errorf("%s: it compiles", new)
			return
		}
		if len(found) > 1 || !strings.Contains(found[0].Message, message) || !strings.Contains(found[0].Hint, hint) || found[0].Line == 0 {
			t.Errorf("%s: %v\nwant %s (%s)", new, found, message, hint)
		}
	}
	f("member_of: works_at", "id: groupId", "accounts have no `member_of`", "kind: set")
	f("member_of: works_at", "member_of: works", "unknown attribute `works`", "works_at")
	f("member_of: works_at", "member_of: logins", "neither a set nor a string", "last")
	f("member_of: works_at", "member_of: works_at\n  id: properties.acount", "unknown field", "")
	f("member_of: works_at", "member_of: works_at\n  id: properties.total", "a number; wanted: a string", "")
	f("fresh: {kind: derived, value: (now - last_login).getHours()}\naudiences:\n  active: {when: logins >= 3, emit: none}\naccounts:\n  member_of: works_at",
		"fresh: {kind: derived, value: 'now - last_login < duration(\"1h\") ? \"in\" : \"out\"'}\naudiences:\n  active: {when: logins >= 3, emit: none}\naccounts:\n  member_of: fresh",
		"depends on `now`", "knows when it lapses")
	f("people: 50", "people: 0", "out of range", "10000")
	f("people: 50", "purposes: {}", "unknown key `purposes`", "")
	f("people.count(active) >= 2", "people.count(activ) >= 2", "unknown audience `activ`", "active")
	f("people.count(active) >= 2", "people.count(logins) >= 2", "unknown audience `logins`", "attribute")
	f("people.count(active) >= 2", "people.most(active)", "no question about people", "people.count()")
	f("people.count(active) >= 2", "people.count(logins > 3) >= 2", "no question about people", "people.count()")
	f("people.count(active) >= 2", "active", "reads `active`, an audience of people", "people.count(active)")
	f("people.count(active) >= 2", "logins > 3", "reads `logins`, an attribute of people", "people.sum(logins)")
	f("people.count(active) >= 2", "top(orders, 10)", "`top` compares people", "")
	f("people.sum(spent)", "people.sum(works_at)", "no number", "")
	f("people.sum(spent)", "people.sum(last_login)", "no number", "")
	f("people.max(last_login)", "people.max(fresh)", "depends on `now`", "compare that with now")
	f("asleep: {", "active: {", "clashes with the audience of people", "a.yml")
	f("asleep: {", "people: {", "reserved word", "")
	f("include: [plan, spent]", "requires: email", "unknown purpose", "given by people")
	f("active: {when: logins >= 3", "active: {when: people.count() >= 3", "not kept here", "accounts")
	other := Source{Name: "b.yml", Text: []byte("recipe: b\naccounts: {member_of: logins, people: 50}\n")}
	if _, found := Compile([]Source{{Name: "a.yml", Text: []byte(accountsRecipe)}, other}); len(found) != 1 || !strings.Contains(found[0].Message, "another one elsewhere") {
		t.Errorf("two kinds of accounts: %v", found)
	}
}
