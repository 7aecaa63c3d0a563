package expr

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"dashi/pipeline/zone"
)

// part is one of CEL's accessors of a time. Months and days of the month and year count from 0, as CEL has
// it; getDate counts from 1.
type part struct {
	name string
	of   func(t time.Time) int
}

var timeParts = []part{
	{"getFullYear", func(t time.Time) int { return t.Year() }},
	{"getMonth", func(t time.Time) int { return int(t.Month()) - 1 }},
	{"getDate", func(t time.Time) int { return t.Day() }},
	{"getDayOfMonth", func(t time.Time) int { return t.Day() - 1 }},
	{"getDayOfYear", func(t time.Time) int { return t.YearDay() - 1 }},
	{"getDayOfWeek", func(t time.Time) int { return int(t.Weekday()) }},
	{"getHours", func(t time.Time) int { return t.Hour() }},
	{"getMinutes", func(t time.Time) int { return t.Minute() }},
	{"getSeconds", func(t time.Time) int { return t.Second() }},
	{"getMilliseconds", func(t time.Time) int { return t.Nanosecond() / 1e6 }},
}

// durationUnits are the accessors of a duration: how many whole units it has, in milliseconds a unit.
// getMilliseconds is CEL's odd one out: the milliseconds within the second.
var durationUnits = []struct {
	name string
	unit int64
}{{"getHours", 3600_000}, {"getMinutes", 60_000}, {"getSeconds", 1000}}

func partNamed(name string) (part, bool) {
	for _, p := range timeParts {
		if p.name == name {
			return p, true
		}
	}
	return part{}, false
}

// at gives the part of a time in milliseconds.
func (p part) at(ms int64, in hours) float64 {
	offset, _, _ := in.period(ms)
	return float64(p.of(time.UnixMilli(ms + offset).UTC()))
}

// hours are what clocks show somewhere: at a fixed offset from UTC in milliseconds, or in a zone with a name.
type hours struct {
	offset int64
	zone   *zone.Zone // nil: the offset
}

// period is the offset at an instant, and from when to before when it holds.
func (h hours) period(ms int64) (offset, from, to int64) {
	if h.zone == nil {
		return h.offset, math.MinInt64, math.MaxInt64
	}
	return h.zone.Period(ms)
}

// zones loads each zone once: the interpreter reads the name with every evaluation.
type zones struct {
	mu     sync.Mutex
	loaded map[string]*zone.Zone
}

func (z *zones) hours(name string) (hours, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if known := z.loaded[name]; known != nil {
		return hours{zone: known}, nil
	}
	in, err := parseHours(name)
	if err == nil && in.zone != nil {
		z.loaded[name] = in.zone
	}
	return in, err
}

// clock declares the accessors for cel-go.
func clock() []cel.EnvOption {
	var all []cel.EnvOption
	named := &zones{loaded: map[string]*zone.Zone{}}
	for _, p := range timeParts {
		o := []cel.FunctionOpt{
			cel.MemberOverload("timestamp_"+p.name, args(instant), number, cel.UnaryBinding(func(v ref.Val) ref.Val {
				return types.Double(p.of(v.(types.Timestamp).UTC()))
			})),
			cel.MemberOverload("timestamp_"+p.name+"_zone", args(instant, text), number,
				cel.BinaryBinding(func(v, name ref.Val) ref.Val {
					in, err := named.hours(string(name.(types.String)))
					if err != nil {
						return notThere
					}
					return types.Double(p.at(v.(types.Timestamp).UnixMilli(), in))
				})),
		}
		for _, u := range durationUnits {
			if u.name == p.name {
				o = append(o, cel.MemberOverload("duration_"+p.name, args(span), number, cel.UnaryBinding(func(v ref.Val) ref.Val {
					return types.Double(v.(types.Duration).Milliseconds() / u.unit)
				})))
			}
		}
		all = append(all, cel.Function(p.name, o...))
	}
	return all
}

var errZone = errors.New(`a zone is a name such as "Europe/Berlin", or an offset from UTC such as "+09:00"`)

// parseHours reads "UTC", "Z", "+09:00", "-03:30" or the name of a zone.
func parseHours(s string) (hours, error) {
	if s == "UTC" || s == "Z" {
		return hours{}, nil
	}
	if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		named, err := zone.Load(s)
		if err != nil {
			return hours{}, errZone
		}
		return hours{zone: named}, nil
	}
	h, err := strconv.ParseUint(s[1:3], 10, 8)
	m, err2 := strconv.ParseUint(s[4:], 10, 8)
	if err != nil || err2 != nil || h > 23 || m > 59 {
		return hours{}, errZone
	}
	offset := int64(h*60+m) * 60_000
	if s[0] == '-' {
		offset = -offset
	}
	return hours{offset: offset}, nil
}

// parseTime reads RFC 3339, or a date alone, as milliseconds.
func parseTime(s string) (int64, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		if t, err = time.Parse(time.DateOnly, s); err != nil {
			return 0, errors.New(`a time is written like "2026-01-31T12:00:00Z" or "2026-01-31"`)
		}
	}
	if t.Nanosecond()%1e6 != 0 {
		return 0, errors.New("a time has milliseconds, nothing finer")
	}
	if ms := t.UnixMilli(); ms >= minTime && ms <= maxTime {
		return ms, nil
	}
	return 0, errors.New("a time lies in the years 1 to 9999")
}

var errDuration = errors.New(`a duration is written like "36h", "2d", "1w", "90m" or "1h30m"`)

// units are what a duration may be written in, longest name first where one begins with another.
var units = []struct {
	name string
	ms   float64
}{{"ms", 1}, {"w", 7 * 86400_000}, {"d", 86400_000}, {"h", 3600_000}, {"m", 60_000}, {"s", 1000}}

// ParseDuration reads a length of time as duration("..") does in a condition, in milliseconds: 90m, 30d, 1w, 1h30m.
func ParseDuration(s string) (millis int64, err error) { return parseDuration(s) }

// parseDuration reads numbers with units, such as "1d12h" or "-1.5h", as milliseconds.
func parseDuration(s string) (int64, error) {
	rest, sign := s, int64(1)
	if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		if rest[0] == '-' {
			sign = -1
		}
		rest = rest[1:]
	}
	if rest == "0" {
		return 0, nil
	}
	total := int64(0)
	for more := true; more; more = rest != "" {
		ms, after, err := parseUnit(rest)
		if err != nil {
			return 0, err
		}
		if total += ms; total > maxDuration {
			return 0, fmt.Errorf("a duration is at most 292 years")
		}
		rest = after
	}
	return sign * total, nil
}

func parseUnit(s string) (ms int64, rest string, err error) {
	n := 0
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '.') {
		n++
	}
	v, err := strconv.ParseFloat(s[:n], 64)
	if err != nil {
		return 0, "", errDuration
	}
	for _, u := range units {
		if !strings.HasPrefix(s[n:], u.name) {
			continue
		}
		product := float64(v * u.ms)
		if product > maxDuration {
			return 0, "", fmt.Errorf("a duration is at most 292 years")
		}
		if product != math.Trunc(product) {
			return 0, "", errors.New("a duration has whole milliseconds, nothing finer")
		}
		return int64(product), s[n+len(u.name):], nil
	}
	return 0, "", errDuration
}

// parseNumber reads a decimal number; no hexadecimal, infinity or underscores.
func parseNumber(s string) (float64, error) {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, errors.New("not a number")
		}
	}
	return strconv.ParseFloat(s, 64)
}

func appendNumber(dst []byte, v float64) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

func appendTime(dst []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(dst, "2006-01-02T15:04:05.999Z07:00")
}
