package httpapi

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"dashi/pipeline/audience"
)

func readsFake() *fake {
	f := newFake()
	f.put("email:ada@example.com", 7, 0, 1)
	f.put("url:https://x.example//a/../b:c d%", 1)
	f.put("user_id:bob", 0)
	return f
}

const ada = `{"id":"email:ada@example.com","identifiers":[{"namespace":"email","value":"ada@example.com","first_seen":"1970-01-01T00:00:01Z","last_seen":"1970-01-01T00:00:02Z"}],` +
	`"attributes":{"orders":7},"audiences":{"vip":{"since":"2025-11-24T16:00:00Z"},"odd/one %":{"since":"2025-11-24T16:00:00Z"}},"consent":{},"version":3}`

func TestProfile(t *testing.T) {
	a := newTestAPI(readsFake(), nil)
	f := func(path string, status int, want string) {
		t.Helper()
		w := do(a, "GET", path, nil)
		if w.Code != status || !strings.HasPrefix(w.Body.String(), want) || !json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s, want %d %s", path, w.Code, w.Body, status, want)
		}
	}
	f("/v1/profiles/email:ada@example.com", 200, ada)
	f("/v1/profiles/email:ada%40example.com", 200, ada)
	f("/v1/profiles/email%3Aada%40example.com", 200, ada)
	f("/v1/profiles/url:https:%2F%2Fx.example%2F%2Fa%2F..%2Fb:c%20d%25", 200, `{"id":"url:https://x.example//a/../b:c d%"`)
	f("/v1/profiles/url:https://x.example//a/../b:c%20d%25", 200, `{"id":"url:https://x.example//a/../b:c d%"`)
	f("/v1/profiles/user_id:bob", 200, `{"id":"user_id:bob"`)
	f("/v1/profiles/user_id:nobody", 404, `{"error":{"code":"not_found","message":"there is no profile \"user_id:nobody\""`)
	f("/v1/profiles/account:acme", 404, `{"error":{"code":"not_found","message":"there is no account \"account:acme\""`)
	f("/v1/profiles/account:acme/explain", 404, `{"error":{"code":"not_found","message":"there is no account \"account:acme\""`)
	f("/v1/profiles/account:acme/export", 404, `{"error":{"code":"not_found","message":"there is no account \"account:acme\""`)
	f("/v1/profiles/user_id:null", 404, `{"error":{"code":"not_found","message":"there is no profile \"user_id:null\": nobody can have this identifier: it is always blocked"}`)
	f("/v1/profiles/user_id:null/explain", 404, `{"error":{"code":"not_found","message":"there is no profile \"user_id:null\": nobody can`)
	f("/v1/profiles/user_id:null/explain?audience=vip", 404, `{"error":{"code":"not_found","message":"there is no profile \"user_id:null\": nobody can`)
	f("/v1/profiles/bob", 400, `{"error":{"code":"bad_identifier","message":`)
	f("/v1/profiles/:bob", 400, `{"error":{"code":"bad_identifier"`)
	f("/v1/profiles/user_id:", 400, `{"error":{"code":"bad_identifier"`)
	f("/v1/profiles/", 400, `{"error":{"code":"bad_identifier"`)
	f("/v1/nothing", 404, `{"error":{"code":"not_found"`)
	f("/nothing", 404, `{"error":{"code":"not_found"`)
	if w := do(a, "PATCH", "/v1/profiles/user_id:bob", nil); w.Code != 405 || w.Header().Get("Allow") != "GET, DELETE" {
		t.Errorf("PATCH: %d, allowed are %s", w.Code, w.Header().Get("Allow"))
	}
}

