package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dashi/pipeline/event"
	"dashi/pipeline/identity/simulate"
	"dashi/pipeline/recipe"
)

// The files of a CRM and of a till join the people of the site by CRM number, e-mail and phone, under the default rules and
// whichever of the files comes first.
func TestBatchSourcesJoin(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sources := []struct{ path, mapping string }{
		{file("web.jsonl", `{"type":"identify","userId":"ada","anonymousId":"a1","timestamp":"2026-03-01T10:00:00Z","traits":{"email":"Ada@Example.com"}}
{"type":"page","anonymousId":"a1","timestamp":"2026-03-02T10:00:00Z"}
{"type":"identify","userId":"bob","timestamp":"2026-03-02T10:00:00Z","traits":{"phone":"+44 20 7946 0958"}}
`), ""},
		{file("crm.csv", `customer_no,first_name,last_name,email,phone,segment,updated
17,Ada,Lovelace,ada@example.com,,gold,2026-02-01 09:00:00
18,Bob,Kelly,,+442079460958,silver,2026-02-01 09:00:00
19,Eve,Dean,eve@example.com,,none,2026-02-01 09:00:00
`), "crm_export"},
		{file("pos.csv", `receipt,store,total,loyalty_no,loyalty_phone,receipt_email,sold_at
r1,S1,10.50,17,,,2026-02-28 17:00:00
r2,S1,20,,,ADA@example.com,2026-02-28 17:10:00
r3,S2,30,,0044 20 7946 0958,,2026-02-28 17:20:00
r4,S2,40,,,,2026-02-28 17:30:00
`), "pos_sales"},
	}
	built, err := builtInRecipes()
	if err != nil {
		t.Fatal(err)
	}
	program, found := recipe.Compile(built)
	if program == nil {
		t.Fatal(found)
	}
	for range len(sources) {
		sources = append(sources[1:], sources[0]) // another file first
		s := simulate.New(&program.Identity, namespaceNames(program))
		unknown := 0
		for _, source := range sources {
			in, err := openEvents(t.Context(), source.path, program, source.mapping)
			if err != nil {
				t.Fatal(err)
			}
			defer in.rows.Close()
			for {
				var e event.Event
				_, reason, err := in.next(&e)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if reason != "" {
					unknown++
					continue
				}
				if _, err := s.Add(&e); err != nil {
					t.Fatal(err)
				}
			}
		}
		r := s.Resolve(nil)
		var ids []string
		for _, p := range r.Largest {
			var own []string
			for _, id := range p.Identifiers {
				own = append(own, id.String())
			}
			ids = append(ids, strings.Join(own, " "))
		}
		slices.Sort(ids)
		want := []string{"crm_id:19 email:eve@example.com", "user_id:ada crm_id:17 email:ada@example.com anonymous_id:a1", "user_id:bob crm_id:18 phone:+442079460958"}
		if !slices.Equal(ids, want) || r.Profiles != 3 || unknown != 1 {
			t.Errorf("%q, %d profiles, %d unknown", ids, r.Profiles, unknown)
		}
	}
}
