package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Somebody browses, signs in, and goes on browsing: one person, by either identifier, through every door, over restarts; until it is
// said that the two are not one.
func TestAnonymousThenKnown(t *testing.T) {
	n := newNode(t, "--demo", "0")
	n.start()
	view := func(minute int, product string, who string) {
		n.track(fmt.Sprintf(`{%s,"event":"Product Viewed","timestamp":"2026-03-01T10:%02d:00Z","properties":{"product_id":%q,"category":"shoes"}}`, who, minute, product))
	}
	view(0, "P1", `"anonymousId":"d1"`)
	view(1, "P2", `"anonymousId":"d1"`)
	n.track(`{"anonymousId":"d1","userId":"ada","event":"Order Completed","timestamp":"2026-03-01T10:02:00Z","properties":{"total":99}}`)
	view(3, "P3", `"anonymousId":"d1"`)
	n.idle()
	check := func() {
		t.Helper()
		known, device := n.must("get", "user_id:ada", "-o", "json"), n.must("get", "anonymous_id:d1", "-o", "json")
		if known != device {
			t.Errorf("two profiles:\n%s\n%s", known, device)
		}
		has(t, "get", known, `"id":"user_id:ada"`, `"value":"d1"`, `"viewed":["P1","P2","P3"]`, `"orders":1`, `"version":4`)
		has(t, "batchGet", n.ask(200, "POST", "/v1/profiles:batchGet", `{"ids":["anonymous_id:d1"]}`), `"id":"user_id:ada"`)
	}
	check()
	n.kill()
	n.start()
	n.idle()
	check()
	has(t, "explain", n.ask(200, "GET", "/v1/profiles/anonymous_id:d1/explain", ""), `{"a":"user_id:ada","b":"anonymous_id:d1","verdict":"joined"`, `"first_seen":"2026-03-01T10:02:00Z"`)

	has(t, "unlink", n.must("unlink", "anonymous_id:d1", "user_id:ada"), "never one person")
	view(4, "P4", `"anonymousId":"d1","userId":"ada"`)
	n.idle()
	has(t, "get", n.must("get", "anonymous_id:d1", "-o", "json"), `"id":"anonymous_id:d1"`, `"viewed":["P1","P2","P3"]`, `"refused_links":{"cut":1}`)
	has(t, "get", n.must("get", "user_id:ada", "-o", "json"), `"id":"user_id:ada"`, `"viewed":["P4"]`, `"orders":1`)
	has(t, "unlink", n.ask(400, "POST", "/v1/identity:unlink", `{"a":"nothing:x","b":"user_id:ada"}`), "bad_identifier", "no namespace")
	var left []string
	for _, r := range n.drain("dashi.activations") {
		for _, word := range []string{`"transition":"merged"`, `"transition":"unmerged"`} {
			if strings.Contains(string(r.value), word) {
				left = append(left, word)
			}
		}
	}
	slices.Sort(left) // they have different keys, so they may lie in different partitions
	if fmt.Sprint(left) != `["transition":"merged" "transition":"unmerged"]` {
		t.Errorf("activations: %v", left)
	}
}
