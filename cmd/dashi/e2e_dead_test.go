package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// What a recipe could not read and an endpoint did not take is shown with its reason, and is sent again, once, when both have been put right.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	lost, took := true, map[string]int{}
	addr := freeAddr(t)
	serveAt(t, addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if lost {
			http.NotFound(w, r)
			return
		}
		var m struct{ Data []struct{ ID string } }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		for _, a := range m.Data {
			took[a.ID]++
		}
	}))
	write := func(recipe string) string {
		path := filepath.Join(t.TempDir(), "visits.yml")
		if err := os.WriteFile(path, []byte(recipe), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	n := newNode(t, "--demo", "0", "--shards", "4", "--recipes", write(strings.Replace(webhookRecipe, "attributes:\n", "attributes:\n  spent: {kind: sum, on: Visit, value: properties.total}\n", 1)),
		"--webhook", "http://"+addr+"/hook")
	n.env = append(n.env, "DASHI_WEBHOOK_SECRET="+webhookSecret)
	n.start()
	eventually(t, wait, "the endpoint has begun", func() error {
		if text := n.ask(http.StatusOK, "GET", "/v1/status", ""); !strings.Contains(text, `"partitions":8`) {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
	for i := range 6 {
		n.ask(http.StatusOK, "POST", "/v1/track", fmt.Sprintf(`{"event":"Visit","messageId":"v%d","userId":"u%d","properties":{"total":"much"}}`, i, i%3))
	}
	for i := range 3 {
		n.ask(http.StatusOK, "POST", "/v1/track", fmt.Sprintf(`{"event":"Visit","messageId":"w%d","userId":"u%d"}`, i, i))
	}
	n.idle()
	eventually(t, wait, "all letters are there", func() error {
		if text := n.must("dead"); !strings.Contains(text, "3 webhook_refused, 6 wrong_type; 0 sent again") {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
	if text := n.must("dead", "--webhook", "dev-1"); !strings.Contains(text, "webhook_refused by dev-1") || !strings.Contains(text, "404 Not Found") || strings.Contains(text, "wrong_type") {
		t.Error(text)
	}
	for _, args := range [][]string{{"dead", "--webhook", "dev1"}, {"dead", "resend", "--webhook", "dev1"}, {"dead", "resend", "--webhook", "dev1", "--yes"}} {
		if r := n.cli(args...); r.code == 0 || !strings.Contains(r.stderr, `there is no webhook "dev1" on this node`) || !strings.Contains(r.stderr, "is it dev-1? Those here: dev-1") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	for _, args := range [][]string{{"dead", "--reason", "wrong_typ"}, {"dead", "resend", "--reason", "wrong_typ"}} {
		if r := n.cli(args...); r.code == 0 || !strings.Contains(r.stderr, `no letter has the reason "wrong_typ" (is it wrong_type? There are: malformed,`) {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if text := n.must("dead", "--reason", "wrong_type", "--limit", "2"); !strings.Contains(text, `"total":"much"`) || !strings.Contains(text, "shown: 2;") {
		t.Error(text)
	}
	if text := n.must("status"); !strings.Contains(text, "dashi dead") {
		t.Error(text)
	}

	// Nothing has been put right: the endpoint still refuses, and events come back as new letters.
	if r := n.cli("dead", "resend", "--webhook", "dev-1", "--yes"); r.code == 0 || !strings.Contains(r.stderr, "3 letters left: webhook dev-1 does not take them: 404 Not Found") {
		t.Errorf("%+v", r)
	}
	if text := n.must("dead", "resend", "--reason", "wrong_type", "--yes"); !strings.Contains(text, "6 letters sent again") {
		t.Error(text)
	}
	eventually(t, wait, "they are back", func() error {
		if text := n.must("dead"); !strings.Contains(text, "3 webhook_refused, 12 wrong_type; 6 sent again") {
			return fmt.Errorf("%s", text)
		}
		return nil
	})

	mu.Lock()
	lost = false
	mu.Unlock()
	n.must("apply", "--forget", write(webhookRecipe))
	n.idle()
	if r := n.cli("dead", "resend"); r.code == 0 || !strings.Contains(r.stderr, "Send 9 letters again (6 sent before)?") {
		t.Errorf("%+v", r) // nobody said yes
	}
	if text := n.must("dead", "resend", "--yes"); !strings.Contains(text, "9 letters sent again (6 sent before)") {
		t.Error(text)
	}
	n.idle()
	if text := n.must("dead", "resend", "--yes"); !strings.Contains(text, "0 letters sent again (15 sent before)") {
		t.Error(text)
	}
	// Three visits of each, of which each is seen, and three who become regulars: no more, no less.
	eventually(t, wait, "the endpoint has all", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(took) != 12 {
			return fmt.Errorf("%d of 12", len(took))
		}
		for id, times := range took {
			if times != 1 {
				t.Errorf("%s came %d times", id, times)
			}
		}
		return nil
	})
	if text := n.must("get", "user_id:u1"); !strings.Contains(text, "visits") || !strings.Contains(text, "3") {
		t.Error(text)
	}
	if st := n.idle(); st.Events.Applied != 9 || st.Activations.Made != 12 {
		t.Errorf("%+v", st)
	}
}
