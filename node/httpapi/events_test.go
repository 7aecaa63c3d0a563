package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestEventsOfAProfile(t *testing.T) {
	f := readsFake()
	api := newTestAPI(f, nil)
	get := func(path string, want int) {
		t.Helper()
		if w := do(api, "GET", path, nil); w.Code != want {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
	get("/v1/profiles/user_id:nobody/events", http.StatusNotFound)
	var asked EventsQuery
	f.events = func(q EventsQuery) (*Events, error) {
		asked = q
		return &Events{Profile: "user_id:u1", Events: []Event{}}, nil
	}
	get("/v1/profiles/user_id:u1/events", http.StatusOK)
	if asked.Limit != defaultEvents || asked.Scan != defaultScan || string(asked.Namespace) != "user_id" || string(asked.Value) != "u1" {
		t.Errorf("%+v", asked)
	}
	get("/v1/profiles/user_id:u1/events?limit=7&scan=9&since=2026-03-01T10:00:00Z", http.StatusOK)
	if asked.Limit != 7 || asked.Scan != 9 || !asked.Since.Equal(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", asked)
	}
	for text, ago := range map[string]time.Duration{"90m": 90 * time.Minute, "30d": 720 * time.Hour, "1w12h": 180 * time.Hour, "1.5h": 90 * time.Minute, "1m0s": time.Minute, "": 24 * time.Hour} {
		if get("/v1/profiles/user_id:u1/events?since="+text, http.StatusOK); !asked.Since.Equal(testNow.Add(-ago)) {
			t.Errorf("since %q is %v", text, asked.Since)
		}
	}
	for _, bad := range []string{"limit=0", "limit=x", "limit=1001", "scan=2000001", "since=then", "since=-5m", "since=-1d", "since=3", "since=1y"} {
		get("/v1/profiles/user_id:u1/events?"+bad, http.StatusBadRequest)
	}
	f.events = func(EventsQuery) (*Events, error) { return nil, fmt.Errorf("%w: it is blocked", ErrNobody) }
	get("/v1/profiles/user_id:null/events", http.StatusNotFound)
	f.events = func(EventsQuery) (*Events, error) { return nil, ErrAccount }
	get("/v1/profiles/account:a/events", http.StatusBadRequest)
	f.events = func(EventsQuery) (*Events, error) { return nil, context.DeadlineExceeded }
	get("/v1/profiles/user_id:u1/events", http.StatusGatewayTimeout)
	f.events = func(EventsQuery) (*Events, error) { return nil, ErrUnavailable }
	get("/v1/profiles/user_id:u1/events", http.StatusServiceUnavailable)
	// No more than so many look back at once.
	depth := 0
	f.events = func(q EventsQuery) (*Events, error) {
		if depth++; depth < eventsScans {
			get("/v1/profiles/user_id:u1/events", http.StatusOK)
		} else {
			get("/v1/profiles/user_id:u1/events", http.StatusTooManyRequests)
		}
		return &Events{}, nil
	}
	get("/v1/profiles/user_id:u1/events", http.StatusOK)
}
