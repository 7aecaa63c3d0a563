package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// verify checks a signature as the specification tells a receiver to, with an HMAC written out by RFC 2104 in place of the package that signed.
func verify(secret string, h http.Header, body []byte) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	var at int64
	if _, err := fmt.Sscanf(h.Get("webhook-timestamp"), "%d", &at); err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	if d := time.Since(time.Unix(at, 0)); d > 5*time.Minute || d < -5*time.Minute {
		return fmt.Errorf("signed %s ago", d)
	}
	want := rfc2104(key, []byte(h.Get("webhook-id")+"."+h.Get("webhook-timestamp")+"."+string(body)))
	for _, s := range strings.Split(h.Get("webhook-signature"), " ") {
		if version, text, _ := strings.Cut(s, ","); version == "v1" && text == base64.StdEncoding.EncodeToString(want) {
			return nil
		}
	}
	return fmt.Errorf("no signature of %q matches", h.Get("webhook-signature"))
}

func rfc2104(key, text []byte) []byte {
	block := make([]byte, 64)
	copy(block, key)
	pad := func(with byte) []byte {
		out := bytes.Clone(block)
		for i := range out {
			out[i] ^= with
		}
		return out
	}
	inner := sha256.Sum256(append(pad(0x36), text...))
	outer := sha256.Sum256(append(pad(0x5c), inner[:]...))
	return outer[:]
}

// The example of the reference libraries of the specification.
func TestSignIsTheSpecifications(t *testing.T) {
	secrets, err := ParseSecrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := sign(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestParseSecrets(t *testing.T) {
	f := func(text string, want int, problem string) {
		t.Helper()
		all, err := ParseSecrets(text)
		if len(all) != want || problem == "" && err != nil || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
			t.Errorf("%q: %d, %v", text, len(all), err)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	f(testSecret, 1, "")
	f(strings.TrimPrefix(testSecret, "whsec_"), 1, "")
	f(" "+testSecret+"\n"+testSecret+"\n", 2, "")
	f("", 0, "it is empty")
	f("whsec_???", 0, "not base64")
	f("whsec_c2hvcnQ=", 0, "5 bytes")
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	f := func(text string, want time.Duration) {
		t.Helper()
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	f("", 0)
	f("7", 7*time.Second)
	f("-7", 0)
	f("99999999999999999", maxRetryAfter)
	f("Sun, 01 Mar 2026 10:00:30 GMT", 30*time.Second)
	f("Sun, 01 Mar 2026 09:00:30 GMT", 0)
	f("Sun, 01 Mar 2036 09:00:30 GMT", maxRetryAfter)
	f("soon", 0)
}

func TestPauseGrowsAndIsBounded(t *testing.T) {
	s := newSink(Settings{RetryFirst: 100 * time.Millisecond, RetryMost: time.Second}, nil, nil)
	for n, most := range map[int]time.Duration{0: 100, 1: 200, 2: 400, 4: 1000, 63: 1000, 1 << 30: 1000} {
		for range 100 {
			if d := s.pause(n, &answer{}); d < most*time.Millisecond/2 || d > most*time.Millisecond {
				t.Fatalf("after %d tries: %s, want half of %dms to all of it", n, d, most)
			}
		}
	}
	if d := s.pause(0, &answer{after: time.Minute}); d != time.Minute {
		t.Errorf("%s, not what the endpoint asks for", d)
	}
}
