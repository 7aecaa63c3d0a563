package httpapi

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

// anywhere is the door of a server that has no names and no keys.
var anywhere = Door{Listen: &net.TCPAddr{}}

// I7: what a page of another site sends without being asked for leave is refused, but for events; those without a browser are not concerned.
func TestOtherOriginsChangeNothing(t *testing.T) {
	b := newFake()
	h := NewServer(newTestAPI(b, nil), anywhere).Handler
	elsewhere := [][]string{
		{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"},
		{"Sec-Fetch-Site: same-site"}, // another port of this machine
		{"Origin: https://evil.example"},
		{"Origin: http://example.com:8080"},
		{"Origin: null"},
	}
	here := [][]string{nil, {"Sec-Fetch-Site: same-origin"}, {"Sec-Fetch-Site: none"}, {"Origin: http://example.com"}}
	f := func(method, path, body string, refused bool) {
		t.Helper()
		for _, from := range elsewhere {
			w := do(h, method, path, strings.NewReader(body), from...)
			if got := w.Code == http.StatusForbidden; got != refused || refused && !strings.Contains(w.Body.String(), `"code":"cross_origin"`) {
				t.Errorf("%s %s from %q: %d %s", method, path, from, w.Code, w.Body)
			}
		}
		if refused && len(b.unlinked)+len(b.erased) > 0 {
			t.Fatalf("%s %s was done: %q %q", method, path, b.unlinked, b.erased)
		}
		for _, from := range here {
			if w := do(h, method, path, strings.NewReader(body), from...); w.Code == http.StatusForbidden {
				t.Errorf("%s %s from %q: %d %s", method, path, from, w.Code, w.Body)
			}
		}
		b.unlinked, b.erased = nil, nil
	}
	f("POST", "/v1/identity:unlink", `{"a":"user_id:a","b":"user_id:b"}`, true)
	f("POST", "/v1/query", `{"where":"vip"}`, true)
	f("POST", "/v1/profiles:batchGet", `{"ids":[]}`, true)
	f("POST", "/v1/nodes/n1/drain", "", true)
	f("PUT", "/v1/clock", `{}`, true)
	f("DELETE", "/v1/profiles/user_id:ada", "", true)
	f("POST", "/v1/track/", "{}", true) // is no route for events
	f("POST", "//v1/track", "{}", true)
	f("PUT", "/v1/batch", "{}", true)
	f("GET", "/v1/audiences", "", false)
	f("OPTIONS", "/v1/track", "", false)
	for _, path := range []string{"/v1/track", "/v1/t", "/v1/i", "/v1/alias", "/v1/batch", "/v1/import", "/beacon/v1/batch", "/v1/cloudevents"} {
		f("POST", path, "{}", false)
	}
}
