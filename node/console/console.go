package console

import (
	"bytes"
	"embed"
	"fmt"
	"hash/fnv"
	"mime"
	"net/http"
	"path"
	"time"

	"dashi/pipeline/say"
)

//go:embed assets
var assets embed.FS

// Backend is what the console needs of a node besides its HTTP interface. It may be called concurrently.
type Backend interface {
	// History is a JSON array of the samples (node.Sample: at, events, activations, p50_ms, p99_ms, profiles) of the last ten minutes
	// that were taken later than after, oldest first. The zero time asks for all.
	History(after time.Time) []byte
}

// policy is strict on purpose (I1, I2): a value of a profile that finds its way into the page as HTML does nothing there.
const policy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the page, its parts and its history, and answers 404 to every other path.
func Handler(b Backend) http.Handler {
	mux := http.NewServeMux()
	files, err := assets.ReadDir("assets")
	if err != nil {
		panic("the console's assets are not in the binary: " + err.Error())
	}
	for _, f := range files {
		content, err := assets.ReadFile("assets/" + f.Name())
		if err != nil {
			panic("the console's assets are not in the binary: " + err.Error())
		}
		route := "GET /console/" + f.Name()
		if f.Name() == "index.html" {
			route = "GET /{$}"
		}
		mux.Handle(route, newAsset(f.Name(), content))
	}
	mux.HandleFunc("GET /console/history", func(w http.ResponseWriter, r *http.Request) { history(w, r, b) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "not_found", "there is no "+say.Short(r.Method)+" "+say.Short(r.URL.Path), "the console is at /, and GET /v1/ lists the rest")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer") // identifiers are in the fragment, and some proxies log referrers
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		mux.ServeHTTP(w, r)
	})
}

// asset is one file of the page.
type asset struct {
	name, contentType, tag string
	content                []byte
}

// contentTypes are said here because mime reads the machine's own tables, which may lack or redefine them.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

func newAsset(name string, content []byte) *asset {
	sum := fnv.New64a()
	sum.Write(content)
	a := &asset{name: name, contentType: contentTypes[path.Ext(name)], tag: fmt.Sprintf(`"%016x"`, sum.Sum64()), content: content}
	if a.contentType == "" {
		a.contentType = mime.TypeByExtension(path.Ext(name))
	}
	return a
}

// ServeHTTP lets the browser keep the file but ask each time: after an upgrade of the node no part may be an old one.
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.tag)
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.content))
}

func history(w http.ResponseWriter, r *http.Request, b Backend) {
	var after time.Time
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = time.Parse(time.RFC3339Nano, text); err != nil {
			fail(w, http.StatusBadRequest, "bad_time", "cannot read time "+say.Quote(text), "as in 2026-01-31T12:00:00Z")
			return
		}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.Write(b.History(after))
}

// fail answers with an error as the HTTP interface of the node does.
func fail(w http.ResponseWriter, status int, code, message, hint string) {
	body, _ := say.JSON(map[string]any{"error": map[string]string{"code": code, "message": message, "hint": hint}})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
