package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"dashi/pipeline/say"

	"github.com/klauspost/compress/gzip"
)

// failure is an error as DESIGN.md wants it.
type failure struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
	} `json:"error"`
}

// longestMessage bounds a message in bytes, whatever of the request it shows.
const longestMessage = 2000

// fail answers with an error.
func fail(w http.ResponseWriter, status int, code, message, hint string) {
	var e failure
	e.Error.Code, e.Error.Message, e.Error.Hint = code, say.Cut(message, longestMessage), hint
	b, _ := say.JSON(e)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}

// answer marshals v.
func answer(w http.ResponseWriter, r *http.Request, v any) {
	b, err := say.JSON(v)
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal", "cannot write the answer: "+err.Error(), "")
		return
	}
	send(w, r, append(b, '\n'))
}

// compressFrom is the size from which gzip saves a packet.
const compressFrom = 1400

var gzips = sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }}

// send answers with JSON, compressed when it is worth it and the client takes it.
func send(w http.ResponseWriter, r *http.Request, b []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept-Encoding")
	if len(b) < compressFrom || !takesGzip(r) {
		h.Set("Content-Length", strconv.Itoa(len(b)))
		w.Write(b)
		return
	}
	h.Set("Content-Encoding", "gzip")
	z := gzips.Get().(*gzip.Writer)
	defer gzips.Put(z)
	z.Reset(w)
	z.Write(b)
	z.Close()
}

func takesGzip(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) == "gzip" {
			q = strings.ReplaceAll(q, " ", "")
			return !strings.HasPrefix(q, "q=0") || strings.Trim(q, "q=0.") != ""
		}
	}
	return false
}
