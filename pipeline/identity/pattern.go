package identity

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"dashi/pipeline/say"
)

// Pattern is a set of values that a recipe blocks: one value, a glob or a regular expression. It is immutable.
type Pattern struct {
	text    string // lower case, trimmed; a regular expression as it was written
	glob    bool
	regular *regexp.Regexp
}

// ErrPattern is what ParsePattern wraps.
var ErrPattern = errors.New("bad pattern")

// LongestPattern bounds the text of a pattern in bytes.
const LongestPattern = 512

// ParsePattern reads one of
//
//	kiosk@shop.example   this value
//	*@shop.example       a glob: * stands for any characters, none too
//	/^test-\d+$/         an RE2 regular expression between slashes; it is searched for anywhere unless ^ and $ hold it
//
// None of them minds case (a literal or glob: that of ASCII letters). A pattern that blocks every value is an error.
func ParsePattern(text string) (*Pattern, error) {
	text = string(trimSpace([]byte(text)))
	if len(text) > LongestPattern {
		return nil, fmt.Errorf("%w %q: longer than %d bytes", ErrPattern, say.Short(text), LongestPattern)
	}
	p := &Pattern{text: text}
	if inner, ok := strings.CutPrefix(text, "/"); ok && len(text) >= 2 && strings.HasSuffix(inner, "/") {
		re, err := regexp.Compile("(?i)" + inner[:len(inner)-1])
		if err != nil {
			return nil, fmt.Errorf("%w %q: %s", ErrPattern, say.Short(text), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		p.text, p.regular = text, re
	} else {
		p.text, p.glob = lowerText(text), strings.Contains(text, "*")
	}
	if p.regular != nil && p.regular.MatchString("") || p.glob && strings.Trim(p.text, "*") == "" {
		return nil, fmt.Errorf("%w %q: it blocks every value", ErrPattern, say.Short(text))
	}
	return p, nil
}

func lowerText(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lowerASCII(b[i])
	}
	return string(b)
}

// blocklist is what a namespace blocks besides Blocked. Literals are in a map: lists of them grow long.
type blocklist struct {
	literals map[string]string // each by itself
	longest  int
	patterns []*Pattern // globs and regular expressions
}

func (l *blocklist) addLiteral(lower string) {
	if l.literals == nil {
		l.literals = map[string]string{}
	}
	l.literals[lower] = lower
	l.longest = max(l.longest, len(lower))
}

func (l *blocklist) add(p *Pattern) {
	if p.glob || p.regular != nil {
		l.patterns = append(l.patterns, p)
		return
	}
	l.addLiteral(p.text)
}

// holds says whether value, white space around it aside, is blocked, by the list or for everybody.
func (l *blocklist) holds(value []byte) bool {
	_, blocked := l.rule(value)
	return blocked
}

// rule is what blocks value: a pattern of the list, or nothing when it is blocked for everybody.
func (l *blocklist) rule(value []byte) (pattern string, blocked bool) {
	value = trimSpace(value)
	if len(value) <= l.longest {
		var buf [LongestPattern]byte
		for i, c := range value {
			buf[i] = lowerASCII(c)
		}
		if literal, ok := l.literals[string(buf[:len(value)])]; ok {
			return literal, true
		}
	}
	for _, p := range l.patterns {
		if p.regular != nil && p.regular.Match(value) || p.glob && matchGlob(p.text, value) {
			return p.text, true
		}
	}
	return "", Blocked(value)
}

// matchGlob compares from the left, and returns to the last star when it is stuck: an earlier star need never take
// more, so the time is at most len(glob) * len(value).
func matchGlob(glob string, value []byte) bool {
	g, star, from := 0, -1, 0
	for v := 0; v < len(value); {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, from = g, v
			g++
		case g < len(glob) && glob[g] == lowerASCII(value[v]):
			g, v = g+1, v+1
		case star >= 0:
			from++
			g, v = star+1, from
		default:
			return false
		}
	}
	return len(bytes.Trim([]byte(glob[g:]), "*")) == 0
}
