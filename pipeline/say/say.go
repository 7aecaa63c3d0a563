// Package say writes numbers of things, lengths of time, JSON and what somebody has sent as messages for people want them.
package say

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// irregular are the plurals that no rule gives.
var irregular = map[string]string{"person": "people", "entry": "entries", "identity": "identities", "query": "queries"}

// Count is a number of things: "1 recipe", "2 recipes".
func Count[N ~int | ~int32 | ~int64 | ~uint16 | ~uint32 | ~uint64](n N, noun string) string {
	if n != 1 {
		noun = plural(noun)
	}
	if n < 0 {
		return strconv.FormatInt(int64(n), 10) + " " + noun
	}
	return strconv.FormatUint(uint64(n), 10) + " " + noun
}

func plural(noun string) string {
	at := strings.LastIndexByte(noun, ' ') + 1
	if p := irregular[noun[at:]]; p != "" {
		return noun[:at] + p
	}
	for _, end := range []string{"s", "x", "ch", "sh"} {
		if strings.HasSuffix(noun, end) {
			return noun + "es"
		}
	}
	return noun + "s"
}

// Span is a length of time as recipes write it, with days, and without the units that are zero: "84d11h24s", "1h30m", "11.519s".
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 0 && d != -d { // the least duration has no opposite
		return "-" + Span(-d)
	}
	text := ""
	if days := d / day; days > 0 {
		text, d = strconv.FormatInt(int64(days), 10)+"d", d%day
	}
	if h := d / time.Hour; h > 0 {
		text, d = text+strconv.FormatInt(int64(h), 10)+"h", d%time.Hour
	}
	if m := d / time.Minute; m > 0 {
		text, d = text+strconv.FormatInt(int64(m), 10)+"m", d%time.Minute
	}
	if d != 0 || text == "" {
		text += d.String()
	}
	return text
}

// quoted is how much of what somebody has sent is shown: an identifier that is meant is shorter, and a message is read by people.
const quoted = 80

// Short is text, or its beginning and "..." where it is long.
func Short(text string) string { return Cut(text, quoted) }

// Cut is text, or so many bytes of it and "..." where it is longer. It cuts between two characters.
func Cut(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	n := bytes
	for n > bytes-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "..."
}

// Quote is Short(text) between quotes.
func Quote(text string) string { return strconv.Quote(Short(text)) }