func TestBatchGet(t *testing.T) {
	a := newTestAPI(readsFake(), func(s *Settings) { s.Limits.BatchGet = 3; s.Limits.QueryBytes = 500 })
	f := func(body string, status int, want string) {
		t.Helper()
		w := post(a, "/v1/profiles:batchGet", strings.NewReader(body))
		if w.Code != status || !strings.Contains(w.Body.String(), want) || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	f(`{"ids":["user_id:x","email:ada@example.com","user_id:y"]}`, 200, `{"profiles":[null,`+ada+`,null]}`)
	f(`{"ids":[]}`, 200, `{"profiles":[]}`)
	f(`{}`, 200, `{"profiles":[]}`)
	f(`{"ids":["a:1","a:2","a:3","a:4"]}`, 400, "too_many")
	f(`{"ids":["a:1","a"]}`, 400, "bad_identifier")
	f(`{"ids":"a:1"}`, 400, "bad_json")
	f(`{"id":["a:1"]}`, 400, "bad_json")
	f(`{"ids":[]} x`, 400, "bad_json")
	f(``, 400, "bad_json")
	f(`{"ids":["`+strings.Repeat("x", 1000)+`"]}`, 413, "too_large")
	f(strings.Repeat("[", 20000), 413, "too_large")
}

func TestQuery(t *testing.T) {
	b := newFake()
	for i := range 25 {
		b.put(fmt.Sprintf("user_id:%d", i), 1, 0)
	}
	a := newTestAPI(b, nil)
	ask := func(body string, status int) (v struct {
		Count  int
		Sample []struct{ ID string }
		Cursor string
		Error  struct{ Code, Message, Hint string }
	}) {
		t.Helper()
		w := post(a, "/v1/query", strings.NewReader(body))
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != status {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
		return v
	}
	if v := ask(`{"where":"vip"}`, 200); v.Count != 25 || len(v.Sample) != 10 || v.Sample[9].ID != "user_id:9" || v.Cursor != "0-10" {
		t.Errorf("%+v", v)
	}
	if v := ask(`{"where":"vip","limit":20,"cursor":"0-10"}`, 200); v.Count != 25 || len(v.Sample) != 15 || v.Cursor != "" {
		t.Errorf("%+v", v)
	}
	if v := ask(`{"where":"vip","limit":0}`, 200); v.Count != 25 || v.Sample == nil || len(v.Sample) != 0 {
		t.Errorf("%+v", v)
	}
	if v := ask(`{"where":"vpi"}`, 400); v.Error.Code != "bad_query" || v.Error.Hint != "did you mean vip?" {
		t.Errorf("%+v", v)
	}
	ask(`{"where":" "}`, 400)
	ask(`{"where":"vip","limit":-1}`, 400)
	ask(`{"where":"vip","limit":1001}`, 400)
	ask(`{"where":"vip","cursor":"x"}`, 400)
	ask(`{"where":"vip","limti":1}`, 400)
}

func TestAudiencesAndMembers(t *testing.T) {
	b := readsFake()
	a := newTestAPI(b, nil)
	w := do(a, "GET", "/v1/audiences", nil)
	if got, want := w.Body.String(), `{"audiences":[{"name":"vip","description":"those who buy","size":1},{"name":"odd/one %","description":"","size":1}]}`+"\n"; got != want {
		t.Errorf("%s", got)
	}
	line := `{"id":"email:ada@example.com","since":"2025-11-24T16:00:00Z"}` + "\n"
	for path, want := range map[string]string{
		"/v1/audiences/vip/members":                      line,
		"/v1/audiences/odd%2Fone%20%25/members":          line,
		"/v1/audiences/vip/members?cursor=0-1":           "",
		"/v1/audiences/vip/members?limit=5":              line,
		"/v1/audiences/vip/members?limit=1":              line + `{"cursor":"0-1"}` + "\n",
		"/v1/audiences/vip/members?limit=1&cursor=0-100": "",
	} {
		if w := do(a, "GET", path, nil); w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for path, status := range map[string]int{
		"/v1/audiences/nope/members":             404,
		"/v1/audiences/vip/members?limit=0":      400,
		"/v1/audiences/vip/members?limit=x":      400,
		"/v1/audiences/vip/members?cursor=x":     400,
		"/v1/audiences/vip/members?cursor=-1-2":  400,
		"/v1/audiences/vip/members?cursor=1-1e9": 400,
	} {
		if w := do(a, "GET", path, nil); w.Code != status || !strings.Contains(w.Body.String(), `"error"`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// All members over several writes, and the same in pages.
func TestManyMembers(t *testing.T) {
	b := newFake()
	for i := range 5000 {
		b.put(fmt.Sprintf("user_id:%d", i), 1, 0)
	}
	a := newTestAPI(b, nil)
	all := do(a, "GET", "/v1/audiences/vip/members", nil).Body.String()
	if n := strings.Count(all, "\n"); n != 5000 || !strings.HasSuffix(all, `"user_id:4999","since":"2025-11-24T16:00:00Z"}`+"\n") {
		t.Fatalf("%d lines", n)
	}
	var paged strings.Builder
	cursor := ""
	for pages := 0; ; pages++ {
		lines := strings.SplitAfter(do(a, "GET", "/v1/audiences/vip/members?limit=777&cursor="+cursor, nil).Body.String(), "\n")
		lines = lines[:len(lines)-1]
		last := lines[len(lines)-1]
		if !strings.HasPrefix(last, `{"cursor":"`) {
			paged.WriteString(strings.Join(lines, ""))
			if pages != 6 {
				t.Errorf("%d pages before the last", pages)
			}
			break
		}
		paged.WriteString(strings.Join(lines[:len(lines)-1], ""))
		cursor = strings.Split(last, `"`)[3]
	}
	if paged.String() != all {
		t.Error("pages give something else than the whole")
	}
	w := do(a, "GET", "/v1/audiences/vip/members", nil, "Accept-Encoding: gzip")
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if unpacked, err := io.ReadAll(z); err != nil || string(unpacked) != all {
		t.Errorf("gzip gives something else: %v", err)
	}
}

// When nobody who could answer for a part of the profiles does, that is said, never a part given as the whole.
func TestUnavailable(t *testing.T) {
	b := newFake()
	for i := range 5000 {
		b.put(fmt.Sprintf("user_id:%d", i), 1, 0)
	}
	b.down.Store(true)
	a := newTestAPI(b, nil)
	f := func(w *httptest.ResponseRecorder) {
		t.Helper()
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"unavailable"`) {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	}
	f(do(a, "GET", "/v1/profiles/user_id:1", nil))
	f(do(a, "GET", "/v1/profiles/user_id:1/explain", nil))
	f(do(a, "GET", "/v1/profiles/user_id:1/explain?audience=vip", nil))
	f(post(a, "/v1/profiles:batchGet", strings.NewReader(`{"ids":["user_id:1"]}`)))
	f(do(a, "GET", "/v1/audiences", nil))
	f(post(a, "/v1/query", strings.NewReader(`{"where":"vip"}`)))
	f(do(a, "GET", "/v1/audiences/vip/members?cursor=40-0", nil))
	lines := strings.Split(strings.TrimSpace(do(a, "GET", "/v1/audiences/vip/members", nil).Body.String()), "\n")
	if last := lines[len(lines)-1]; len(lines) != 4001 || !strings.HasPrefix(last, `{"error":{"code":"unavailable"`) || !strings.HasSuffix(last, `"cursor":"40-0"}`) {
		t.Errorf("%d lines, the last %s", len(lines), last)
	}
}

// A cookbook that is replaced in the middle must not turn the list into that of another audience.
func TestMembersAcrossCookbooks(t *testing.T) {
	b := readsFake()
	old := *b.program
	b.program.Audiences = []audience.Definition{old.Audiences[1], old.Audiences[0]}
	a := newTestAPI(b, nil)
	for _, v := range b.order {
		v.Program = &old
	}
	if w := do(a, "GET", "/v1/audiences/vip/members", nil); w.Code != 200 || w.Body.String() != "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestGzipOfAnswers(t *testing.T) {
	b := newFake()
	var ids []string
	for i := range 50 {
		id := fmt.Sprintf("user_id:%d", i)
		b.put(id, 1)
		ids = append(ids, `"`+id+`"`)
	}
	body := `{"ids":[` + strings.Join(ids, ",") + `]}`
	a := newTestAPI(b, nil)
	for accept, want := range map[string]string{"": "", "gzip": "gzip", "br, gzip;q=0.5": "gzip", "gzip;q=0": "", "gzip; q=0.0, br": "", "br": ""} {
		w := post(a, "/v1/profiles:batchGet", strings.NewReader(body), "Accept-Encoding: "+accept)
		if got := w.Header().Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q", accept, got)
		}
		var r io.Reader = w.Body
		if want == "gzip" {
			r, _ = gzip.NewReader(w.Body)
		}
		if plain, err := io.ReadAll(r); err != nil || strings.Count(string(plain), `"id"`) != 50 || !json.Valid(plain) {
			t.Errorf("Accept-Encoding %q: %v %s", accept, err, plain)
		}
	}
	if w := do(a, "GET", "/healthz", nil, "Accept-Encoding: gzip"); w.Header().Get("Content-Encoding") != "" {
		t.Error("a small answer was compressed")
	}
}

func TestStatusAndHealth(t *testing.T) {
	b := readsFake()
	a := newTestAPI(b, nil)
	f := func(path string, status int, want string) {
		t.Helper()
		if w := do(a, "GET", path, nil); w.Code != status || !strings.Contains(w.Body.String(), want) || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	f("/v1/status", 200, `{"profiles":3}`)
	f("/v1/status?wait=idle", 200, `{"profiles":3}`)
	f("/v1/status?wait=idle&timeout=5s", 200, `{"profiles":3}`)
	f("/v1/status?wait=busy", 400, "bad_wait")
	f("/v1/status?wait=idle&timeout=5", 400, "bad_timeout")
	f("/v1/status?wait=idle&timeout=-5s", 400, "bad_timeout")
	f("/v1/status?wait=idle&timeout=500h", 400, "bad_timeout")
	f("/healthz", 200, "true")
	f("/readyz", 200, "true")
	f("/v1/cookbook", 200, `{"version":3,"at":"1970-01-01T00:00:00Z","hash":"00000000000000ab","sources":[{"name":"a.yaml","text":"x: 1\n"}]}`)
	b.idle = fmt.Errorf("timers are due: %w", context.DeadlineExceeded)
	f("/v1/status?wait=idle&timeout=1ms", 504, "still under way after 1ms: timers are due\"")
	b.heldBack = "Kafka is away"
	f("/readyz", 200, `{"held_back":"Kafka is away","ready":true}`) // look-ups are answered
	b.unready = errors.New("shard 3 is loading")
	f("/readyz", 503, "shard 3 is loading")
	f("/healthz", 200, "true")
	f("/metrics", 404, "not_found")
	says := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%q", s) })
	}
	a = New(Settings{}, b, says("metrics"), says("console"))
	f("/metrics", 200, "metrics")
	f("/", 200, "console")
	f("/app.js", 200, "console")
	f("/v1/x", 404, "not_found")
}

// listen serves an API as a node does.
func listen(t *testing.T, a *API) (*http.Server, string) {
	t.Helper()
	return listenAt(t, a, anywhere)
}

func listenAt(t *testing.T, a *API, door Door) (*http.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(a, door)
	s.RegisterOnShutdown(a.Close)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return s, "http://" + l.Addr().String()
}

func openStream(t *testing.T, url string, headers ...string) *bufio.Reader {
	t.Helper()
	r, _ := http.NewRequest("GET", url+"/v1/activations/stream", nil)
	for _, h := range headers {
		if query, ok := strings.CutPrefix(h, "?"); ok {
			r.URL.RawQuery = query
			continue
		}
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	return bufio.NewReader(resp.Body)
}

// A stream went on for whoever had opened it with a key that was taken away since. One whose key is there goes on.
func TestStreamOfGoneKey(t *testing.T) {
	ring := NewKeyring(Keys{})
	b := newFake()
	a := newTestAPI(b, func(s *Settings) { s.Keys = ring })
	_, url := listenAt(t, a, Door{Listen: anywhere.Listen, Keys: ring})
	keyless := openStream(t, url)
	wantText(t, keyless, "retry: 1000\n\n")
	ends := func(r io.Reader) {
		t.Helper()
		rest, err := io.ReadAll(r)
		if want := "event: gone\ndata: {\"error\":{\"code\":\"unauthorized\",\"message\":\"the key that this was asked with is not known any more\"}}\n\n"; err != nil || string(rest) != want {
			t.Errorf("%q %v", rest, err)
		}
	}
	ring.Set(Keys{Read: []string{"r1", "r2"}, Admin: []string{"a1"}})
	ends(keyless) // as with a connection over RESP that came in when there was no password
	first, second, admin := openStream(t, url, "Authorization: Bearer r1"), openStream(t, url, "Authorization: Bearer r2"), openStream(t, url, "Authorization: Bearer a1")
	for _, r := range []io.Reader{first, second, admin} {
		wantText(t, r, "retry: 1000\n\n")
	}
	ring.Set(Keys{Read: []string{"r2", "r3"}, Admin: []string{"a2"}})
	ends(first)
	ends(admin)
	until(t, "one subscriber", func() bool { return b.subscribers() == 1 })
	b.publish("42", "vip", `{"n":1}`)
	wantText(t, second, "id: 42\ndata: {\"n\":1}\n\n")
	ring.Set(Keys{})
	b.publish("43", "vip", `{"n":2}`)
	wantText(t, second, "id: 43\ndata: {\"n\":2}\n\n")
}

// rekeyed puts other keys in force when the first part of an answer is written.
type rekeyed struct {
	*httptest.ResponseRecorder
	ring *Keyring
	once sync.Once
	keys Keys
}

func (w *rekeyed) Write(b []byte) (int, error) {
	w.once.Do(func() { w.ring.Set(w.keys) })
	return w.ResponseRecorder.Write(b)
}

// A long list of members ends too, and says that it is no whole.
func TestMembersOfGoneKey(t *testing.T) {
	b := newFake()
	for i := range 5000 {
		b.put(fmt.Sprintf("user_id:%d", i), 1, 0)
	}
	f := func(after Keys, lines int, last string) {
		t.Helper()
		ring := NewKeyring(Keys{Read: []string{"r1"}})
		h := NewServer(newTestAPI(b, func(s *Settings) { s.Keys = ring }), Door{Listen: anywhere.Listen, Keys: ring}).Handler
		r := httptest.NewRequest("GET", "/v1/audiences/vip/members", nil)
		r.Header.Set("Authorization", "Bearer r1")
		w := &rekeyed{ResponseRecorder: httptest.NewRecorder(), ring: ring, keys: after}
		h.ServeHTTP(w, r)
		got := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
		if w.Code != 200 || len(got) > lines || !strings.HasPrefix(got[len(got)-1], last) {
			t.Errorf("%d, %d lines, the last %s", w.Code, len(got), got[len(got)-1])
		}
	}
	f(Keys{Read: []string{"r2", "r1"}}, 5000, `{"id":"user_id:4999"`)
	f(Keys{Read: []string{"r2"}}, 2000, `{"error":{"code":"unauthorized","message":"the key that this was asked with is not known any more"},"cursor":"`)
}

func wantText(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Fatalf("got %q (%v), want %q", b[:n], err, want)
	}
}

// A name under which nothing can leave is an error, not a silence.
func TestStreamOfNothing(t *testing.T) {
	_, url := listen(t, newTestAPI(newFake(), nil))
	resp, err := http.Get(url + "/v1/activations/stream?audience=vpi")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 404 || !strings.Contains(string(text), "unknown_audience") {
		t.Errorf("%s %s", resp.Status, text)
	}
}

func TestStream(t *testing.T) {
	b := newFake()
	a := newTestAPI(b, nil)
	s, url := listen(t, a)
	all, vip, welcome := openStream(t, url, "Last-Event-ID: 41"), openStream(t, url, "?audience=vip"), openStream(t, url, "?audience=welcome")
	until(t, "three subscribers", func() bool { return b.subscribers() == 3 })
	b.publish("42", "vip", `{"n":1}`)
	b.publish("43", "odd", "two\nlines")
	b.publish("44", "welcome of vip", `{"n":3}`)
	wantText(t, all, "retry: 1000\n\nid: 42\ndata: {\"n\":1}\n\nid: 43\ndata: two\ndata: lines\n\nid: 44\ndata: {\"n\":3}\n\n")
	wantText(t, vip, "retry: 1000\n\nid: 42\ndata: {\"n\":1}\n\nid: 44\ndata: {\"n\":3}\n\n")
	wantText(t, welcome, "retry: 1000\n\nid: 44\ndata: {\"n\":3}\n\n") // by its own name too
	// A shutdown ends streams, which would otherwise never end.
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(all); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
	until(t, "no subscribers", func() bool { return b.subscribers() == 0 })
	if n := a.streams.Load(); n != 0 {
		t.Errorf("%d streams", n)
	}
	a.Close()
}

func TestStreamGoesOnAfterLastEventID(t *testing.T) {
	b := newFake()
	_, url := listen(t, newTestAPI(b, nil))
	openStream(t, url, "Last-Event-ID: 41")
	until(t, "a subscriber", func() bool { return b.subscribers() == 1 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.after != "41" {
		t.Errorf("after %q", b.after)
	}
}

func TestHeartbeat(t *testing.T) {
	b := newFake()
	_, url := listen(t, newTestAPI(b, func(s *Settings) { s.Limits.Heartbeat = time.Millisecond }))
	wantText(t, openStream(t, url), "retry: 1000\n\n:\n\n:\n\n")
}

// A stream of what another cookbook has dropped went on without ever a word.
func TestStreamOfWhatIsDropped(t *testing.T) {
	b := newFake()
	_, url := listen(t, newTestAPI(b, func(s *Settings) { s.Limits.Heartbeat = time.Millisecond }))
	vip, all := openStream(t, url, "?audience=vip"), openStream(t, url)
	wantText(t, vip, "retry: 1000\n\n:\n\n")
	gone := "vip"
	b.gone.Store(&gone)
	rest, err := io.ReadAll(vip)
	want := "\n\nevent: gone\ndata: {\"error\":{\"code\":\"unknown_audience\",\"message\":\"nothing leaves under the name \\\"vip\\\" any more, since another cookbook is in force\"}}\n\n"
	if err != nil || !strings.HasSuffix("\n\n"+string(rest), want) {
		t.Errorf("%q %v", rest, err)
	}
	wantText(t, all, "retry: 1000\n\n:\n\n:\n\n:\n\n")
}

func TestTooManyStreams(t *testing.T) {
	b := newFake()
	a := newTestAPI(b, func(s *Settings) { s.Limits.Streams = 1 })
	_, url := listen(t, a)
	openStream(t, url)
	if w := do(a, "GET", "/v1/activations/stream", nil); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A stream that does not keep up is ended and counted; publishing never waits.
func TestSlowStream(t *testing.T) {
	b := newFake()
	slow := make(chan struct{}, 10)
	_, url := listen(t, newTestAPI(b, func(s *Settings) {
		s.Limits.Queue = 4
		s.Limits.Write = 50 * time.Millisecond
		s.Count = func(c Count, _ int64) {
			if c == SlowStreams {
				slow <- struct{}{}
			}
		}
	}))
	r := openStream(t, url)
	until(t, "a subscriber", func() bool { return b.subscribers() == 1 })
	payload := strings.Repeat("x", 100<<10)
	until(t, "the stream to end", func() bool {
		for range 100 {
			b.publish("1", "vip", payload)
		}
		return b.subscribers() == 0
	})
	io.Copy(io.Discard, r)
	select {
	case <-slow:
	default: // its write timed out first: cut off as well
	}
}

// A client that sends its header a byte at a time, or announces a body and never sends it, is cut off by the time-outs.
func TestServerTimeouts(t *testing.T) {
	s := NewServer(newTestAPI(newFake(), nil), anywhere)
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("%+v", s)
	}
	s.ReadTimeout = 20 * time.Millisecond
	w := httptest.NewUnstartedServer(s.Handler)
	w.Config = s
	w.Start()
	defer w.Close()
	c, err := net.Dial("tcp", w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 400") {
		t.Errorf("%q %v", b, err)
	}
}

func TestCursor(t *testing.T) {
	for _, c := range []Cursor{{}, {3, 0}, {65535, 1<<32 - 1}} {
		if got, err := ParseCursor(c.String()); err != nil || got != c {
			t.Errorf("%v: %v %v", c, got, err)
		}
	}
	for _, s := range []string{"1", "-", "1-", "-1", "1--1", "65536-0", "0-4294967296", "1-2-3", " 1-2"} {
		if c, err := ParseCursor(s); err == nil {
			t.Errorf("%q: %v", s, c)
		}
	}
}

func TestActivations(t *testing.T) {
	f := newFake()
	a := New(Settings{}, f, nil, nil)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code, w.Body.String()
	}
	for path, want := range map[string]string{
		"/v1/activations":                       `"rate":{"value":0.25,"low":0.09,"high":0.53}},"control":{"exposed":0,"converted":0},"confidence":0.95}}`,
		"/v1/activations/letter/stats":          `{"activation":"letter","description":"","on":"event","about":"Visit","sent":12,"sent_24h":7,"goal":`,
		"/v1/activations/odd%2Fone%20%25/stats": `{"activation":"odd/one %"`,
	} {
		if code, body := get(path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %s", path, code, body, want)
		}
	}
	if code, body := get("/v1/activations/none/stats"); code != 404 || !strings.Contains(body, "GET /v1/activations lists them") {
		t.Errorf("an unknown one: %d %s", code, body)
	}
	if code, body := get("/v1/activations/leter/stats"); code != 404 || !strings.Contains(body, "is it letter? GET /v1/activations lists them") {
		t.Errorf("a misspelt one: %d %s", code, body)
	}
}
