package httpapi

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestExplainLinks(t *testing.T) {
	b := newFake()
	b.put("user_id:a/explain", 1)
	b.put("user_id:a", 1)
	a := newTestAPI(b, nil)
	f := func(path string, status int, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	f("/v1/profiles/user_id:a/explain", 200, `{"id":"user_id:a","identifiers":[{"id":"user_id:a","profile":"user_id:a","first_seen":"1970-01-01T00:00:01Z","last_seen":"1970-01-01T00:00:02Z"}],"links":[]}`)
	f("/v1/profiles/user_id%3Aa/explain", 200, `{"id":"user_id:a",`)
	f("/v1/profiles/user_id:a%2Fexplain", 200, `"attributes"`)
	f("/v1/profiles/user_id:a%2Fexplain/explain", 200, `{"id":"user_id:a/explain",`)
	f("/v1/profiles/user_id:b/explain", 404, "there is no profile")
	f("/v1/profiles/b/explain", 400, "bad_identifier")
}
