package node

import (
	"net/http"
	"testing"
)

// A wrong method is answered with the right ones, as everywhere else (RFC 9110, 15.5.6).
func TestMethodsOfNodes(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	f := func(path, allow string) {
		t.Helper()
		r, err := http.Get("http://" + n.HTTPAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if got := r.Header.Get("Allow"); r.StatusCode != http.StatusMethodNotAllowed || got != allow {
			t.Errorf("GET %s: %d, Allow: %q, want %q", path, r.StatusCode, got, allow)
		}
	}
	f("/v1/nodes/x/drain", "POST, DELETE")
	f("/v1/nodes/x", "DELETE")
}
