package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
)

// What GET /v1/ lists is there, each with its method alone.
func TestIndex(t *testing.T) {
	a := newTestAPI(newFake(), nil)
	w := do(a, "GET", "/v1/", nil)
	var index struct{ Routes []route }
	if err := json.Unmarshal(w.Body.Bytes(), &index); err != nil || w.Code != 200 || len(index.Routes) < 20 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	listed := map[string]bool{}
	for _, r := range index.Routes {
		listed[r.Method+" "+r.Path] = true
		if r.What == "" || strings.Contains(r.Path, "...") || strings.Contains(r.Path, "$") {
			t.Errorf("%+v", r)
		}
		if strings.HasPrefix(r.Path, "/v1/nodes/") || r.Path == "/metrics" || r.Path == "/" { // not of this package
			continue
		}
		path := strings.NewReplacer("{id}", "user_id:bob", "{name}", "vip").Replace(r.Path)
		if w := do(a, "PATCH", path, nil); w.Code != 405 && strings.HasPrefix(path, "/v1/") || !strings.Contains(w.Header().Get("Allow")+"GET", r.Method) {
			t.Errorf("PATCH %s: %d, allowed are %q", path, w.Code, w.Header().Get("Allow"))
		}
	}
	if !listed["GET /v1/profiles/{id}"] || !listed["POST /v1/track"] {
		t.Errorf("%v", listed)
	}
	if w := do(a, "GET", "/v1/nothing", nil); w.Code != 404 || !strings.Contains(w.Body.String(), "GET /v1/ lists") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
