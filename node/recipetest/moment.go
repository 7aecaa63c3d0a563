package recipetest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// moment is an instant as a test writes it: a time, or so long after (or before) another.
type moment struct {
	given    bool
	relative bool
	millis   int64 // since 1970, or of the distance
}

// from is the instant, for a clock that stands at now.
func (m moment) from(now int64) int64 {
	switch {
	case !m.given:
		return now
	case m.relative:
		return now + m.millis
	}
	return m.millis
}

var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}

// parseMoment reads "+2d", "-90m", or a time; one without a zone is in UTC.
func parseMoment(text string) (moment, error) {
	if sign, rest := text[:min(1, len(text))], text[min(1, len(text)):]; sign == "+" || sign == "-" {
		d, err := parseSpan(rest)
		if sign == "-" {
			d = -d
		}
		return moment{given: true, relative: true, millis: d}, err
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return moment{given: true, millis: t.UnixMilli()}, nil
		}
	}
	return moment{}, fmt.Errorf("%q is no instant: write 2026-03-01T09:00:00Z, 2026-03-01 09:00, or +2d or -90m from where the clock stands", text)
}

var units = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}

// parseSpan reads "30d", "1h30m", "250ms" as milliseconds.
func parseSpan(text string) (int64, error) {
	rest, total := text, time.Duration(0)
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.Atoi(rest[:digits])
		rest = rest[digits:]
		letters := len(rest) - len(strings.TrimLeft(rest, "mshdw"))
		unit := units[rest[:letters]]
		rest = rest[letters:]
		if err != nil || unit == 0 || n > 1e6 || time.Duration(n) > (math.MaxInt64-total)/unit {
			total = 0
			break
		}
		total += time.Duration(n) * unit
	}
	if total == 0 {
		return 0, fmt.Errorf("%q is no span of time: write 90s, 30m, 1h30m, 30d or 2w", text)
	}
	return total.Milliseconds(), nil
}

// show writes an instant as people read it.
func show(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.999Z07:00")
}
