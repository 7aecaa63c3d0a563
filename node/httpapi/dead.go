package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/say"
	"dashi/pipeline/spell"
	"dashi/pipeline/webhook"
)

// DeadQuery chooses dead letters.
type DeadQuery struct {
	Since   time.Time // when they were written
	Reason  string    // empty: any
	Webhook string    // those that this one did not take; empty: any, and events
	Limit   int       // letters, in the answer or to be sent again
	Scan    int       // records that are looked at, the newest
}

// DeadLetters is what GET /v1/dead answers. It has every letter that was written since Since, and that Kafka still has.
type DeadLetters struct {
	Topic    string         `json:"topic"`
	Letters  []DeadLetter   `json:"letters"`  // the newest first
	Reasons  map[string]int `json:"reasons"`  // of all that match
	Again    int            `json:"again"`    // of those, that were sent again
	Complete bool           `json:"complete"` // Since is what was asked for, and Letters has all that match
	Since    time.Time      `json:"since"`
	Scanned  int            `json:"scanned"` // records that were looked at
}

// DeadLetter is an event that could not be understood, or an activation that a webhook did not take.
type DeadLetter struct {
	Partition int32           `json:"partition"` // where the letter lies
	Offset    int64           `json:"offset"`
	Found     time.Time       `json:"found"`
	Reason    string          `json:"reason"`
	Detail    string          `json:"detail"`
	Webhook   string          `json:"webhook,omitempty"`
	From      *Place          `json:"from,omitempty"` // nil: it did not come from a topic
	Key       string          `json:"key,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"` // as it came, if that is JSON
	Base64    []byte          `json:"base64,omitempty"`
	Size      int             `json:"size"` // of the value as it came: more than is here, when that is its beginning
	SentAgain *time.Time      `json:"sent_again,omitempty"`
}

// Place is where a record lies in Kafka.
type Place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// Resent is what POST /v1/dead:resend answers.
type Resent struct {
	Matched int            `json:"matched"`
	Before  int            `json:"before"`          // were sent again before, and are not once more
	Cannot  map[string]int `json:"cannot"`          // cannot be sent again: why, and how many
	Sent    int            `json:"sent"`            // in a dry run: would be
	Refused int            `json:"refused"`         // were not taken this time either
	Left    int            `json:"left"`            // have not been tried: ask again
	Trouble string         `json:"error,omitempty"` // why it stopped
}

// ErrResending says that letters are being sent again already.
var ErrResending = errors.New("letters are being sent again already")

// Bounds of sending again.
const (
	defaultResend = 10_000
	resendTime    = time.Minute // of one request: below the server's own limit
)

// dead answers GET /v1/dead?since=&reason=&webhook=&limit=&scan=.
func (a *API) dead(w http.ResponseWriter, r *http.Request) {
	q, ok := a.deadQuery(w, r.URL.Query(), defaultEvents, maxEvents)
	if !ok || !a.scan(w) {
		return
	}
	defer a.scanned()
	ctx, cancel := context.WithTimeout(r.Context(), eventsTime)
	defer cancel()
	found, err := a.backend.DeadLetters(ctx, q)
	if a.scanFailed(w, err) {
		return
	}
	if len(found.Reasons) == 0 && (a.failWebhook(w, q.Webhook) || failReason(w, q.Reason)) { // letters of a webhook that has been taken out of the settings are shown
		return
	}
	answer(w, r, found)
}

// resend answers POST /v1/dead:resend?since=&reason=&webhook=&limit=&scan=&dry_run=.
func (a *API) resend(w http.ResponseWriter, r *http.Request) {
	p := r.URL.Query()
	q, ok := a.deadQuery(w, p, defaultResend, defaultResend)
	if !ok {
		return
	}
	dry := p.Get("dry_run")
	if dry != "" && dry != "true" && dry != "false" {
		fail(w, http.StatusBadRequest, "bad_dry_run", "dry_run is "+say.Quote(dry), "true or false")
		return
	}
	if a.failWebhook(w, q.Webhook) || !a.scan(w) {
		return
	}
	defer a.scanned()
	ctx, cancel := context.WithTimeout(r.Context(), resendTime)
	defer cancel()
	sent, err := a.backend.Resend(ctx, q, dry == "true")
	if errors.Is(err, ErrResending) {
		fail(w, http.StatusConflict, "resending", err.Error(), "wait until that has ended")
		return
	}
	if a.scanFailed(w, err) || sent.Matched == 0 && failReason(w, q.Reason) {
		return
	}
	answer(w, r, sent)
}

// DeadReasons is every reason that this version gives a letter.
func DeadReasons() []string {
	var all []string
	for _, reason := range event.Reasons() {
		all = append(all, string(reason))
	}
	return append(all, webhook.ReasonRefused, webhook.ReasonGaveUp)
}

// failReason says whether no letter can have a reason that was asked for, and then answers which there are. Ask it where none was found: another version may know more.
func failReason(w http.ResponseWriter, reason string) bool {
	all := DeadReasons()
	if reason == "" || slices.Contains(all, reason) {
		return false
	}
	hint := "there are: " + strings.Join(all, ", ")
	if near := spell.Closest(reason, all); near != "" {
		hint = "is it " + near + "? There are: " + strings.Join(all, ", ")
	}
	fail(w, http.StatusNotFound, "unknown_reason", "no letter has the reason "+say.Quote(reason), hint)
	return true
}

// failWebhook says whether this node has no webhook of a name that was asked for, and then answers which it has.
func (a *API) failWebhook(w http.ResponseWriter, name string) bool {
	names := a.backend.Webhooks()
	if name == "" || slices.Contains(names, name) {
		return false
	}
	hint := "this node has no webhooks"
	if len(names) > 0 {
		hint = "those here: " + strings.Join(names, ", ")
	}
	if near := spell.Closest(name, names); near != "" {
		hint = "is it " + near + "? Those here: " + strings.Join(names, ", ")
	}
	fail(w, http.StatusNotFound, "unknown_webhook", "there is no webhook "+say.Quote(name)+" on this node", hint)
	return true
}

func (a *API) deadQuery(w http.ResponseWriter, p url.Values, limit, most int) (q DeadQuery, ok bool) {
	q.Reason, q.Webhook = p.Get("reason"), p.Get("webhook")
	if q.Limit, ok = numberOf(w, p, "limit", limit, most); !ok {
		return q, false
	}
	if q.Scan, ok = numberOf(w, p, "scan", defaultScan, maxScan); !ok {
		return q, false
	}
	q.Since, ok = a.since(w, p)
	return q, ok
}
