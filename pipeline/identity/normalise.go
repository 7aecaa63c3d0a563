package identity

import (
	"bytes"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Normalise appends the canonical form of value to dst. ok is false when value is no identifier of this kind,
// or a blocked one; then dst comes back as it was. It is what event.Namespace.Normalise wants.
type Normalise = func(dst, value []byte) (out []byte, ok bool)

// ErrNormaliser and ErrRegion are what Normaliser wraps for names that it does not know.
var (
	ErrNormaliser = errors.New("no such normaliser")
	ErrRegion     = errors.New("no such region")
)

// NormaliserNames are the names that Normaliser knows, sorted.
func NormaliserNames() []string { return []string{"email", "exact", "lower", "phone", "trim"} }

// Option adjusts a normaliser.
type Option func(*options)

type options struct {
	region  string
	blocked []*Pattern
	hashed  bool
}

// Region is the ISO 3166 code of the country in which a phone number without country code is dialled.
// Without it such numbers are no identifiers.
func Region(code string) Option { return func(o *options) { o.region = code } }

// Block adds to the built-in list of blocked values. The patterns are compared both with what arrived (trimmed) and
// with its canonical form.
func Block(patterns ...*Pattern) Option {
	return func(o *options) { o.blocked = append(o.blocked, patterns...) }
}

// SHA256 keeps the SHA-256 of the canonical form, in lower-case hexadecimal, in place of the form itself. A value that is 64
// hexadecimal digits counts as hashed already: sources that send the value and sources that send its hash meet.
func SHA256() Option { return func(o *options) { o.hashed = true } }

// Normaliser returns the named normaliser:
//
//	exact  as it is
//	trim   without white space at the ends
//	lower  trim, and lower case
//	email  lower, and it must look like local@domain.tld: one @, a local part, a domain with a dot
//	phone  E.164: +, country code, number
//
// All refuse Blocked values, before and after.
func Normaliser(name string, opts ...Option) (Normalise, error) {
	form, blocked, err := newForm(name, opts)
	if err != nil {
		return nil, err
	}
	return guard(form, blocked), nil
}

// Refusal returns what says in words why the Normaliser of the same name and options takes no such value, and nothing of a value that
// it takes.
func Refusal(name string, opts ...Option) (func(value []byte) string, error) {
	normalise, err := Normaliser(name, opts...)
	if err != nil {
		return nil, err
	}
	form, blocked, err := newForm(name, append(opts[:len(opts):len(opts)], func(o *options) { o.hashed = false }))
	if err != nil {
		return nil, err
	}
	return func(value []byte) string {
		if _, ok := normalise(nil, value); ok {
			return ""
		}
		pattern, isBlocked := blocked.rule(value)
		if out, ok := form(nil, value); ok && !isBlocked {
			pattern, isBlocked = blocked.rule(out)
		}
		switch {
		case pattern != "":
			return fmt.Sprintf("the recipe blocks it, by %q", pattern)
		case isBlocked:
			return "it is always blocked: clients send it for want of an identifier"
		case isSHA256(trimSpace(value)):
			return "it is the hash of a blocked value"
		}
		return "it is no value of the form " + name
	}, nil
}

// newForm makes the form that a normaliser brings values to, and what it blocks.
func newForm(name string, opts []Option) (form Normalise, blocked *blocklist, err error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	switch name {
	case "exact":
		form = func(dst, value []byte) ([]byte, bool) { return append(dst, value...), true }
	case "trim":
		form = func(dst, value []byte) ([]byte, bool) { return append(dst, trimSpace(value)...), true }
	case "lower":
		form = func(dst, value []byte) ([]byte, bool) { return appendLower(dst, trimSpace(value)), true }
	case "email":
		form = appendEmail
	case "phone":
		region, err := findRegion(o.region)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot make normaliser %q: %w", name, err)
		}
		form = func(dst, value []byte) ([]byte, bool) { return appendPhone(dst, value, region) }
	default:
		return nil, nil, fmt.Errorf("cannot make normaliser %q: %w", name, ErrNormaliser)
	}
	blocked = &blocklist{}
	for _, p := range o.blocked {
		blocked.add(p)
	}
	if o.hashed {
		form = hashing(form, blocked, o.blocked)
	}
	return form, blocked, nil
}

// guard refuses blocked values around form.
func guard(form Normalise, blocked *blocklist) Normalise {
	return func(dst, value []byte) ([]byte, bool) {
		if blocked.holds(value) {
			return dst, false
		}
		out, ok := form(dst, value)
		// What was not blocked is not blocked unchanged: spare the usual value the second look.
		if !ok || !bytes.Equal(out[len(dst):], value) && blocked.holds(out[len(dst):]) {
			return dst, false
		}
		return out, true
	}
}

// equalFold compares without regard to ASCII case.
func equalFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lowerASCII(a[i]) != lowerASCII(b[i]) {
			return false
		}
	}
	return true
}

// appendLower appends value in lower case. Bytes that are not UTF-8 stay as they are.
func appendLower(dst, value []byte) []byte {
	for i := 0; i < len(value); {
		c := value[i]
		if c < utf8.RuneSelf {
			dst = append(dst, lowerASCII(c))
			i++
			continue
		}
		r, n := utf8.DecodeRune(value[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, c)
		} else {
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
		i += n
	}
	return dst
}

// appendEmail is strict about shape only: whether the address exists is for a mail server to say. Dots and
// +tags in the local part are kept, since what they mean is the provider's business.
func appendEmail(dst, value []byte) ([]byte, bool) {
	value = trimSpace(value)
	at := bytes.IndexByte(value, '@')
	if at <= 0 || bytes.IndexByte(value[at+1:], '@') >= 0 {
		return dst, false
	}
	for _, c := range value {
		if c <= ' ' || c == 0x7f || c == ',' || c == ';' || c == '<' || c == '>' {
			return dst, false
		}
	}
	if !hasDomain(value[at+1:]) {
		return dst, false
	}
	return appendLower(dst, value), true
}

// hasDomain wants two or more labels, none empty.
func hasDomain(domain []byte) bool {
	labels, size := 1, 0
	for _, c := range domain {
		if c != '.' {
			size++
			continue
		}
		if size == 0 {
			return false
		}
		labels, size = labels+1, 0
	}
	return labels > 1 && size > 0
}
