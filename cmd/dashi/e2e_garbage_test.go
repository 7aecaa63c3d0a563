package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/kafka"

	"github.com/vmihailenco/msgpack/v5"
)

// goodEvent is an order of 2.5 that nothing is wrong with.
func goodEvent(user string, i int) string {
	return fmt.Sprintf(`{"type":"track","event":"Order Completed","userId":%q,"messageId":"%s-%d","timestamp":"2026-01-02T03:04:05Z","properties":{"total":2.5}}`, user, user, i)
}

// bad is one record that cannot be an event.
type bad struct {
	name, reason string
	value        []byte // nil: a null record
}

func badEvents(chance *rand.Rand) []bad {
	event := func(members string) []byte {
		return []byte(`{"type":"track","event":"Order Completed",` + members + `}`)
	}
	noise := make([]byte, 300)
	for i := range noise {
		noise[i] = byte(chance.Uint32())
	}
	noise[0] = 0xff
	packed, _ := msgpack.Marshal(map[string]any{"type": "track", "event": "Order Completed", "userId": "packed"})
	future := time.Now().AddDate(10, 0, 0).UTC().Format(time.RFC3339)
	return []bad{
		{"cut off", "malformed", event(`"userId":"x"`)[:40]},
		{"something behind", "malformed", append(event(`"userId":"x"`), "}}"...)},
		{"trailing comma", "malformed", event(`"userId":"x",`)},
		{"NaN", "malformed", event(`"userId":"x","properties":{"total":NaN}`)},
		{"Infinity", "malformed", event(`"userId":"x","properties":{"total":-Infinity}`)},
		{"number too large", "wrong_type", event(`"userId":"x","properties":{"total":1e999}`)},
		{"empty record", "malformed", []byte{}},
		{"null record", "malformed", nil},
		{"spaces", "malformed", []byte(" \n ")},
		{"random bytes", "malformed", noise},
		{"zeros", "malformed", make([]byte, 100)},
		{"msgpack in a JSON topic", "malformed", packed},
		{"JSON null", "wrong_type", []byte("null")},
		{"array", "wrong_type", []byte(`[{"type":"track"}]`)},
		{"text", "wrong_type", []byte(`"track"`)},
		{"invalid UTF-8 in an identifier", "malformed", event("\"userId\":\"a\xff\xfeb\"")},
		{"invalid UTF-8 in a value", "malformed", event("\"userId\":\"x\",\"properties\":{\"query\":\"\xc3(\"},\"event\":\"\xc3(\"")},
		{"total is an object", "wrong_type", event(`"userId":"x","properties":{"total":{}}`)},
		{"total is a word", "wrong_type", event(`"userId":"x","properties":{"total":"much"}`)},
		{"products is a number", "wrong_type", event(`"userId":"x","properties":{"products":7}`)},
		{"properties is text", "wrong_type", event(`"userId":"x","properties":"total"`)},
		{"user is an object", "wrong_type", event(`"userId":{"id":"x"}`)},
		{"time is an object", "bad_time", event(`"userId":"x","timestamp":{}`)},
		{"no identifier", "no_identifier", event(`"properties":{"total":1}`)},
		{"empty identifiers", "no_identifier", event(`"userId":"","anonymousId":""`)},
		{"null identifiers", "no_identifier", event(`"userId":null,"anonymousId":null`)},
		{"blocked identifier", "no_identifier", event(`"userId":"null"`)},
		{"no type", "no_type", []byte(`{"userId":"x"}`)},
		{"track without a name", "no_type", []byte(`{"type":"track","userId":"x"}`)},
		{"depth 10,000", "too_deep", event(`"userId":"x","properties":{"deep":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`)},
		{"depth 10,000 of objects", "too_deep", event(`"userId":"x","properties":` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000))},
		{"two users", "duplicate_key", event(`"userId":"x","userId":"y"`)},
		{"two types", "duplicate_key", event(`"userId":"x","type":"page"`)},
		{"far future", "bad_time", event(`"userId":"x","timestamp":"` + future + `"`)},
		{"before 1970", "bad_time", event(`"userId":"x","timestamp":"1815-12-10T00:00:00Z"`)},
		{"no time at all", "bad_time", event(`"userId":"x","timestamp":"yesterday"`)},
		{"900 KB", "too_large", event(`"userId":"x","properties":{"note":"` + strings.Repeat("n", 900<<10) + `"}`)},
		{"long identifier", "too_large", event(`"userId":"` + strings.Repeat("x", 5000) + `"`)},
		{"5,000 products", "too_many", event(`"userId":"x","properties":{"products":[` + strings.Repeat(`{},`, 4999) + `{}]}`)},
	}
}

