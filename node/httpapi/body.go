package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"dashi/pipeline/say"
)

var (
	errInFlight = errors.New("too many bytes in flight")
	errEncoding = errors.New("it is no gzip, or ends too early")
	errUnknown  = errors.New("unknown Content-Encoding")
)

// keepBody is the largest buffer that goes back into the pool.
const keepBody = 1 << 20

var bodies = sync.Pool{New: func() any { b := make([]byte, 0, 32<<10); return &b }}

var gunzips = sync.Pool{New: func() any { return new(gzip.Reader) }}

// load counts the bytes of events under way. It is released once, when the request has been answered.
type load struct {
	api *API
	n   int64
}

func (l *load) take(n int) error {
	l.n += int64(n)
	if l.api.inFlight.Add(int64(n)) > l.api.limits.InFlightBytes {
		return errInFlight
	}
	return nil
}

func (l *load) release() { l.api.inFlight.Add(-l.n) }

// readBody reads a body of events into buf, decompressed, at most limit bytes (I4). gzip is known by its header line or by its
// first bytes, with which no JSON begins.
func readBody(r *http.Request, buf []byte, limit int, l *load) ([]byte, error) {
	if r.ContentLength > int64(limit) {
		return buf, errTooLarge
	}
	switch e := encodingOf(r); e {
	case "", "identity", "gzip", "x-gzip":
	default:
		return buf, fmt.Errorf("%w %s", errUnknown, say.Quote(e))
	}
	buf, err := readAll(r.Body, buf, limit, l)
	if err != nil || len(buf) < 2 || buf[0] != 0x1f || buf[1] != 0x8b {
		return buf, err
	}
	return gunzip(buf, limit, l)
}

func encodingOf(r *http.Request) string {
	return strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ", ")))
}

// failEncoding answers that a body is in an encoding that is not understood; understood are those that are.
func failEncoding(w http.ResponseWriter, err error, understood, hint string) {
	w.Header().Set("Accept-Encoding", understood) // RFC 9110, 12.5.3
	fail(w, http.StatusUnsupportedMediaType, "bad_encoding", "cannot read the body: "+err.Error(), hint)
}

func readAll(r io.Reader, buf []byte, limit int, l *load) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):min(cap(buf), limit+1)])
		buf = buf[:len(buf)+n]
		if e := l.take(n); e != nil {
			return buf, e
		}
		if len(buf) > limit {
			return buf, errTooLarge
		}
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// gunzip decompresses packed, which stays as it is.
func gunzip(packed []byte, limit int, l *load) ([]byte, error) {
	z := gunzips.Get().(*gzip.Reader)
	defer gunzips.Put(z)
	if z.Reset(&sliceReader{packed}) != nil {
		return nil, errEncoding
	}
	out, err := readAll(z, make([]byte, 0, min(4*len(packed), limit)+1), limit, l)
	switch {
	case err == nil, errors.Is(err, errTooLarge), errors.Is(err, errInFlight):
		return out, err
	}
	return out, errEncoding
}

// sliceReader is an io.ByteReader, so that gzip needs no buffer of its own.
type sliceReader struct{ b []byte }

func (r *sliceReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func (r *sliceReader) ReadByte() (byte, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c, nil
}
