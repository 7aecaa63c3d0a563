package httpapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/event"
)

// post sends a body; headers are "Name: value".
func post(a http.Handler, path string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	return do(a, "POST", path, body, headers...)
}

func do(a http.Handler, method, path string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, body)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func zipped(s string) io.Reader {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return &b
}

const received = `"receivedAt":"2026-03-01T12:00:00.000Z"`

// I1 and I2. What an event lacks is put in, and nothing else changes.
func TestEachEventOfABodyIsOneMessage(t *testing.T) {
	f := func(path, body string, want ...string) {
		t.Helper()
		b := newFake()
		w := post(newTestAPI(b, nil), path, strings.NewReader(body))
		if w.Code != 200 || w.Body.String() != "{\"success\":true}\n" {
			t.Errorf("%s %s: %d %s", path, body, w.Code, w.Body)
			return
		}
		if got := values(b.take()); got != strings.Join(want, "\n") {
			t.Errorf("%s %s:\n got %s\nwant %s", path, body, got, strings.Join(want, "\n"))
		}
	}
	at := `"timestamp":"2026-03-01T12:00:00.000Z",` + received

	// One event: what is missing is put behind, nothing else changes.
	f("/v1/track", `{"event":"A","userId":"u","properties":{"n":1.0e+2, "m" : 9007199254740993}}`,
		`{"event":"A","userId":"u","properties":{"n":1.0e+2, "m" : 9007199254740993},"type":"track","messageId":"m1",`+at+`}`)
	f("/v1/t", `{}`, `{"type":"track","messageId":"m1",`+at+`}`)
	f("/v1/i", `{ }`, `{ "type":"identify","messageId":"m1",`+at+`}`)
	f("/v1/p", `{"messageId":"x"}`, `{"messageId":"x","type":"page",`+at+`}`)
	f("/v1/s", `{"messageId":"x","type":"screen"}`, `{"messageId":"x","type":"screen",`+at+`}`)
	f("/v1/g", `{"messageId":"x","type":null}`, `{"messageId":"x","type":"group",`+at+`}`)
	f("/v1/alias", `{"messageId":""}`, `{"messageId":"m1","type":"alias",`+at+`}`)
	f("/v1/track", " \n{\"messageId\":\"x\",\"type\":\"track\",\"timestamp\":\"t\"}\r\n", `{"messageId":"x","type":"track","timestamp":"t",`+received+`}`)
	f("/v1/track", `{"receivedAt":"forged","messageId":"x","type":"track","timestamp":"t"}`, `{`+received+`,"messageId":"x","type":"track","timestamp":"t"}`)
	f("/v1/track", `{"\u0074ype":"track","message\u0049d":"x","timestamp":"t"}`, `{"\u0074ype":"track","message\u0049d":"x","timestamp":"t",`+received+`}`)
	f("/v1/track", `{"TYPE":"x","messageid":"y","timestamp":"t"}`, `{"TYPE":"x","messageid":"y","timestamp":"t","type":"track","messageId":"m1",`+received+`}`)

	// Batches.
	f("/v1/batch", `{"batch":[]}`)
	f("/v1/batch", `{"batch":[{"type":"track","messageId":"1","timestamp":"t"},{"type":"page","messageId":"2","timestamp":"t"}]}`,
		`{"type":"track","messageId":"1","timestamp":"t",`+received+`}`, `{"type":"page","messageId":"2","timestamp":"t",`+received+`}`)
	f("/v1/b", `{"writeKey":"k","batch":[ {"messageId":"1","timestamp":"t"} ],"sentAt":"2026-03-01T11:59:00Z","integrations":{"All":false},"context":{"ip":"1.2.3.4","os":{"name":"x"}}}`,
		`{"messageId":"1","timestamp":"t","sentAt":"2026-03-01T11:59:00Z",`+received+`,"context":{"ip":"1.2.3.4","os":{"name":"x"}},"integrations":{"All":false}}`)
	f("/v1/import", `{"context":{"ip":"1","a\"b":2},"batch":[{"context":{"ip":"own"},"messageId":"1","timestamp":"t"},{"context":{},"messageId":"2","timestamp":"t"},{"context":null,"messageId":"3","timestamp":"t"},{"context":5,"messageId":"4","timestamp":"t"}]}`,
		`{"context":{"ip":"own","a\"b":2},"messageId":"1","timestamp":"t",`+received+`}`,
		`{"context":{"ip":"1","a\"b":2},"messageId":"2","timestamp":"t",`+received+`}`,
		`{"context":{"ip":"1","a\"b":2},"messageId":"3","timestamp":"t",`+received+`}`,
		`{"context":5,"messageId":"4","timestamp":"t",`+received+`}`)
	f("/beacon/v1/batch?writeKey=k", `{"batch":[{"messageId":"1","timestamp":"t"}]}`, `{"messageId":"1","timestamp":"t",`+received+`}`)

	// Bad events in a good body go on as they are; the decoder dead-letters them.
	f("/v1/batch", `{"batch":[1,"x",null,[{}],{"messageId":"1","timestamp":"t"}]}`, `1`, `"x"`, `null`, `[{}]`, `{"messageId":"1","timestamp":"t",`+received+`}`)
	f("/v1/batch", `{"type":"track","messageId":"1","timestamp":"t"}`, `{"type":"track","messageId":"1","timestamp":"t",`+received+`}`)

	// The time by our clock: receivedAt - (sentAt - originalTimestamp).
	f("/v1/track", `{"messageId":"1","type":"track","originalTimestamp":"2020-01-01T00:00:00Z","sentAt":"2020-01-01T00:00:10.5Z"}`,
		`{"messageId":"1","type":"track","originalTimestamp":"2020-01-01T00:00:00Z","sentAt":"2020-01-01T00:00:10.5Z","timestamp":"2026-03-01T11:59:49.500Z",`+received+`}`)
	f("/v1/batch", `{"batch":[{"messageId":"1","originalTimestamp":"2020-01-01T00:00:00+01:00"}],"sentAt":"2019-12-31T23:00:01Z"}`,
		`{"messageId":"1","originalTimestamp":"2020-01-01T00:00:00+01:00","sentAt":"2019-12-31T23:00:01Z","timestamp":"2026-03-01T11:59:59.000Z",`+received+`}`)
	f("/v1/track", `{"messageId":"1","type":"track","originalTimestamp":"2020-01-01T00:00:00Z"}`,
		`{"messageId":"1","type":"track","originalTimestamp":"2020-01-01T00:00:00Z","timestamp":"2020-01-01T00:00:00Z",`+received+`}`)
	f("/v1/track", `{"messageId":"1","type":"track","originalTimestamp":"yesterday","sentAt":"2020-01-01T00:00:10.5Z"}`,
		`{"messageId":"1","type":"track","originalTimestamp":"yesterday","sentAt":"2020-01-01T00:00:10.5Z",`+received+`}`)
	f("/v1/track", `{"timestamp":null,"messageId":"1","type":"track"}`, `{"timestamp":"2026-03-01T12:00:00.000Z","messageId":"1","type":"track",`+received+`}`)
}

