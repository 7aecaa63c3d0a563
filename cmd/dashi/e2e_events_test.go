package main_test

import (
	"fmt"
	"strings"
	"testing"
)

// dashi events shows what was received of a person, under all identifiers, and goes on with what comes.
func TestEventsCommand(t *testing.T) {
	t.Parallel()
	n := newNode(t, "--demo", "0", "--shards", "4")
	n.start()
	send := func(i int, who, properties string) {
		n.track(fmt.Sprintf(`{"type":"track","messageId":"m%d",%s,"event":"Product Viewed","properties":%s}`, i, who, properties))
	}
	send(1, `"anonymousId":"a1"`, `{"product_id":"p1"}`)
	send(2, `"userId":"ada","anonymousId":"a1"`, `{"product_id":"p2"}`)
	send(3, `"userId":"bob"`, `{"product_id":"p3"}`)
	n.idle()
	text := n.must("events", "user_id:ada")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], `anonymous_id:a1  {"product_id":"p1"}`) || !strings.Contains(lines[1], `user_id:ada      {"product_id":"p2"}`) ||
		!strings.HasPrefix(lines[2], "2 events of user_id:ada; everything since ") {
		t.Errorf("%s", text)
	}
	if text := n.must("events", "user_id:ada", "--limit", "1"); !strings.Contains(text, "p2") || strings.Contains(text, "p1") || !strings.Contains(text, "there may be older ones") {
		t.Errorf("%s", text)
	}
	all := decode[struct {
		Complete bool
		Events   []struct{ Event struct{ MessageID string } }
	}](t, n.must("events", "anonymous_id:a1", "-o", "json"))
	if !all.Complete || len(all.Events) != 2 || all.Events[0].Event.MessageID != "m2" {
		t.Errorf("%+v", all)
	}
	for _, id := range []string{"user_id:eve", "user_id:null"} {
		if r := n.cli("events", id); r.code == 0 || !strings.Contains(r.stderr, "there is no profile") {
			t.Errorf("%+v", r)
		}
	}
	follow := launch(t, n.env, "events", "user_id:ada", "--follow")
	seen := func(what string) func() error {
		return func() error {
			if text := follow.stdout.String(); !strings.Contains(text, what) {
				return fmt.Errorf("%q, %s", text, follow.stderr.String())
			}
			return nil
		}
	}
	eventually(t, wait, "what there is", seen("p2"))
	send(4, `"userId":"ada"`, `{"product_id":"p4"}`)
	send(5, `"userId":"bob"`, `{"product_id":"p5"}`)
	eventually(t, wait, "what comes", seen("p4"))
	send(6, `"userId":"ada"`, `{"product_id":"p6"}`)
	eventually(t, wait, "and again", seen("p6"))
	if code := follow.interrupt(); code != 0 {
		t.Errorf("code %d: %s", code, follow.stderr.String())
	}
	text = follow.stdout.String()
	for _, p := range []string{"p1", "p2", "p4", "p6"} {
		if strings.Count(text, p) != 1 {
			t.Errorf("%s is not there once: %s", p, text)
		}
	}
	if strings.Contains(text, "p3") || strings.Contains(text, "p5") {
		t.Errorf("somebody else's: %s", text)
	}
}
