package httpapi

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A query that takes too long ends, and says so while somebody can still be told.
func TestSlowQuery(t *testing.T) {
	a := newTestAPI(newFake(), func(s *Settings) { s.Limits.QueryTime = time.Millisecond })
	if w := post(a, "/v1/query", strings.NewReader(`{"where":"slow"}`)); w.Code != 504 || !strings.Contains(w.Body.String(), "did not end within 1ms") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if d := DefaultLimits.QueryTime; d >= NewServer(a, anywhere).WriteTimeout {
		t.Errorf("after %s the connection is cut", d)
	}
}

// Whoever asks for the header of a stream gets it and no more: its connection is good for the next question.
func TestHeadOfStream(t *testing.T) {
	a := newTestAPI(newFake(), nil)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "HEAD", "/v1/activations/stream", nil))
	if ctx.Err() != nil || w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" || w.Body.Len() > 0 {
		t.Errorf("%v: %d %v %q", ctx.Err(), w.Code, w.Header(), w.Body)
	}
}
