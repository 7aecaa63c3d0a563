package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
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
	has(t, "unlink", n.ask(400, "POST", "/v1/identity:unlink", `{"a":"user_id:ada","b":"user_id:ada"}`), "bad_identifier", "from itself")
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

// Somebody is exported and erased: no door knows them any more, every destination hears of it, an event from before comes to
// nothing, also after a restart, and one from after it makes a new person.
func TestErase(t *testing.T) {
	n := newNode(t, "--demo", "0")
	n.start()
	order := func(id string, at time.Time) {
		n.track(fmt.Sprintf(`{"messageId":%q,"anonymousId":"d1","userId":"ada","event":"Order Completed","timestamp":%q,"properties":{"order_id":%[1]q,"total":99}}`,
			id, at.UTC().Format(time.RFC3339Nano)))
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	order("o1", yesterday)
	n.track(`{"anonymousId":"d2","event":"Product Viewed","properties":{"product_id":"P1","category":"shoes"}}`)
	n.idle()
	has(t, "export", n.must("export", "anonymous_id:d1"), `"exported_at":`, `"id":"user_id:ada"`, `"orders":1`)
	has(t, "erase", n.must("erase", "anonymous_id:d1", "--yes"), "erased user_id:ada", "anonymous_id:d1")
	gone := func() {
		t.Helper()
		for _, id := range []string{"user_id:ada", "anonymous_id:d1"} {
			has(t, "get", n.ask(404, "GET", "/v1/profiles/"+id, ""), "not_found")
			has(t, "export", n.ask(404, "GET", "/v1/profiles/"+id+"/export", ""), "not_found")
		}
	}
	gone()
	order("o2", yesterday.Add(time.Hour))
	n.idle()
	gone()
	n.kill()
	n.start()
	n.idle()
	gone()
	has(t, "get", n.must("get", "anonymous_id:d2"), "anonymous_id:d2")
	order("o3", time.Now())
	n.idle()
	has(t, "get", n.must("get", "anonymous_id:d1", "-o", "json"), `"id":"user_id:ada"`, `"orders":1`, `"version":1`)
	has(t, "erase", n.must("erase", "user_id:eve", "--yes"), "nobody was known as user_id:eve")
	has(t, "erase", n.ask(400, "DELETE", "/v1/profiles/nothing:x", ""), "bad_identifier", "no namespace")
	told := 0
	for _, r := range n.drain("dashi.activations") {
		if v := string(r.value); strings.Contains(v, `"transition":"erased"`) {
			told++
			has(t, "activation", v, `"profile":"user_id:ada"`, `{"namespace":"anonymous_id","value":"d1"}`)
		}
	}
	if told != 1 {
		t.Errorf("%d activations say that somebody is erased, want 1", told)
	}
}