// Events of a batch that do not say when they happened happened in their order, the last of them now.
func TestUntimedEventsOfABatch(t *testing.T) {
	b := newFake()
	now := testNow
	a := newTestAPI(b, func(s *Settings) { s.Now = func() time.Time { return now } })
	connection := withLast(t.Context(), nil)
	f := func(ctx context.Context, path, body string, want ...string) {
		t.Helper()
		r := httptest.NewRequestWithContext(ctx, "POST", path, strings.NewReader(body))
		if path == "/v1/cloudevents" {
			r.Header.Set("Content-Type", batchedType)
		}
		a.ServeHTTP(httptest.NewRecorder(), r)
		var got []string
		for _, m := range b.take() {
			var e struct{ Timestamp, ReceivedAt string }
			if err := json.Unmarshal(m.Value, &e); err == nil {
				got = append(got, strings.TrimSuffix(strings.TrimPrefix(e.Timestamp, "2026-03-01T"), "Z"))
				if e.ReceivedAt != now.Format("2006-01-02T15:04:05.000Z") {
					t.Errorf("%s: received at %s", body, e.ReceivedAt)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	free := t.Context()
	f(free, "/v1/batch", `{"batch":[{"type":"identify","traits":{"plan":"pro"}},{"type":"identify","traits":{"plan":"free"}}]}`, "11:59:59.999", "12:00:00.000")
	f(free, "/v1/batch", `{"batch":[{}]}`, "12:00:00.000")
	f(free, "/v1/batch", `{"batch":[{},7,{"timestamp":"t"},{"timestamp":""},{"originalTimestamp":"2026-03-01T10:00:00Z"},{"timestamp":null}]}`, "11:59:59.995", "t", "11:59:59.998", "10:00:00", "12:00:00.000")
	f(free, "/v1/cloudevents", `[{"id":"1"},{"id":"2"},{"id":"3","time":"t"}]`, "11:59:59.998", "11:59:59.999", "t")
	f(free, "/v1/track", `{}`, "12:00:00.000")

	// One batch after another on one connection: the second does not begin before the first has ended.
	four, many := `{"batch":[{},{},{},{}]}`, []string{"11:59:59.997", "11:59:59.998", "11:59:59.999", "12:00:00.000"}
	f(connection, "/v1/batch", four, many...)
	f(connection, "/v1/batch", four, "12:00:00.000", "12:00:00.000", "12:00:00.000", "12:00:00.000") // in the same millisecond
	now = now.Add(3 * time.Millisecond)
	f(connection, "/v1/batch", four, "12:00:00.001", "12:00:00.002", "12:00:00.003", "12:00:00.003")
	now = now.Add(time.Hour)
	f(connection, "/v1/batch", four, "13:00:00.000", "13:00:00.001", "13:00:00.002", "13:00:00.003")
	now = now.Add(-2 * time.Hour) // the clock of the machine is set back
	f(connection, "/v1/batch", four, "11:00:00.003", "11:00:00.003", "11:00:00.003", "11:00:00.003")
	now = testNow

	// The longest batch that there may be.
	long := `{"batch":[{}` + strings.Repeat(",{}", 9_999) + `]}`
	post(a, "/v1/batch", strings.NewReader(long))
	all := b.take()
	if len(all) != 10_000 || !strings.Contains(string(all[0].Value), "11:59:50.001Z") || !strings.Contains(string(all[9_999].Value), `"timestamp":"2026-03-01T12:00:00.000Z"`) {
		t.Errorf("%d messages", len(all))
	}
}

// The key keeps the events of one person in one partition.
func TestKeyIsWhoTheEventIsAbout(t *testing.T) {
	b := newFake()
	a := newTestAPI(b, nil)
	f := func(event, want string) {
		t.Helper()
		post(a, "/v1/track", strings.NewReader(event))
		if m := b.take(); len(m) != 1 || string(m[0].Key) != want || (want == "") != (m[0].Key == nil) {
			t.Errorf("%s: %q, want %q", event, m, want)
		}
	}
	f(`{"userId":"u1","anonymousId":"a1"}`, "u1")
	f(`{"anonymousId":"a\u0031","userId":null}`, "a1")
	f(`{"userId":"","anonymousId":"a1"}`, "a1")
	f(`{"userId":42}`, "42")
	f(`{"userId":{"x":1}}`, "")
	f(`{"event":"x"}`, "")
	a = newTestAPI(b, func(s *Settings) { s.Key = func(dst, m []byte) []byte { return append(dst, m[:3]...) } })
	f(`{"userId":"u1"}`, `{"u`)
}

// Never routed on Content-Type; gzip by header line or by first bytes.
func TestContentTypesAndGzip(t *testing.T) {
	const body = `{"messageId":"x","type":"track","timestamp":"t"}`
	const want = `{"messageId":"x","type":"track","timestamp":"t",` + received + `}`
	for i, c := range []struct {
		body    io.Reader
		headers []string
	}{
		{strings.NewReader(body), nil},
		{strings.NewReader(body), []string{"Content-Type: text/plain"}},
		{strings.NewReader(body), []string{"Content-Type: application/x-www-form-urlencoded"}},
		{strings.NewReader(body), []string{"Content-Type: ;;;"}},
		{strings.NewReader(body), []string{"Content-Encoding: gzip"}}, // says so, is not: the bytes decide
		{zipped(body), []string{"Content-Encoding: gzip", "Content-Type: application/x-www-form-urlencoded"}},
		{zipped(body), []string{"Content-Encoding: GZIP"}},
		{zipped(body), nil},
	} {
		b := newFake()
		w := post(newTestAPI(b, nil), "/v1/track", c.body, c.headers...)
		if got := values(b.take()); w.Code != 200 || got != want {
			t.Errorf("case %d: %d %s\n got %s", i, w.Code, w.Body, got)
		}
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	b := newFake()
	a := newTestAPI(b, func(s *Settings) { s.Limits.BodyBytes, s.Limits.EventBytes, s.Limits.BatchEvents = 100_000, 20_000, 50 })
	f := func(what, path string, body io.Reader, status int, code string, headers ...string) {
		t.Helper()
		w := post(a, path, body, headers...)
		var e struct {
			Error struct{ Code, Message, Hint string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != status || e.Error.Code != code || e.Error.Message == "" {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: a browser cannot read the answer", what)
		}
		if n := len(b.take()); n != 0 {
			t.Errorf("%s: %d messages all the same", what, n)
		}
		if n := a.inFlight.Load(); n != 0 {
			t.Errorf("%s: %d bytes in flight afterwards", what, n)
		}
	}
	f("nothing", "/v1/track", strings.NewReader(""), 400, "bad_json")
	f("half", "/v1/track", strings.NewReader(`{"a":`), 400, "bad_json")
	for _, path := range []string{"/v1/track", "/v1/i", "/v1/batch", "/beacon/v1/batch", "/v1/import"} {
		for _, body := range []string{`[]`, `null`, `5`, `"x"`, `[{"type":"track","event":"A","userId":"u"}]`} {
			f(body+" is no event", path, strings.NewReader(body), 400, "no_event")
		}
	}
	f("a batch by another name", "/v1/batch", strings.NewReader(`{"events":[{"type":"track"}]}`), 400, "no_event")
	f("a batch that is no list", "/v1/batch", strings.NewReader(`{"batch":5}`), 400, "no_event")
	f("null is no cloud event", "/v1/cloudevents", strings.NewReader(`null`), 400, "no_event")
	f("a form", "/v1/batch", strings.NewReader(`a=1&b=2`), 400, "bad_json")
	f("two", "/v1/batch", strings.NewReader(`{} {}`), 400, "bad_json")
	f("a bad event spoils the JSON", "/v1/batch", strings.NewReader(`{"batch":[{"a":1},{"b":NaN}]}`), 400, "bad_json")
	f("10 MB", "/v1/batch", strings.NewReader(`{"a":"`+strings.Repeat("x", 10<<20)+`"}`), 400, "too_large")
	f("10 MB of unknown length", "/v1/batch", io.MultiReader(strings.NewReader(`"`+strings.Repeat("x", 10<<20))), 400, "too_large")
	f("a large event alone", "/v1/track", strings.NewReader(`{"a":"`+strings.Repeat("x", 30_000)+`"}`), 400, "too_large")
	f("a gzip bomb", "/v1/batch", zipped(strings.Repeat("\x00", 64<<20)), 400, "too_large", "Content-Encoding: gzip")
	f("half a gzip", "/v1/batch", io.LimitReader(zipped(`{"batch":[]}`), 20), 400, "bad_encoding", "Content-Encoding: gzip")
	f("no gzip", "/v1/batch", strings.NewReader("\x1f\x8bgarbage"), 400, "bad_encoding", "Content-Encoding: gzip")
	f("brotli", "/v1/batch", strings.NewReader("x"), 415, "bad_encoding", "Content-Encoding: br")
	f("many events", "/v1/batch", strings.NewReader(`{"batch":[1`+strings.Repeat(",1", 50)+`]}`), 400, "too_many")
	f("a context that would be copied into every event", "/v1/batch",
		strings.NewReader(`{"context":{"a":"`+strings.Repeat("x", 15_000)+`"},"batch":[{}`+strings.Repeat(",{}", 40)+`]}`), 400, "too_large")
}

// Deep nesting is valid JSON: it is the decoder that refuses it.
func TestDeepEvent(t *testing.T) {
	b := newFake()
	body := `{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`
	if w := post(newTestAPI(b, nil), "/v1/track", strings.NewReader(body)); w.Code != 200 || len(b.take()) != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestLargeEventInABatchIsDeadLettered(t *testing.T) {
	b := newFake()
	counted := map[Count]int64{}
	a := newTestAPI(b, func(s *Settings) {
		s.Limits.EventBytes = 2000
		s.Count = func(c Count, n int64) { counted[c] += n }
	})
	big := `{"messageId":"2","a":"` + strings.Repeat("x", 3000) + `"}`
	w := post(a, "/v1/batch", strings.NewReader(`{"batch":[{"messageId":"1"},`+big+`,{"messageId":"3"}]}`))
	m := b.take()
	if w.Code != 200 || len(m) != 3 || m[0].Reason != "" || m[1].Reason != event.TooLarge || string(m[1].Value) != big[:deadBytes] || m[2].Reason != "" {
		t.Errorf("%d %s: %q", w.Code, w.Body, m)
	}
	if counted[EventsTooLong] != 1 || counted[EventsIn] != 3 {
		t.Errorf("%v", counted)
	}
}

func TestWriteKeys(t *testing.T) {
	b := newFake()
	a := newTestAPI(b, func(s *Settings) { s.WriteKeys = []string{"k1", "k2"} })
	f := func(path, body, auth string, status int) {
		t.Helper()
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		if auth != "" {
			r.SetBasicAuth(auth, "")
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != status || (status == 200) != (len(b.take()) > 0) {
			t.Errorf("%s %s %q: %d %s", path, body, auth, w.Code, w.Body)
		}
	}
	f("/v1/track", `{}`, "k1", 200)
	f("/v1/track", `{}`, "k2", 200)
	f("/v1/track", `{}`, "k3", 401)
	f("/v1/track", `{}`, "", 401)
	f("/v1/track", `{"writeKey":"k2"}`, "", 200)
	f("/v1/track", `{"writeKey":"k3"}`, "", 401)
	f("/v1/track", `{"writeKey":["k2"]}`, "", 401)
	f("/v1/batch", `{"writeKey":"k2","batch":[{}]}`, "", 200)
	f("/v1/batch", `{"batch":[{"writeKey":"k2"}]}`, "", 401)
	f("/beacon/v1/batch?writeKey=k1", `{"batch":[{}]}`, "", 200)
	f("/beacon/v1/batch?writeKey=no", `{"batch":[{}]}`, "", 401)
	f("/v1/track", `{"writeKey":"k2"}`, "k3", 401)
	f("/v1/track", `bad`, "", 401)
	bearer := func(token, body string, status int) {
		t.Helper()
		if w := do(a, "POST", "/v1/track", strings.NewReader(body), "Authorization: Bearer "+token); w.Code != status {
			t.Errorf("bearer %q, %s: %d %s", token, body, w.Code, w.Body)
		}
	}
	bearer("k1", `{}`, 200)
	bearer("k3", `{}`, 401)
	bearer("of a proxy", `{"writeKey":"k2"}`, 200) // whose it is nobody knows
}

func TestBackPressure(t *testing.T) {
	b := newFake()
	a := newTestAPI(b, func(s *Settings) { s.Limits.InFlightBytes = 1000; s.Limits.ProduceWait = 10 * time.Millisecond })
	f := func(what string, body string, after, code string) {
		t.Helper()
		w := post(a, "/v1/track", strings.NewReader(body))
		if w.Code != 429 || w.Header().Get("Retry-After") != after || !strings.Contains(w.Body.String(), `"code":"`+code+`"`) {
			t.Errorf("%s: %d %v %s", what, w.Code, w.Header(), w.Body)
		}
	}
	b.fault = fmt.Errorf("producer: %w", ErrBusy)
	f("busy", `{}`, "1", "busy")
	b.fault = errors.New("no broker")
	f("Kafka is away", `{}`, "5", "unavailable")
	b.fault = nil
	f("too much at once", `{"a":"`+strings.Repeat("x", 2000)+`"}`, "1", "busy")
	b.hold = make(chan struct{})
	f("no answer", `{}`, "5", "unavailable")
	close(b.hold)
	if w := post(a, "/v1/track", strings.NewReader(`{}`)); w.Code != 200 {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}

// I3: no answer before Kafka has the events.
func TestAnswerComesAfterKafka(t *testing.T) {
	b := newFake()
	b.hold = make(chan struct{})
	s := httptest.NewServer(newTestAPI(b, nil))
	defer s.Close()
	done := make(chan int, 1)
	go func() {
		r, err := http.Post(s.URL+"/v1/track", "", strings.NewReader(`{}`))
		if err != nil {
			t.Error(err)
			done <- 0
			return
		}
		r.Body.Close()
		done <- r.StatusCode
	}()
	select {
	case <-done:
		t.Fatal("answered too early")
	case b.hold <- struct{}{}: // Produce has begun
	}
	if status := <-done; status != 200 {
		t.Error(status)
	}
}

func TestCORS(t *testing.T) {
	a := newTestAPI(newFake(), nil)
	for _, path := range []string{"/v1/t", "/v1/batch", "/beacon/v1/batch", "/v1/projects/k/settings", "/sourceConfig/", "/v1/cloudevents"} {
		w := do(a, "OPTIONS", path, nil, "Origin: https://shop.example", "Access-Control-Request-Method: POST")
		h := w.Header()
		if w.Code != 204 || h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "authorization, content-type") ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "x-retry-count") {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
	}
	for _, path := range []string{"/v1/audiences", "/v1/status", "/v1/profiles/user_id:1", "/v1/cookbook"} { // I7
		if w := do(a, "GET", path, nil, "Origin: https://evil.example"); w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s can be read from other origins", path)
		}
		if w := do(a, "OPTIONS", path, nil, "Origin: https://evil.example"); w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s can be read from other origins", path)
		}
	}
}

func TestSettingsOfSDKs(t *testing.T) {
	a := newTestAPI(newFake(), nil)
	var s struct {
		Integrations map[string]struct{ APIKey, APIHost, Protocol string }
	}
	w := do(a, "GET", "http://host:7070/v1/projects/abc/settings", nil)
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if got := s.Integrations["Segment.io"]; got.APIKey != "abc" || got.APIHost != "host:7070/v1" || got.Protocol != "http" {
		t.Errorf("%+v", got)
	}
	var c struct {
		Source struct {
			WriteKey     string
			Enabled      bool
			Destinations []any
		}
	}
	w = do(a, "GET", "/sourceConfig/?p=npm&writeKey=abc", nil)
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || c.Source.WriteKey != "abc" || !c.Source.Enabled || c.Source.Destinations == nil {
		t.Errorf("%v %s", err, w.Body)
	}
}

func TestCloudEvents(t *testing.T) {
	f := func(what, path, body string, headers []string, want ...string) {
		t.Helper()
		b := newFake()
		w := post(newTestAPI(b, nil), path, strings.NewReader(body), headers...)
		if got := values(b.take()); w.Code != 200 || got != strings.Join(want, "\n") {
			t.Errorf("%s: %d %s\n got %s\nwant %s", what, w.Code, w.Body, got, strings.Join(want, "\n"))
		}
	}
	binary := []string{"Ce-Specversion: 1.0", "Ce-Type: Order Completed", "Ce-Id: 7", "Ce-Source: /shop", "Ce-Subject: u%201", "Ce-Time: 2026-01-01T00:00:00Z", "Content-Type: application/json"}
	const head = `{"type":"track","event":"Order Completed","messageId":"7","userId":"u 1","timestamp":"2026-01-01T00:00:00Z"`
	const context = `,"context":{"cloudevent":{"source":"/shop","specversion":"1.0"}},` + received + `}`
	f("binary", "/v1/cloudevents", ` {"total": 10.50} `, binary, head+`,"properties":{"total": 10.50}`+context)
	f("binary on another route", "/v1/track", `{"total":1}`, binary, head+`,"properties":{"total":1}`+context)
	f("binary without data", "/v1/cloudevents", ``, binary, head+context)
	f("binary, data is no object", "/v1/cloudevents", `[1]`, binary, head+`,"properties":{"data":[1]}`+context)
	f("binary text", "/v1/cloudevents", "a\nb", append(binary[:6:6], "Content-Type: text/plain"), head+`,"properties":{"data":"a\nb"}`+context)
	f("binary bytes", "/v1/cloudevents", "\x01\x02", append(binary[:6:6], "Content-Type: application/octet-stream"), head+`,"properties":{"data":"AQI="}`+context)
	one := `{"specversion":"1.0","type":"Order Completed","source":"/shop","id":"7","subject":"u 1","time":"2026-01-01T00:00:00Z","data":{"total":1e2}}`
	const other = `,"context":{"cloudevent":{"specversion":"1.0","source":"/shop"}},` + received + `}`
	f("structured", "/v1/batch", one, []string{"Content-Type: application/cloudevents+json; charset=utf-8"}, head+`,"properties":{"total":1e2}`+other)
	f("batched", "/v1/cloudevents", `[`+one+`, 5,`+one+`]`, []string{"Content-Type: application/cloudevents-batch+json"},
		head+`,"properties":{"total":1e2}`+other, `5`, head+`,"properties":{"total":1e2}`+other)
	f("structured, nothing in it", "/v1/cloudevents", `{"data":null}`, nil, `{"type":"track","messageId":"m1","timestamp":"2026-03-01T12:00:00.000Z",`+received+`}`)
	b := newFake()
	if w := post(newTestAPI(b, nil), "/v1/cloudevents", strings.NewReader(`{"a":`), binary...); w.Code != 400 {
		t.Errorf("bad data: %d %s", w.Code, w.Body)
	}
}

// FuzzIntake: whatever is sent to whatever route, an accepted body gives messages that are JSON, and the events of a
// batch keep their number and order (I2).
func FuzzIntake(f *testing.F) {
	f.Add(`{"batch":[{"type":"track","messageId":"1","context":{"a":1}},5],"context":{"b":2,"a":3},"sentAt":"2026-01-01T00:00:00Z"}`)
	f.Add(`{"type":"track","receivedAt":"x","timestamp":null,"messageId":null,"originalTimestamp":"2026-01-01T00:00:00Z"}`)
	f.Add(`{"batch":[{},{ },{"context":{}},{"context":{"x":{}}}],"context":{"y":[]},"integrations":{}}`)
	f.Fuzz(func(t *testing.T, body string) {
		b := newFake()
		a := newTestAPI(b, func(s *Settings) { s.Limits.EventBytes = 10_000 })
		for _, headers := range [][]string{nil, {"Content-Type: application/cloudevents+json"}, {"Ce-Specversion: 1.0", "Ce-Id: 1"}} {
			w := post(a, "/v1/batch", strings.NewReader(body), headers...)
			messages := b.take()
			var envelope map[string]json.RawMessage
			var events []json.RawMessage
			object := json.Unmarshal([]byte(body), &envelope) == nil && envelope != nil
			batch := object && json.Unmarshal(envelope["batch"], &events) == nil && events != nil && strings.Count(body, "batch") == 1
			if w.Code != 200 {
				if w.Code != 400 || len(messages) > 0 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				if _, typed := envelope["type"]; headers == nil && (batch || object && typed && !strings.Contains(body, `\`)) && !strings.Contains(w.Body.String(), "too_") {
					t.Fatalf("a batch or an event was refused: %s", w.Body)
				}
				continue
			}
			for _, m := range messages {
				if m.Reason == "" && !json.Valid(m.Value) {
					t.Fatalf("%q became %q", body, m.Value)
				}
			}
			if headers == nil && batch && len(events) != len(messages) {
				t.Fatalf("%d events became %d messages", len(events), len(messages))
			}
		}
	})
}

func BenchmarkIntake(b *testing.B) {
	event := `{"type":"track","event":"Order Completed","messageId":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab","timestamp":"2026-03-01T11:00:00.000Z","userId":"user-1234","anonymousId":"00000000-1111-2222-3333-444444444444","context":{"ip":"203.0.113.9","library":{"name":"analytics-node","version":"2.1.0"},"page":{"url":"https://shop.example/cart","title":"Cart"}},"properties":{"order_id":"o-99","total":129.5,"currency":"EUR","products":[{"product_id":"p1","price":29.5,"quantity":1},{"product_id":"p2","price":50,"quantity":2}]}}`
	for _, n := range []int{1, 100} {
		body := `{"batch":[` + event + strings.Repeat(","+event, n-1) + `],"sentAt":"2026-03-01T11:00:01.000Z","writeKey":"k"}`
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			a := newTestAPI(newFake(), nil)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				s := a.newSplitter(httptest.NewRequest("POST", "/v1/batch", nil), []byte(body), "")
				if _, err := s.split(true); err != nil || len(s.messages) != n {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		})
	}
}
