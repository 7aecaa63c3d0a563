package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// outcome is what became of a request.
type outcome int

const (
	taken   outcome = iota
	again           // it may go well later
	refused         // it will never go well
)

// answer is what the endpoint said, or why it said nothing.
type answer struct {
	outcome outcome
	status  int           // 0: there was no answer
	detail  string        // for a person
	after   time.Duration // Retry-After; 0: it does not say
}

// Bounds of what is read of an answer: the first part is kept for a person, the rest is read so that the connection can be used again.
const (
	detailBytes = 256
	drainBytes  = 64 << 10
)

// maxRetryAfter is as long as an endpoint may ask to be left alone at a time.
const maxRetryAfter = time.Hour

// post sends a message once.
func (s *Sink) post(ctx context.Context, m *message) answer {
	ctx, cancel := context.WithTimeout(ctx, s.settings.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.settings.URL, bytes.NewReader(m.body))
	if err != nil {
		return answer{outcome: again, detail: err.Error()}
	}
	for name, value := range s.settings.Header {
		req.Header.Set(name, value)
		if http.CanonicalHeaderKey(name) == "Host" {
			req.Host = value
		}
	}
	now := time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "dashi")
	req.Header.Set(HeaderID, m.id)
	req.Header.Set(HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(HeaderSignature, sign(s.settings.Secrets, m.id, now.Unix(), m.body))
	resp, err := s.client.Do(req)
	s.requests.Add(1)
	s.busy.Add(int64(time.Since(now)))
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %s", s.settings.Timeout)
		}
		return answer{outcome: again, detail: strings.ReplaceAll(err.Error(), s.settings.URL, redact(s.settings.URL))}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, detailBytes))
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, drainBytes))
	a := answer{outcome: judge(resp.StatusCode), status: resp.StatusCode, detail: resp.Status}
	if len(text) > 0 {
		a.detail += ": " + strings.TrimSpace(strings.ToValidUTF8(string(text), "?"))
	}
	if a.outcome == again {
		a.after = retryAfter(resp.Header.Get("Retry-After"), now)
	}
	return a
}

// judge says what a status means. A redirection is not followed: the body is meant for the address that was given.
func judge(status int) outcome {
	switch {
	case status/100 == 2:
		return taken
	case status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return refused
	}
	return again
}

// aboutContent says whether a refusal may be for one activation of a batch rather than for all there will ever be.
func aboutContent(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// retryAfter reads a Retry-After, in seconds or as a date; 0 when there is none.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return min(time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second)))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// pause is how long to wait after the n-th try, from 0: twice as long each time, and by chance anything from half of that, so that those who failed
// together do not come back together.
func (s *Sink) pause(n int, a *answer) time.Duration {
	d := min(s.settings.RetryFirst<<min(n, 20), s.settings.RetryMost)
	if d <= 0 { // it has overflowed
		d = s.settings.RetryMost
	}
	return max(d/2+rand.N(d/2+1), a.after)
}
