package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// calls are the routes for one event, by the type that such an event has.
var calls = [...]struct {
	kind   string
	routes []string
}{
	{"track", []string{"track", "t"}},
	{"identify", []string{"identify", "i"}},
	{"page", []string{"page", "p"}},
	{"screen", []string{"screen", "s"}},
	{"group", []string{"group", "g"}},
	{"alias", []string{"alias", "a"}},
}

// batches are the routes for many events.
var batches = [...]string{"/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"}

const cloudEventsPath = "/v1/cloudevents"

func (a *API) routeIntake(mux *http.ServeMux) {
	route := func(path string, h http.HandlerFunc) {
		mux.HandleFunc("POST "+path, crossOrigin(h))
		mux.HandleFunc("OPTIONS "+path, preflight)
	}
	for _, c := range calls {
		h := a.intake(c.kind, false)
		for _, r := range c.routes {
			route("/v1/"+r, h)
		}
	}
	batch := a.intake("", true)
	for _, path := range batches {
		route(path, batch)
	}
	route(cloudEventsPath, a.intakeCloudEvents)
	mux.HandleFunc("GET /v1/projects/{writeKey}/settings", crossOrigin(a.segmentSettings))
	mux.HandleFunc("OPTIONS /v1/projects/{writeKey}/settings", preflight)
	mux.HandleFunc("GET /sourceConfig/{$}", crossOrigin(a.rudderSettings))
	mux.HandleFunc("OPTIONS /sourceConfig/{$}", preflight)
}

// crossOrigin lets pages of any origin read the answer: the browser SDKs are on other people's sites.
func crossOrigin(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		h(w, r)
	}
}

func preflight(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	// anonymousid: RudderStack's browser SDK sends it with every event.
	h.Set("Access-Control-Allow-Headers", "authorization, content-type, content-encoding, x-retry-count, anonymousid")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// intake accepts one event of a kind, or a batch.
func (a *API) intake(kind string, batch bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if isCloudEvent(r) {
			a.intakeCloudEvents(w, r)
			return
		}
		a.accept(w, r, func(body []byte) (*splitter, []byte, error) {
			s := a.newSplitter(r, body, kind)
			key, err := s.split(batch)
			return s, key, err
		})
	}
}

// drainTimes is how many times Limits.BodyBytes are read and dropped of a body that is too large.
const drainTimes = 8

// accept reads the body, has it split into messages, and answers once Kafka has them.
func (a *API) accept(w http.ResponseWriter, r *http.Request, split func(body []byte) (*splitter, []byte, error)) {
	early := a.checkKey(r)
	if early == keyWrong {
		a.refuseKey(w)
		return
	}
	l := load{api: a}
	defer l.release()
	pooled := bodies.Get().(*[]byte)
	body, err := readBody(r, (*pooled)[:0], a.limits.BodyBytes, &l)
	defer func() {
		if cap(body) <= keepBody {
			*pooled = body
		}
		bodies.Put(pooled)
	}()
	if err != nil {
		if errors.Is(err, errTooLarge) {
			// Many clients only look for an answer once they have sent everything.
			io.CopyN(io.Discard, r.Body, drainTimes*int64(a.limits.BodyBytes))
		}
		a.refuseBody(w, err)
		return
	}
	s, key, err := split(body)
	if early != keyRight && !(*a.writeKeys.Load()).has(string(key)) {
		a.refuseKey(w)
		return
	}
	if err == nil {
		err = l.take(len(s.arena))
	}
	if err != nil {
		a.refuseBody(w, err)
		return
	}
	a.produce(w, r, s.messages)
}

func (a *API) produce(w http.ResponseWriter, r *http.Request, messages []Message) {
	if len(messages) > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), a.limits.ProduceWait)
		defer cancel()
		if err := a.backend.Produce(ctx, messages); err != nil {
			a.pushBack(w, err)
			return
		}
	}
	bytes := 0
	for i := range messages {
		bytes += len(messages[i].Value)
	}
	a.count(EventsIn, int64(len(messages)))
	a.count(EventBytesIn, int64(bytes))
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte("{\"success\":true}\n"))
}

// Seconds for Retry-After: soon when only too much is under way, later when Kafka does not answer.
const (
	retryBusy   = 1
	retryFailed = 5
)

// pushBack tells the client to keep its events. It is 429 whatever failed: Segment's SDK spends its few retries on a 5xx.
func (a *API) pushBack(w http.ResponseWriter, err error) {
	a.count(PushedBack, 1)
	after, code := retryFailed, "unavailable"
	if errors.Is(err, ErrBusy) || errors.Is(err, errInFlight) {
		after, code = retryBusy, "busy"
	}
	w.Header().Set("Retry-After", strconv.Itoa(after))
	fail(w, http.StatusTooManyRequests, code, "the events were not taken: "+err.Error(), "send them again after Retry-After seconds, with the same messageId")
}

