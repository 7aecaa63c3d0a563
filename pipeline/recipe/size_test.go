package recipe

import (
	"fmt"
	"strings"
	"testing"
)

// A cookbook whose profiles could become larger than a record may be is refused, and says at which attributes that lies; one that is in force already stays.
func TestOversize(t *testing.T) {
	var sets strings.Builder
	for i := range 12 {
		fmt.Fprintf(&sets, "  set_%d: {kind: set, limit: 10000, add: {on: A, value: properties.product_id}}\n", i)
	}
	f := func(name, text string, want ...string) {
		t.Helper()
		sources := []Source{{Name: "large.yml", Text: []byte("recipe: large\n" + text)}}
		p, found := Compile(sources)
		if len(want) == 0 {
			if p == nil || p.Oversize != nil {
				t.Errorf("%s: %v", name, found)
			}
			return
		}
		if p != nil || len(found) == 0 {
			t.Errorf("%s: it is taken", name)
			return
		}
		for _, part := range want {
			if !strings.Contains(found[0].String(), part) {
				t.Errorf("%s: %q is not in %s", name, part, found[0])
			}
		}
		if p, _ := Recompile(sources); p == nil || p.Oversize == nil {
			t.Errorf("%s: it cannot stay", name)
		}
	}
	f("sets", "attributes:\n"+sets.String(), "large.yml:3:3: error: the attributes of a profile may take 60 MiB", "at most 56 MiB")
	f("tally", "sessions:\n  visit: {gap: 1m, longest: 100m}\nattributes:\n  n: {kind: count, on: A}\n  seen: {kind: tally, limit: 1000, on: A, value: properties.product_id, session: visit}\n",
		"large.yml:6:3: error: the attributes of a profile may take 152 MiB", "`seen` 152 MiB (large.yml:6)", "lower their `limit`")
	f("defaults", "attributes:\n  a: {kind: set, add: {on: A, value: properties.product_id}}\n  b: {kind: tally, on: A, value: properties.product_id}\n")
	f("accounts", "attributes:\n  company: {kind: last, on: group, value: groupId}\naccounts:\n  member_of: company\n  attributes:\n"+strings.ReplaceAll(sets.String()+
		strings.ReplaceAll(sets.String(), "set_", "more_"), "  ", "    "), "the attributes of an account may take")
}
