package shard

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"dashi/pipeline/identity"
)

// A tablet that two people used: its links say who has it, who has not, and why.
func TestExplanation(t *testing.T) {
	sources := readInline("who.yml", "recipe: who\nattributes: {n: {kind: count, on: \"*\"}}\n")
	s := newShard(t, testSettings(), sources)
	f := newFeeder(t, compile(t, sources), [][]byte{
		[]byte(`{"type":"identify","messageId":"m1","userId":"ada","anonymousId":"tablet","timestamp":"2026-01-01T10:00:00Z","traits":{"email":"ada@a.example"}}`),
		[]byte(`{"type":"page","userId":"bob","anonymousId":"tablet","timestamp":"2026-01-02T10:00:00Z"}`),
		[]byte(`{"type":"page","userId":"eve","timestamp":"2026-01-02T10:00:00Z"}`),
	})
	mustAccept(t, s.Apply(f.batch(-1, 2, 1000)))
	explain := func(namespace, value string) string {
		t.Helper()
		var v View
		if !s.Lookup([]byte(namespace), []byte(value), identity.Hash(namespace, []byte(value)), &v) {
			t.Fatalf("no %s:%s", namespace, value)
		}
		text := v.AppendExplanation(nil)
		var e struct {
			ID          string
			Identifiers []struct{ ID, Profile string }
			Links       []struct{ A, B, Verdict, Rule, Message string }
		}
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%s:", e.ID)
		for _, i := range e.Identifiers {
			fmt.Fprintf(&b, " %s of %s;", i.ID, i.Profile)
		}
		for _, l := range e.Links {
			fmt.Fprintf(&b, "\n%s %s %s, %s, %d", l.A, l.B, l.Verdict, l.Rule, len(l.Message))
		}
		return b.String()
	}
	want := `user_id:ada: user_id:bob of user_id:bob; user_id:ada of user_id:ada; email:ada@a.example of user_id:ada; anonymous_id:tablet of user_id:bob;
user_id:ada email:ada@a.example joined, seen in one event, 8
user_id:bob anonymous_id:tablet joined, seen in one event; anonymous_id goes with whom it was seen with last, 0
user_id:ada anonymous_id:tablet limit, user_id is unique, and both profiles have one, 8`
	if got := explain("user_id", "ada"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := explain("email", "ada@a.example"); got != want {
		t.Errorf("by e-mail\n%s", got)
	}
	if got := explain("anonymous_id", "tablet"); got != "user_id:bob"+strings.TrimPrefix(want, "user_id:ada") {
		t.Errorf("by the tablet\n%s", got)
	}
	if got := explain("user_id", "eve"); got != "user_id:eve: user_id:eve of user_id:eve;" {
		t.Errorf("of nobody else\n%s", got)
	}
}