func (a *API) refuseBody(w http.ResponseWriter, err error) {
	var hint string
	code := "bad_request"
	switch {
	case errors.Is(err, errInFlight):
		a.pushBack(w, err)
		return
	case errors.Is(err, errJSON):
		code, hint = "bad_json", "the body has to be one JSON object in UTF-8, plain or gzip"
	case errors.Is(err, errNoObject), errors.Is(err, errNoBatch):
		code, hint = "no_event", `one event is an object, as in {"type":"track","event":"Order Completed","userId":"ada"}; several go to /v1/batch as {"batch":[..]}`
	case errors.Is(err, errTooLarge):
		code = "too_large"
		hint = "a body may have " + strconv.Itoa(a.limits.BodyBytes) + " bytes after decompression, an event " + strconv.Itoa(a.limits.EventBytes)
	case errors.Is(err, errTooMany):
		code, hint = "too_many", "a batch may have "+strconv.Itoa(a.limits.BatchEvents)+" events"
	case errors.Is(err, errUnknown):
		a.count(Refused, 1)
		failEncoding(w, err, "gzip, identity", "Content-Encoding may be gzip or absent")
		return
	case errors.Is(err, errEncoding):
		code, hint = "bad_encoding", "the whole body in one gzip stream, or plain without Content-Encoding"
	}
	a.count(Refused, 1)
	fail(w, http.StatusBadRequest, code, "cannot read the body: "+err.Error(), hint)
}

func (a *API) refuseKey(w http.ResponseWriter) {
	a.count(Refused, 1)
	w.Header().Set("WWW-Authenticate", `Basic realm="write key"`)
	fail(w, http.StatusUnauthorized, "unauthorized", "the write key is missing or not known", "send it as the user of Basic auth, or as writeKey in the body")
}

// What checkKey finds before the body is read.
type keyState uint8

const (
	keyUnknown keyState = iota // it may be in the body
	keyRight
	keyWrong
)

func (a *API) checkKey(r *http.Request) keyState {
	keys := *a.writeKeys.Load()
	if len(keys) == 0 {
		return keyRight
	}
	if slices.ContainsFunc(keysOf(r), keys.has) {
		return keyRight
	}
	key, _, _ := r.BasicAuth()
	if key == "" {
		key = r.URL.Query().Get("writeKey")
	}
	switch {
	case key == "":
		return keyUnknown
	case keys.has(key):
		return keyRight
	}
	return keyWrong
}

// segmentSettings is what analytics.js asks for before it sends: where to send to, and that there is nothing else to load.
func (a *API) segmentSettings(w http.ResponseWriter, r *http.Request) {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	answer(w, r, map[string]any{
		"integrations": map[string]any{
			"Segment.io": map[string]any{
				"apiKey": r.PathValue("writeKey"), "apiHost": r.Host + "/v1", "protocol": scheme,
				"unbundledIntegrations": []string{}, "addBundledMetadata": true, "versionSettings": map[string]any{"version": "4.4.7", "componentTypes": []string{"browser"}},
			},
		},
		"plan":                      map[string]any{"track": map[string]any{"__default": map[string]any{"enabled": true, "integrations": map[string]any{}}}},
		"edgeFunction":              map[string]any{},
		"analyticsNextEnabled":      true,
		"middlewareSettings":        map[string]any{},
		"enabledMiddleware":         map[string]any{},
		"metrics":                   map[string]any{"sampleRate": 0},
		"legacyVideoPluginsEnabled": false,
		"remotePlugins":             []any{},
	})
}

// rudderSettings is what RudderStack's SDK asks for: a source that is enabled and has no destinations of its own.
func (a *API) rudderSettings(w http.ResponseWriter, r *http.Request) {
	key, _, _ := r.BasicAuth()
	if key == "" {
		key = r.URL.Query().Get("writeKey")
	}
	off := map[string]any{"enabled": false}
	answer(w, r, map[string]any{
		"source": map[string]any{
			"id": "dashi", "name": "dashi", "writeKey": key, "enabled": true, "workspaceId": "dashi",
			"config":       map[string]any{"statsCollection": map[string]any{"errors": off, "metrics": off}},
			"connections":  []any{},
			"destinations": []any{},
		},
		"updatedAt": "2026-01-01T00:00:00.000Z",
	})
}