// garbage over HTTP: what is not one JSON object is refused at once, what is no event is dead-lettered like anywhere else.
var badBodies = []struct {
	name, path, body string
	status           int
	reason           string // of the dead letter; empty: refused
}{
	{"cut off", "/v1/track", `{"event":"Order`, 400, ""},
	{"empty", "/v1/track", ``, 400, ""},
	{"NaN", "/v1/track", `{"event":"Order Completed","userId":"x","properties":{"total":NaN}}`, 400, ""},
	{"random bytes", "/v1/track", "\x81\xa5event\xa3abc", 400, ""},
	{"10 MB", "/v1/track", `{"event":"Order Completed","userId":"x","note":"` + strings.Repeat("n", 10<<20) + `"}`, 400, ""},
	{"10 MB in a batch", "/v1/batch", `{"batch":[{"type":"track","event":"Order Completed","userId":"x","note":"` + strings.Repeat("n", 10<<20) + `"}]}`, 400, ""},
	{"invalid UTF-8", "/v1/track", "{\"event\":\"Order Completed\",\"userId\":\"\xff\"}", 200, "malformed"},
	{"array", "/v1/track", `[1,2]`, 400, ""},
	{"null", "/v1/batch", `null`, 400, ""},
	{"no identifier", "/v1/track", `{"event":"Order Completed"}`, 200, "no_identifier"},
	{"empty identifier", "/v1/track", `{"event":"Order Completed","userId":""}`, 200, "no_identifier"},
	{"wrong type", "/v1/track", `{"event":"Order Completed","userId":"x","properties":{"total":[]}}`, 200, "wrong_type"},
	{"depth 10,000", "/v1/track", `{"event":"Order Completed","userId":"x","properties":` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_001), 200, "too_deep"},
	{"two users", "/v1/track", `{"event":"Order Completed","userId":"x","userId":"y"}`, 200, "duplicate_key"},
	{"far future", "/v1/track", `{"event":"Order Completed","userId":"x","timestamp":"2999-01-01T00:00:00Z"}`, 200, "bad_time"},
	{"500 KB", "/v1/track", `{"event":"Order Completed","userId":"x","note":"` + strings.Repeat("n", 500<<10) + `"}`, 200, "too_large"},
	{"1 MB in a batch", "/v1/batch", `{"batch":[{"type":"track","event":"Order Completed","userId":"x","note":"` + strings.Repeat("n", 1<<20) + `"}]}`, 200, "too_large"},
	{"no object in a batch", "/v1/batch", `{"batch":[7]}`, 200, "wrong_type"},
}

// What cannot be an event ends in dashi.dead with its reason and its origin, whichever way it came; every event next to it is
// applied exactly once.
func TestGarbage(t *testing.T) {
	n := newNode(t, "--demo", "0")
	n.start()
	chance := rand.New(rand.NewPCG(1, 2))
	want := map[string]uint64{} // letters by reason
	good := 0
	send := func(p *kafka.Producer, value []byte) {
		t.Helper()
		check(t, p.Produce(context.Background(), "dashi.events", []kafka.Message{{Key: fmt.Append(nil, chance.IntN(100)), Value: value}}))
	}
	neighbours := func(p *kafka.Producer) {
		for range 5 {
			send(p, []byte(goodEvent("k"+strconv.Itoa(good%7), good)))
			good++
		}
	}
	p := n.producer()
	bads := badEvents(chance)
	for _, b := range bads {
		neighbours(p)
		send(p, b.value)
		want[b.reason]++
	}
	neighbours(p)
	large := kafka.Message{Value: []byte(`{"note":"` + strings.Repeat("n", 10<<20) + `"}`)}
	if err := p.Produce(context.Background(), "dashi.events", []kafka.Message{large}); !errors.Is(err, kafka.ErrTooLarge) {
		t.Errorf("a record of 10 MB: %v, want %v", err, kafka.ErrTooLarge)
	}

	for i, b := range badBodies {
		if answer := n.ask(b.status, "POST", b.path, b.body); b.status != 200 {
			if e := decode[struct {
				Error struct{ Code, Message string }
			}](t, answer); e.Error.Code == "" || e.Error.Message == "" {
				t.Errorf("%s: the refusal does not say why: %s", b.name, answer)
			}
		} else {
			want[b.reason]++
		}
		n.ask(http.StatusOK, "POST", "/v1/batch", fmt.Sprintf(`{"batch":[%s,%s]}`, goodEvent("h", 2*i), goodEvent("h", 2*i+1)))
	}
	good += 2 * len(badBodies)

	st := n.idle()
	if st.Events.Applied != uint64(good) || st.Events.Repeated != 0 || len(st.Trouble) > 0 {
		t.Errorf("%d events applied, %d repeated, trouble %q; want %d, 0, none", st.Events.Applied, st.Events.Repeated, st.Trouble, good)
	}
	compareReasons(t, n, st, want)
	compareLetters(t, n, st, bads, want)
	compareGood(t, n, good-2*len(badBodies))
}

