package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"dashi/pipeline/expr"
	"dashi/pipeline/say"
)

// EventsQuery asks for what was last received about a person.
type EventsQuery struct {
	Namespace, Value []byte
	Since            time.Time // when they arrived
	Limit            int       // events in the answer, the newest
	Scan             int       // records that are looked at, the newest
}

// Events is what GET /v1/profiles/{id}/events answers. It has everything that arrived since Since, and that Kafka still has.
type Events struct {
	Profile     string    `json:"profile"`
	Identifiers []string  `json:"identifiers"` // that events are found by
	Events      []Event   `json:"events"`      // the newest first
	Complete    bool      `json:"complete"`    // Since is what was asked for
	Since       time.Time `json:"since"`
	Scanned     int       `json:"scanned"` // records that were looked at
	Topics      []string  `json:"topics"`
}

// Event is one event as it lies in Kafka.
type Event struct {
	Topic      string          `json:"topic"`
	Partition  int32           `json:"partition"`
	Offset     int64           `json:"offset"`
	Arrived    time.Time       `json:"arrived"`
	Time       time.Time       `json:"time"` // when it happened
	Name       string          `json:"name"`
	Identifier string          `json:"identifier"`      // its strongest, by which it belongs to the profile
	Event      json.RawMessage `json:"event,omitempty"` // as it was sent; not there when that is no JSON
	Base64     []byte          `json:"base64,omitempty"`
}

const eventsPath = "/events"

// Bounds of looking back: to look at 100,000 records takes some tenths of a second of one processor.
const (
	defaultEvents = 50
	maxEvents     = 1000
	defaultScan   = 100_000
	maxScan       = 2_000_000
	eventsScans   = 2                // at once
	eventsTime    = 20 * time.Second // of one: the server's own limit of writing is not much more
	defaultSince  = 24 * time.Hour
)

// asksEvents says whether a request is for the events of a profile, and of whom.
func asksEvents(r *http.Request) (id string, ok bool) {
	if !strings.HasSuffix(r.URL.EscapedPath(), eventsPath) {
		return "", false
	}
	return strings.TrimSuffix(r.PathValue("id"), eventsPath), true
}

// ErrAccount is the error of a question that is about people, asked of an account.
var ErrAccount = errors.New("an account has no events of its own: ask about its people")

// events answers GET /v1/profiles/{id}/events?since=&limit=&scan=. Shards keep no events, so it reads the end of the input topics.
func (a *API) events(w http.ResponseWriter, r *http.Request, id string) {
	namespace, value, ok := identifier(w, id)
	if !ok {
		return
	}
	q, p := EventsQuery{Namespace: namespace, Value: value}, r.URL.Query()
	if q.Limit, ok = numberOf(w, p, "limit", defaultEvents, maxEvents); !ok {
		return
	}
	if q.Scan, ok = numberOf(w, p, "scan", defaultScan, maxScan); !ok {
		return
	}
	if q.Since, ok = a.since(w, p); !ok || !a.scan(w) {
		return
	}
	defer a.scanned()
	ctx, cancel := context.WithTimeout(r.Context(), eventsTime)
	defer cancel()
	found, err := a.backend.Events(ctx, q)
	switch {
	case errors.Is(err, ErrNobody):
		failNobody(w, id, q.Namespace, err)
	case errors.Is(err, ErrAccount):
		fail(w, http.StatusBadRequest, "account", err.Error(), "GET /v1/profiles/"+id+"/explain lists them")
	case a.scanFailed(w, err):
	case found == nil:
		failNobody(w, id, q.Namespace, nil)
	default:
		answer(w, r, found)
	}
}

// numberOf reads a number from 1 to most of a query.
func numberOf(w http.ResponseWriter, p url.Values, name string, without, most int) (n int, ok bool) {
	text := p.Get(name)
	if text == "" {
		return without, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		fail(w, http.StatusBadRequest, "bad_"+name, name+" is "+say.Quote(text), "1 to "+strconv.Itoa(most))
		return 0, false
	}
	return n, true
}

// since reads from when on is looked.
func (a *API) since(w http.ResponseWriter, p url.Values) (since time.Time, ok bool) {
	if since, ok = sinceOf(p.Get("since"), a.now()); !ok {
		fail(w, http.StatusBadRequest, "bad_since", "cannot read since "+say.Quote(p.Get("since")), "how long ago, as in 90m, 36h, 30d or 2w, or an instant as in 2026-03-01T10:00:00Z")
	}
	return since, ok
}

// scan takes a place among those that read topics, which scanned gives back.
func (a *API) scan(w http.ResponseWriter) bool {
	select {
	case a.scans <- struct{}{}:
		return true
	default:
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests, "too_many_scans", "others are looking back already", "at most "+strconv.Itoa(eventsScans)+" at once on a node: ask again, or another node")
		return false
	}
}

func (a *API) scanned() { <-a.scans }

// scanFailed answers when reading topics went wrong.
func (a *API) scanFailed(w http.ResponseWriter, err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, context.DeadlineExceeded):
		fail(w, http.StatusGatewayTimeout, "timeout", "the topics were not read in time", "look at less, with ?scan= or ?since=")
	default:
		failRead(w, err)
	}
	return true
}

// sinceOf reads an instant, or how long ago it was; without any, a day.
func sinceOf(text string, now time.Time) (time.Time, bool) {
	if text == "" {
		return now.Add(-defaultSince), true
	}
	if ms, err := expr.ParseDuration(text); err == nil && ms >= 0 {
		return now.Add(-time.Duration(ms) * time.Millisecond), true
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	return at, err == nil
}
