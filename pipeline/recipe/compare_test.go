package recipe

import (
	"fmt"
	"strings"
	"testing"
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
	f(c.Summary(), "attributes: 2 kept, 1 new, 1 changed, 2 reset, 1 dropped, 1 gone; audiences: 1 kept, 1 new, 3 changed, 1 gone; purposes: 1 kept, 1 new, 1 dropped")
	same := Compare(read(first), read(first))
	f(same.Summary(), "attributes: 7 kept; audiences: 5 kept; purposes: 2 kept")
	f(strings.Join(same.Losses(), ", "), "")
}
