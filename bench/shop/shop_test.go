package shop

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"testing"
	"time"
)

// Every message is valid JSON of the Segment spec with somebody in it, and everything that the demo promises happens.
func TestTraffic(t *testing.T) {
	s := New(1, 500)
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	seen := map[string]int{}
	late := 0
	for range 50_000 {
		now = now.Add(5 * time.Millisecond)
		m := s.Next(now)
		var e struct {
			Type, Event, MessageID, UserID, AnonymousID, GroupID string
			Timestamp                                            time.Time
		}
		if err := json.Unmarshal(m.Value, &e); err != nil {
			t.Fatalf("%v in %s", err, m.Value)
		}
		if e.UserID == "" && e.AnonymousID == "" || len(m.Key) == 0 || e.MessageID == "" {
			t.Fatalf("nobody in %s", m.Value)
		}
		if e.Timestamp.After(now) {
			t.Fatalf("from the future: %s", m.Value)
		}
		if now.Sub(e.Timestamp) > time.Hour {
			late++
		}
		if seen[e.Type+" "+e.Event]++; e.Type == "group" && e.GroupID == "" {
			t.Fatalf("no company in %s", m.Value)
		}
	}
	for _, want := range []string{"page ", "identify ", "track Application Opened", "track Product Viewed", "track Products Searched",
		"track Product Added", "track Cart Viewed", "track Checkout Started", "track Order Completed", "track Order Refunded",
		"track Store Purchase", "track Segment Consent Preference Updated",
		"track Store Entered", "track Call Ended", "track Trial Started", "track Subscription Started", "track Ticket Closed", "group "} {
		if seen[want] == 0 {
			t.Errorf("no %q in %v", want, seen)
		}
	}
	if late == 0 {
		t.Error("no purchase arrived late")
	}
}

func TestSameSeedSameTraffic(t *testing.T) {
	a, b := New(7, 100), New(7, 100)
	now := time.Unix(1_700_000_000, 0)
	for range 1000 {
		now = now.Add(time.Second)
		if x, y := a.Next(now), b.Next(now); string(x.Value) != string(y.Value) || string(x.Key) != string(y.Key) {
			t.Fatalf("%s\n%s", x.Value, y.Value)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	s := New(1, 100_000)
	now := time.Unix(1_700_000_000, 0)
	b.ReportAllocs()
	bytes := 0
	for b.Loop() {
		bytes += len(s.Next(now).Value)
	}
	b.ReportMetric(float64(bytes)/float64(b.N), "bytes/event")
}

// README asks for a company by its name: it is there soon after the demo has begun.
func TestCompanyOfReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`bin/dashi get account:(\S+)`).FindSubmatch(readme)
	if named == nil {
		t.Fatal("README asks for no company")
	}
	s, now := New(1, 20_000), time.UnixMilli(1_767_258_000_000)
	for range 6_000 { // half a minute of make run
		now = now.Add(5 * time.Millisecond)
		if bytes.Contains(s.Next(now).Value, append([]byte(`"groupId":"`), append(named[1], '"')...)) {
			return
		}
	}
	t.Errorf("the demo has no company %s", named[1])
}
