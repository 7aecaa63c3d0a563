package httpapi

import (
	"net/http"
	"strings"
	"testing"
)

// I8: who has no key gets at events and probes only, who may read changes nothing, whatever the route is.
func TestKeys(t *testing.T) {
	reached := false
	behind := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })
	h := NewServer(behind, Door{Listen: anywhere.Listen, Keys: NewKeyring(Keys{Read: []string{"r1", "r2"}, Admin: []string{"a1"}})}).Handler
	const anybody, reader, admin = 0, 1, 2
	f := func(method, path string, who int) {
		t.Helper()
		for header, is := range map[string]int{
			"": anybody, "Authorization: Bearer no": anybody, "Authorization: Bearer": anybody, "Authorization: r1": anybody, "Authorization: Basic cjE=": anybody,
			"Authorization: Bearer r1": reader, "Authorization: bearer  r2": reader, "Authorization: Basic cjE6": reader, "Authorization: Basic eDpyMQ==": reader,
			"Authorization: Bearer a1": admin, "Authorization: Basic eDphMQ==": admin,
		} {
			reached = false
			w := do(h, method, path, strings.NewReader(`{}`), header)
			want := http.StatusOK
			if is < who {
				want = [...]int{http.StatusUnauthorized, http.StatusForbidden}[is]
			}
			if w.Code != want || reached != (want == http.StatusOK) {
				t.Errorf("%s %s with %q: %d %s", method, path, header, w.Code, w.Body)
			}
			if !reached && !strings.Contains(w.Body.String(), "DASHI_KEY") {
				t.Errorf("it does not say how: %s", w.Body)
			}
			if asks := strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic "); asks != (want == http.StatusUnauthorized) {
				t.Errorf("%s %s with %q: a browser asks for a key: %v", method, path, header, asks)
			}
		}
	}
	for _, r := range append(newTestAPI(newFake(), nil).routes(), elsewhere...) {
		path := strings.NewReplacer("{$}", "", "{id...}", "user_id:u1", "{id}", "n1", "{name}", "vip").Replace(r.Path)
		switch {
		case r.Method == "POST" && takesEvents[path], path == "/healthz", path == "/readyz":
			f(r.Method, path, anybody)
		case r.Method == "GET", path == "/v1/query", path == "/v1/profiles:batchGet":
			f(r.Method, path, reader)
		default:
			f(r.Method, path, admin)
		}
	}
	f("GET", "/metrics", reader)
	f("GET", "/console/main.js", reader)
	f("GET", "/nosuch", reader)
	f("OPTIONS", "/v1/status", reader)
	f("GET", "/debug/pprof/", admin)
	f("GET", "/v1/projects/w/settings", anybody)
	f("OPTIONS", "/v1/track", anybody)
	f("GET", "/sourceConfig/", anybody)
	for _, path := range []string{"/v1/profiles/user_id:u1/../../../healthz", "/v1//healthz", "/healthz/", "/v1/projects/a/b/settings", "/v1/projects/../settings", "/v1/profiles/user_id:u1%2Fhealthz"} {
		f("GET", path, reader)
	}
	f("DELETE", "/healthz", admin)
	f("POST", "/v1/track/", admin)

	closed := func(k Keys, header string, status int) {
		t.Helper()
		h := NewServer(behind, Door{Listen: anywhere.Listen, Keys: NewKeyring(k)}).Handler
		if w := do(h, "GET", "/v1/audiences", nil, header); w.Code != status {
			t.Errorf("%v with %q: %d", k, header, w.Code)
		}
	}
	closed(Keys{}, "", 200)
	closed(Keys{Admin: []string{"a1"}}, "", 401) // one kind of key closes both
	closed(Keys{Read: []string{"r1"}}, "", 401)
	closed(Keys{Admin: []string{"a1"}}, "Authorization: Bearer a1", 200)
}
