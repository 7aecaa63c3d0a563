package reread

import (
	"context"
	"fmt"
	"testing"
	"time"

	"dashi/node/httpapi"
	"dashi/node/settings"
	"dashi/pipeline/kafka"
	"dashi/pipeline/recipe"
	"dashi/pipeline/webhook"
)

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// openTopics is a broker with a topic of events and one of dead letters.
func openTopics(t *testing.T) (*Topics, *kafka.DeadLetters) {
	t.Helper()
	broker, err := kafka.OpenBroker(kafka.BrokerSettings{Addr: "127.0.0.1:0", Dir: t.TempDir(), Partitions: 1, Topics: []kafka.Topic{{Name: "events"}, {Name: "dead"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	to := broker.Settings()
	producer, err := kafka.NewProducer(kafka.ProducerSettings{Settings: to, Topic: "events"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	dead, err := kafka.NewDeadLetters(to, "dead")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dead.Close)
	return &Topics{Kafka: to, Inputs: []settings.Input{{Topic: "events", Decoder: "segment"}}, Dead: "dead", Producer: producer,
		Webhook: func(string) *webhook.Sink { return nil }}, dead
}

// A dead letter is shown, and sent again once, to the topic that it came from. What did not come from an input of this node is not.
func TestDeadLetters(t *testing.T) {
	topics, dead := openTopics(t)
	var letters []kafka.DeadLetter
	for i, topic := range []string{"events", "events", "elsewhere"} {
		letters = append(letters, kafka.DeadLetter{Reason: "malformed", Stream: kafka.Stream{Name: topic, Topic: [16]byte{1}}, Offset: int64(i), Value: fmt.Appendf(nil, `{"n":%d}`, i)})
	}
	letters = append(letters, kafka.DeadLetter{Reason: "too_large", Value: []byte("x")})
	if err := dead.Write(testContext(t), letters); err != nil {
		t.Fatal(err)
	}
	q := httpapi.DeadQuery{Since: time.Now().Add(-time.Minute), Limit: 10, Scan: 100}
	shown := func(again int, change func(*httpapi.DeadQuery)) *httpapi.DeadLetters {
		t.Helper()
		q := q
		change(&q)
		got, err := topics.DeadLetters(testContext(t), q)
		if err != nil {
			t.Fatal(err)
		}
		if got.Again != again {
			t.Errorf("%d were sent again, want %d", got.Again, again)
		}
		return got
	}
	if got := shown(0, func(*httpapi.DeadQuery) {}); len(got.Letters) != 4 || !got.Complete || got.Reasons["malformed"] != 3 || got.Reasons["too_large"] != 1 {
		t.Errorf("%+v", got)
	}
	if got := shown(0, func(q *httpapi.DeadQuery) { q.Reason, q.Limit = "malformed", 2 }); len(got.Letters) != 2 || got.Complete || string(got.Letters[0].Value) != `{"n":2}` {
		t.Errorf("%+v", got)
	}
	resent := func(dry bool, want string) {
		t.Helper()
		r, err := topics.Resend(testContext(t), q, dry)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("matched %d, before %d, sent %d, cannot %d, left %d%s", r.Matched, r.Before, r.Sent, len(r.Cannot), r.Left, r.Trouble); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	resent(true, "matched 4, before 0, sent 2, cannot 2, left 0")
	q.Limit = 1
	resent(false, "matched 4, before 0, sent 1, cannot 2, left 1")
	q.Limit = 10
	resent(false, "matched 4, before 1, sent 1, cannot 2, left 0")
	resent(false, "matched 4, before 2, sent 0, cannot 2, left 0")
	shown(2, func(*httpapi.DeadQuery) {})
	var came []string
	if err := kafka.History(testContext(t), topics.Kafka, "events", func(_ int32, r *kafka.Record) error { came = append(came, string(r.Value)); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(came) != `[{"n":0} {"n":1}]` {
		t.Errorf("came %v", came)
	}
}

// An event is of the person who has its strongest identifier, since it was first seen.
func TestEvents(t *testing.T) {
	topics, _ := openTopics(t)
	program, found := recipe.Compile([]recipe.Source{{Name: "visits.yml", Text: []byte("recipe: visits\nattributes:\n  visits: {kind: count, on: Visit}\n")}})
	if program == nil {
		t.Fatal(found)
	}
	var messages []kafka.Message
	for _, ids := range []string{`"userId":"u1"`, `"userId":"u2"`, `"userId":"u1","anonymousId":"a2"`, `"anonymousId":"a2"`, `"userId":`} {
		messages = append(messages, kafka.Message{Value: fmt.Appendf(nil, `{"type":"track","event":"Visit","timestamp":"2026-03-01T10:00:00Z",%s}`, ids)})
	}
	if err := topics.Producer.Produce(testContext(t), "", messages); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC).UnixMilli()
	f := func(limit int, firstSeen int64, offsets string, complete bool) {
		t.Helper()
		q := httpapi.EventsQuery{Since: time.Now().Add(-time.Minute), Limit: limit, Scan: 100}
		e, err := topics.Events(testContext(t), q, &Person{Profile: "user_id:u1", Identifiers: []string{"user_id:u1"}, FirstSeen: map[string]int64{"user_id:u1": firstSeen}}, program)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, ev := range e.Events {
			got += fmt.Sprint(ev.Offset, " ")
		}
		if got != offsets || e.Scanned != len(messages) || e.Complete != complete || e.Profile != "user_id:u1" {
			t.Errorf("offsets %q, want %q: %+v", got, offsets, e)
		}
	}
	f(10, at, "2 0 ", true)
	f(1, at, "2 ", false)
	f(10, at+1, "", true) // they are of somebody who was erased
}
