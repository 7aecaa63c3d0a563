package webhook

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/kafka"
)

// TestAgain: what lies in the dead topic is posted in order; one that the endpoint refuses for what it is stays there, and an endpoint that is not well ends it.
func TestAgain(t *testing.T) {
	e := newEndpoint(t)
	secrets, err := ParseSecrets(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	s := newSink(Settings{Name: "crm", URL: e.URL, Secrets: secrets, Batch: 8}, nil, nil)
	t.Cleanup(s.client.CloseIdleConnections)
	var letters []kafka.Letter
	for _, r := range enters(0, 30) {
		letters = append(letters, kafka.Letter{DeadLetter: kafka.DeadLetter{Offset: r.Offset, Key: r.Key, Value: r.Value, Sink: "crm"}, Found: time.UnixMilli(r.Millis)})
	}
	again := func() (offsets []int64, err error) {
		took, err := s.Again(t.Context(), letters)
		for i := range took {
			offsets = append(offsets, took[i].Offset)
		}
		return offsets, err
	}

	e.answer = func(int, []delivered) (int, map[string]string) { return 404, nil }
	if took, err := again(); len(took) != 0 || err == nil || !strings.Contains(err.Error(), "webhook crm does not take them: 404 Not Found: because") {
		t.Fatal(took, err)
	}
	e.answer = func(_ int, data []delivered) (int, map[string]string) {
		for _, d := range data {
			if d.Sequence == 11 || d.Sequence == 12 {
				return 422, nil
			}
		}
		return 200, nil
	}
	took, err := again()
	var want []int64
	for i := range int64(30) {
		if i != 11 && i != 12 {
			want = append(want, i)
		}
	}
	if err != nil || !slices.Equal(took, want) || e.count() != 28 || !e.ordered() {
		t.Fatal(took, err, e.count())
	}
	if sent := s.sent.Load(); sent != 28 {
		t.Fatal(sent)
	}
	requests := e.requests
	e.answer = func(request int, _ []delivered) (int, map[string]string) {
		if request > requests+2 {
			return 503, nil
		}
		return 200, nil
	}
	if took, err := again(); len(took) != 16 || err == nil || !strings.Contains(err.Error(), "503") {
		t.Fatal(took, err)
	}
}
