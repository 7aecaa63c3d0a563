package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"dashi/node/httpapi"
)

// The last events of a person are those of all identifiers that are one profile, as they were sent, and nobody else's.
func TestEventsOfAPerson(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	send := func(values ...string) {
		t.Helper()
		var messages []httpapi.Message
		for _, v := range values {
			messages = append(messages, httpapi.Message{Key: fmt.Appendf(nil, "k%d", len(v)), Value: []byte(v)})
		}
		if err := (httpBackend{n}).Produce(testContext(t), messages); err != nil {
			t.Fatal(err)
		}
		waitIdle(t, n)
	}
	visit := func(id, who string) string {
		return fmt.Sprintf(`{"type":"track","event":"Visit","messageId":%q,%s,"timestamp":"2026-03-01T10:00:00Z","properties":{"note":"as it was sent"}}`, id, who)
	}
	begun := time.Now().Add(-time.Minute)
	send(visit("m1", `"anonymousId":"a1"`), visit("m2", `"userId":"u2"`), `{"type":`)
	events := func(id string, change func(*httpapi.EventsQuery)) *httpapi.Events {
		t.Helper()
		namespace, value, _ := strings.Cut(id, ":")
		q := httpapi.EventsQuery{Namespace: []byte(namespace), Value: []byte(value), Since: begun, Limit: 50, Scan: 1000}
		if change != nil {
			change(&q)
		}
		e, err := (httpBackend{n}).Events(testContext(t), q)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	ids := func(e *httpapi.Events) (ids string) {
		for _, ev := range e.Events {
			_, rest, _ := strings.Cut(string(ev.Event), `"messageId":"`)
			id, _, _ := strings.Cut(rest, `"`)
			ids = id + " " + ids
		}
		return strings.TrimSpace(ids)
	}
	if e := events("anonymous_id:a1", nil); ids(e) != "m1" || !e.Complete || e.Profile != "anonymous_id:a1" || e.Scanned != 3 {
		t.Errorf("%+v", e)
	}
	if e := events("user_id:u1", nil); e != nil {
		t.Errorf("nobody has %+v", e)
	}
	// They turn out to be one: each finds the events of both.
	send(visit("m3", `"userId":"u1","anonymousId":"a1"`))
	send(visit("m4", `"userId":"u2","anonymousId":"a1"`)) // on the same device; it is the other's event
	send(visit("m5", `"userId":"u1"`))
	for _, id := range []string{"anonymous_id:a1", "user_id:u1"} {
		e := events(id, nil)
		if e == nil {
			t.Fatalf("there is no %s", id)
		}
		if want := "m1 m3 m5"; e.Profile != "user_id:u1" || ids(e) != want || !e.Complete || !strings.Contains(string(e.Events[0].Event), `"note":"as it was sent"`) ||
			e.Events[0].Name != "Visit" || e.Events[0].Identifier != "user_id:u1" || e.Events[0].Time.Hour() != 10 {
			t.Errorf("%s: %s, want %s: %+v", id, ids(e), want, e)
		}
	}
	if e := events("user_id:u2", nil); ids(e) != "m2 m4" {
		t.Errorf("%s", ids(e))
	}
	// What is left out is told.
	if e := events("user_id:u1", func(q *httpapi.EventsQuery) { q.Limit = 2 }); ids(e) != "m3 m5" || e.Complete || !e.Since.Equal(e.Events[1].Arrived) {
		t.Errorf("limit: %s, %+v", ids(e), e)
	}
	if e := events("user_id:u1", func(q *httpapi.EventsQuery) { q.Scan = 2 }); e.Complete || e.Scanned > 2 || !e.Since.After(begun) {
		t.Errorf("scan: %+v", e)
	}
	if e := events("user_id:u1", func(q *httpapi.EventsQuery) { q.Since = time.Now().Add(time.Minute) }); len(e.Events) != 0 || !e.Complete || e.Scanned != 0 {
		t.Errorf("since: %+v", e)
	}
	// Who was erased and comes again does not get the old ones back.
	if _, err := (httpBackend{n}).Erase(testContext(t), "user_id:u1"); err != nil {
		t.Fatal(err)
	}
	waitIdle(t, n)
	send(fmt.Sprintf(`{"type":"track","event":"Visit","messageId":"m6","userId":"u1","timestamp":%q}`, time.Now().Add(time.Second).UTC().Format(time.RFC3339)))
	if e := events("user_id:u1", nil); e == nil || ids(e) != "m6" {
		t.Errorf("after the erasure: %+v", e)
	}
}

// An account has no events of its own.
func TestEventsOfAnAccount(t *testing.T) {
	n := companyNode(t, testSettings(t, t.TempDir()), companyRecipe)
	defer closeNode(t, n)
	companyMessages(t, n)
	waitIdle(t, n)
	_, err := (httpBackend{n}).Events(testContext(t), httpapi.EventsQuery{Namespace: []byte("account"), Value: []byte("c1"), Limit: 1, Scan: 1})
	if !errors.Is(err, httpapi.ErrAccount) {
		t.Errorf("%v", err)
	}
}
