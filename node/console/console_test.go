package console

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"
)

type historyFunc func(after time.Time) []byte

func (f historyFunc) History(after time.Time) []byte { return f(after) }

func TestHandler(t *testing.T) {
	h := Handler(historyFunc(func(after time.Time) []byte { return []byte(`["` + after.Format(time.RFC3339Nano) + `"]`) }))
	get := func(method, target string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, target, nil)
		if len(header) == 2 {
			r.Header.Set(header[0], header[1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	f := func(method, target string, status int, contentType, has string) {
		t.Helper()
		w := get(method, target)
		if w.Code != status || w.Header().Get("Content-Type") != contentType || !strings.Contains(w.Body.String(), has) {
			t.Errorf("%s %s: %d %q, want %d %q with %q; body %.200s", method, target, w.Code, w.Header().Get("Content-Type"), status, contentType, has, w.Body)
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'self';") || strings.Contains(csp, "unsafe") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: policy %q, nosniff %q", method, target, csp, w.Header().Get("X-Content-Type-Options"))
		}
	}
	f("GET", "/", 200, "text/html; charset=utf-8", "<title>dashi</title>")
	f("GET", "/console/console.css", 200, "text/css; charset=utf-8", "prefers-color-scheme")
	f("GET", "/console/main.js", 200, "text/javascript; charset=utf-8", "import")
	f("GET", "/console/icon.svg", 200, "image/svg+xml", "<svg")
	f("GET", "/console/history", 200, "application/json", `["0001-01-01T00:00:00Z"]`)
	f("GET", "/console/history?after=2026-01-31T12:00:00.123Z", 200, "application/json", `["2026-01-31T12:00:00.123Z"]`)
	f("GET", "/console/history?after=yesterday", 400, "application/json", `cannot read time`)
	f("GET", "/console/index.html", 404, "application/json", "not_found")
	f("GET", "/console/assets/main.js", 404, "application/json", "not_found")
	f("GET", "/console/", 404, "application/json", "the console is at /")
	f("GET", "/nothing", 404, "application/json", "there is no GET /nothing")
	f("POST", "/", 404, "application/json", "not_found")
	tag := get("GET", "/console/main.js").Header().Get("ETag")
	if w := get("GET", "/console/main.js", "If-None-Match", tag); tag == "" || w.Code != http.StatusNotModified {
		t.Errorf("unchanged file with tag %q: %d", tag, w.Code)
	}
}

// TestAssetsStayHome is I1 to I3 as far as text can show them.
func TestAssetsStayHome(t *testing.T) {
	const namespace = "http://www.w3.org/2000/svg" // a name, never fetched
	err := fs.WalkDir(assets, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(b), namespace, "")
		banned := []string{"http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "style=", `="/`, `'/v1`, `'/console`, "`/"}
		if path.Ext(name) == ".html" {
			banned = append(banned, "<style", "onclick", "onload", "javascript:")
		}
		if path.Ext(name) != ".js" {
			banned = append(banned, `"//`, "@import", "url(")
		}
		for _, word := range banned {
			if strings.Contains(text, word) {
				t.Errorf("%s contains %q", name, word)
			}
		}
		if contentTypes[path.Ext(name)] == "" {
			t.Errorf("%s has no content type", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
