package httpapi

import (
	"fmt"
	"strings"
	"testing"
)

func TestErase(t *testing.T) {
	b := readsFake()
	a := newTestAPI(b, nil)
	f := func(method, path string, status int, want string) {
		t.Helper()
		if w := do(a, method, path, nil); w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s %s: %d %s, want %d %s", method, path, w.Code, w.Body, status, want)
		}
	}
	f("GET", "/v1/profiles/user_id:bob/export", 200, `"profile":{"id":"user_id:bob"`)
	f("GET", "/v1/profiles/user_id:nobody/export", 404, "not_found")
	f("GET", "/v1/profiles/bob/export", 400, "bad_identifier")
	f("DELETE", "/v1/profiles/user_id:bob", 200, `{"erased":true,"profile":"user_id:bob","identifiers":["user_id:bob"],"at":"2023-11-14T22:13:20Z"}`)
	f("DELETE", "/v1/profiles/user_id:nobody", 200, `{"erased":false,"profile":"","identifiers":[]`)
	f("DELETE", "/v1/profiles/bob", 400, "bad_identifier")
	f("DELETE", "/v1/profiles/nothing:x", 400, "bad_identifier")
	if got, want := fmt.Sprint(b.erased), "[user_id:bob user_id:nobody]"; got != want {
		t.Errorf("erased %s, want %s", got, want)
	}
}
