package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestDeadLetters(t *testing.T) {
	f := readsFake()
	f.webhooks = []string{"ads", "crm"}
	api := newTestAPI(f, nil)
	call := func(method, path string, want int) string {
		t.Helper()
		w := do(api, method, path, nil)
		if w.Code != want {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, want)
		}
		return w.Body.String()
	}
	var asked DeadQuery
	dry, failure := false, error(nil)
	reasons := map[string]int{}
	f.dead = func(q DeadQuery) (*DeadLetters, error) {
		asked = q
		return &DeadLetters{Topic: "dashi.dead", Reasons: reasons}, failure
	}
	f.resent = func(q DeadQuery, d bool) (*Resent, error) {
		asked, dry = q, d
		return &Resent{Matched: 3, Sent: 2}, failure
	}
	if text := call("GET", "/v1/dead", http.StatusOK); asked.Limit != defaultEvents || asked.Scan != defaultScan || asked.Reason+asked.Webhook != "" || !strings.Contains(text, `"topic":"dashi.dead"`) {
		t.Errorf("%+v: %s", asked, text)
	}
	call("GET", "/v1/dead?limit=7&scan=9&since=2026-03-01T10:00:00Z&reason=malformed&webhook=crm", http.StatusOK)
	if want := (DeadQuery{time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), "malformed", "crm", 7, 9}); asked != want {
		t.Errorf("%+v, want %+v", asked, want)
	}
	if text := call("POST", "/v1/dead:resend?dry_run=true", http.StatusOK); !dry || asked.Limit != defaultResend || !strings.Contains(text, `"sent":2`) {
		t.Errorf("%+v: %s", asked, text)
	}
	if call("POST", "/v1/dead:resend?webhook=crm", http.StatusOK); dry || asked.Webhook != "crm" {
		t.Errorf("%+v", asked)
	}
	// Who mistypes the name of a webhook is not told that there is nothing. Letters of one that has been taken out of the settings are shown.
	unknown := func(method, path, hint string) {
		t.Helper()
		asked = DeadQuery{}
		if text := call(method, path, http.StatusNotFound); !strings.Contains(text, `"code":"unknown_webhook","message":"there is no webhook \"cmr\" on this node`) || !strings.Contains(text, `"hint":"`+hint+`"`) {
			t.Errorf("%s %s: %s", method, path, text)
		}
	}
	unknown("POST", "/v1/dead:resend?webhook=cmr", "is it crm? Those here: ads, crm")
	if asked != (DeadQuery{}) {
		t.Errorf("letters of an unknown webhook were sent again: %+v", asked)
	}
	unknown("GET", "/v1/dead?webhook=cmr", "is it crm? Those here: ads, crm")
	reasons["webhook_refused"] = 2
	call("GET", "/v1/dead?webhook=cmr", http.StatusOK)
	clear(reasons)
	f.webhooks = []string{"ads"}
	unknown("POST", "/v1/dead:resend?webhook=cmr", "those here: ads")
	f.webhooks = nil
	unknown("GET", "/v1/dead?webhook=cmr", "this node has no webhooks")
	// Nor is who mistypes a reason. Letters with one that only another version gives are shown, and sent again.
	matched := 0
	f.resent = func(DeadQuery, bool) (*Resent, error) { return &Resent{Matched: matched}, failure }
	for _, door := range [][2]string{{"GET", "/v1/dead"}, {"POST", "/v1/dead:resend"}} {
		text := call(door[0], door[1]+"?reason=malfromed", http.StatusNotFound)
		if !strings.Contains(text, `"code":"unknown_reason","message":"no letter has the reason \"malfromed\""`) || !strings.Contains(text, `"hint":"is it malformed? There are: malformed, too_large,`) {
			t.Errorf("%s %s: %s", door[0], door[1], text)
		}
		if text := call(door[0], door[1]+"?reason=zzz", http.StatusNotFound); !strings.Contains(text, `"hint":"there are: malformed, `) || !strings.Contains(text, `bad_row, webhook_refused, webhook_gave_up"`) {
			t.Errorf("%s %s: %s", door[0], door[1], text)
		}
		for _, reason := range DeadReasons() {
			call(door[0], door[1]+"?reason="+reason, http.StatusOK)
		}
	}
	reasons["of_tomorrow"], matched = 1, 1
	call("GET", "/v1/dead?reason=of_tomorrow", http.StatusOK)
	call("POST", "/v1/dead:resend?reason=of_tomorrow", http.StatusOK)
	for _, bad := range []string{"limit=0", "limit=10001", "scan=x", "since=then", "since=-1w"} {
		call("GET", "/v1/dead?"+bad, http.StatusBadRequest)
		call("POST", "/v1/dead:resend?"+bad, http.StatusBadRequest)
	}
	call("POST", "/v1/dead:resend?dry_run=perhaps", http.StatusBadRequest)
	call("GET", "/v1/dead:resend", http.StatusMethodNotAllowed) // to look at it must send nothing
	for err, status := range map[error]int{ErrUnavailable: http.StatusServiceUnavailable, context.DeadlineExceeded: http.StatusGatewayTimeout, ErrResending: http.StatusConflict} {
		failure = err
		call("POST", "/v1/dead:resend", status)
	}
}
