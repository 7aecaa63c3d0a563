package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Settings are those of one endpoint. What is zero has its default.
type Settings struct {
	Name string // of the consumer group and in metrics
	URL  string
	// Secrets sign every request, each of them: the first is the present one, the others are there while an endpoint is changing to a new one.
	Secrets []Secret
	// Audiences and Activations choose: the transitions of these audiences, and the activations of these names. Both empty: everything.
	Audiences, Activations []string
	Header                 map[string]string // added to every request
	Batch                  int               // activations in one request
	Timeout                time.Duration     // of one request
	RetryFirst, RetryMost  time.Duration     // the pauses before the second and the later tries
	GiveUp                 time.Duration     // after so long of trying an activation goes to the dead topic; 0: never
}

// Defaults of Settings.
const (
	DefaultBatch      = 100
	DefaultTimeout    = 15 * time.Second // the specification's advice is 15 to 30
	DefaultRetryFirst = 500 * time.Millisecond
	DefaultRetryMost  = time.Minute // an endpoint that is back gets the first activation at most so much later
)

// MaxBatch bounds Settings.Batch, MaxName a name: it is part of the name of a group.
const (
	MaxBatch = 10_000
	MaxName  = 64
)

// Secret is a key of HMAC-SHA256.
type Secret []byte

// Bounds of a secret, in bytes: those of the specification.
const (
	minSecret = 24
	maxSecret = 64
)

// ParseSecrets reads secrets between white space, each base64 behind whsec_.
func ParseSecrets(text string) (all []Secret, err error) {
	for _, word := range strings.Fields(text) {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(word, "whsec_"))
		if err != nil {
			return nil, errors.New("it is not base64: make one with: echo whsec_$(openssl rand -base64 32)") // not the text: it is a secret
		}
		if len(key) < minSecret || len(key) > maxSecret {
			return nil, fmt.Errorf("it has %d bytes, not %d to %d: make one with: echo whsec_$(openssl rand -base64 32)", len(key), minSecret, maxSecret)
		}
		all = append(all, key)
	}
	if len(all) == 0 {
		return nil, errors.New("it is empty: make one with: echo whsec_$(openssl rand -base64 32)")
	}
	return all, nil
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// Check says what is wrong, all of it; each error begins with the name of the setting.
func (s *Settings) Check() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !namePattern.MatchString(s.Name) || len(s.Name) > MaxName {
		bad("name: %q is not a name of at most %d letters, digits, - and _", s.Name, MaxName)
	}
	if u, err := url.Parse(s.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		bad("url: %q is not an http or https address", redact(s.URL))
	}
	if s.Batch < 0 || s.Batch > MaxBatch {
		bad("batch: %d is not between 1 and %d", s.Batch, MaxBatch)
	}
	if s.Timeout < 0 || s.RetryFirst < 0 || s.RetryMost < 0 || s.GiveUp < 0 {
		bad("timeout, retry_first, retry_most, give_up: none may be negative")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Header)) {
		if strings.HasPrefix(strings.ToLower(name), "webhook-") || http.CanonicalHeaderKey(name) == "Content-Type" {
			bad("header: %s is set by dashi", name)
		}
	}
	return errs
}

// withDefaults fills in what is zero.
func (s Settings) withDefaults() Settings {
	if s.Batch == 0 {
		s.Batch = DefaultBatch
	}
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	if s.RetryFirst == 0 {
		s.RetryFirst = DefaultRetryFirst
	}
	if s.RetryMost == 0 {
		s.RetryMost = DefaultRetryMost
	}
	return s
}

// redact is an address without what may be a secret in it: user, query, and what cannot be parsed.
func redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "..."
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