// compareReasons checks what status counts, as JSON and as text, and the metric.
func compareReasons(t *testing.T, n *node, st *status, want map[string]uint64) {
	t.Helper()
	if !maps.Equal(st.Events.Rejected, want) {
		t.Errorf("status counts %v, want %v", st.Events.Rejected, want)
	}
	text, metrics := n.must("status"), n.ask(200, "GET", "/metrics", "")
	for reason, count := range want {
		if line := fmt.Sprintf("%d %s\n", count, reason); !strings.Contains(text, line) {
			t.Errorf("dashi status does not say %q:\n%s", line, text)
		}
		if line := fmt.Sprintf("dashi_events_rejected_total{reason=%q} %d\n", reason, count); !strings.Contains(metrics, line) {
			t.Errorf("/metrics does not say %q", line)
		}
	}
}

// compareLetters checks that the dead topic has every bad record, whole, with its reason and where it came from.
func compareLetters(t *testing.T, n *node, st *status, bads []bad, want map[string]uint64) {
	t.Helper()
	type place struct {
		partition int32
		offset    int64
	}
	events, left := map[place]record{}, st.read()
	n.records("dashi.events", func(r record) bool {
		events[place{r.partition, r.offset}] = r
		left--
		return left == 0
	})
	got, values := map[string]uint64{}, map[string]string{}
	for _, l := range n.drain("dashi.dead") {
		reason := l.headers[kafka.HeaderReason]
		got[reason]++
		values[l.value] = reason
		if l.headers[kafka.HeaderDetail] == "" || l.headers[kafka.HeaderTime] == "" {
			t.Errorf("letter without detail or time: %v", l.headers)
		}
		if l.headers[kafka.HeaderTopic] == "" {
			continue // refused in a batch over HTTP, it never was in a topic
		}
		partition, _ := strconv.Atoi(l.headers[kafka.HeaderPartition])
		offset, _ := strconv.ParseInt(l.headers[kafka.HeaderOffset], 10, 64)
		from, ok := events[place{int32(partition), offset}]
		whole := from.value == l.value || l.headers[kafka.HeaderCut] == strconv.Itoa(len(from.value)) && strings.HasPrefix(from.value, l.value)
		if !ok || l.headers[kafka.HeaderTopic] != "dashi.events" || !whole || from.key != l.key {
			t.Errorf("letter %.60q does not lead back to its record: %v", l.value, l.headers)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("letters by reason: %v, want %v", got, want)
	}
	for _, b := range bads {
		reason, ok := values[string(b.value)]
		if len(b.value) >= 900<<10 {
			continue // cut: compared with its record above
		}
		if !ok || reason != b.reason {
			t.Errorf("%s: reason %q, want %q", b.name, reason, b.reason)
		}
	}
}

// compareGood checks that the good events were applied once each, and that nobody came of the bad ones.
func compareGood(t *testing.T, n *node, kafkaEvents int) {
	t.Helper()
	want := map[string]int{"h": 2 * len(badBodies)}
	for i := range kafkaEvents {
		want["k"+strconv.Itoa(i%7)]++
	}
	for user, orders := range want {
		p := decode[struct{ Attributes map[string]json.RawMessage }](t, n.must("get", "user_id:"+user, "-o", "json"))
		got := fmt.Sprintf("%s orders, %s spent", p.Attributes["orders"], p.Attributes["lifetime_value"])
		if naive := fmt.Sprintf("%d orders, %v spent", orders, 2.5*float64(orders)); got != naive {
			t.Errorf("user %s: %s, want %s", user, got, naive)
		}
	}
	if n.idle().Profiles != len(want) {
		t.Errorf("%d profiles, want %d", n.idle().Profiles, len(want))
	}
}
