package main

import (
	"strings"
	"testing"

	"dashi/pipeline/recipe"
)

// Whoever looks at what a cookbook would do sees accounts and activations too, and that people move at the switch.
func TestPrintChanges(t *testing.T) {
	var programs []*recipe.Program
	for _, text := range []string{`
recipe: a
attributes:
  visits: {kind: count, on: Visit}
  works_at: {kind: set, add: {on: group, value: groupId}}
audiences: {busy: visits >= 2}
activations: {letter: {on: {enter: busy}, goal: {on: Order, within: 1h}}}
accounts:
  member_of: works_at
  attributes: {plan: {kind: last, on: group, value: traits.plan}}
  audiences: {large: people.count() >= 2}
`, `
recipe: a
attributes:
  visits: {kind: count, on: Visit}
  works_at: {kind: set, add: {on: group, value: groupId}}
audiences: {busy: visits >= 3}
activations: {letter: {on: {enter: busy}, goal: {on: Order, within: 2h}}}
`} {
		p, found := recipe.Compile([]recipe.Source{{Name: "a.yml", Text: []byte(text)}})
		if p == nil {
			t.Fatal(found)
		}
		programs = append(programs, p)
	}
	var out strings.Builder
	printChanges(&out, recipe.Compare(programs[0], programs[1]))
	const want = `audience           busy    changed  who enters or leaves by that does so at the switch, with activations
activation         letter  changed  its goal is another one and counts anew: exposed, held back and converted begin at zero, and everybody may be exposed once more
account attribute  plan    dropped  what it knows is forgotten
account audience   large   gone     
every account, and all that it knows, is forgotten
attributes: 2 kept; audiences: 1 changed; identity: 6 kept; activations: 1 changed; accounts: dropped; account attributes: 1 dropped; account audiences: 1 gone
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
