package attribute

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"strconv"

	"dashi/pipeline/zone"
)

// A window bounds what a kind counts to a stretch of time that ends now. Time is cut into buckets, and a bucket counts
// as a whole or not at all:
//
//   - the last N units: an input counts until now is so far behind the beginning of its bucket. So it counts for no
//     longer than N units, and for up to one bucket less; an input right at the beginning of a bucket, and every input
//     when time comes in multiples of the bucket, is exact. With buckets of a day or more, today and the N-1 days before it.
//   - this unit: an input counts while now is in the same day, week (from Monday), month or year.
//
// Buckets shorter than a day are counted from 1970 in UTC. Days, weeks, months and years are those of the zone.
//
// What the state keeps may not depend on the clock, or replicas and fragments would disagree (I2). It keeps the buckets
// that could count at the earliest clock that can have seen the newest of them: newest less a day, since an event lies at most
// a day ahead of the clock (event.Limits.FutureMillis). Each input only raises that horizon, and what is
// below it is below every later one: so dropping commutes with merging. A late input lands in its own bucket; one below the
// horizon changes nothing.
type span struct {
	zone     *zone.Zone
	unit     unit   // of a bucket; seconds for all fixed widths
	width    int64  // of a fixed bucket, in milliseconds
	inverse  uint64 // of width: 2^64 / width, rounded up
	length   int64  // of the window, in buckets; 0 when it is given in months and the buckets are days
	months   int64
	calendar bool // this unit
}

// ahead is how far an event may lie ahead of the clock that sees it.
const ahead = 24 * 60 * 60 * 1000

// MaxBuckets is the most buckets that one window may have, with those of the day ahead: it bounds a state.
const MaxBuckets = 10_000

type unit uint8

const (
	fixed unit = iota // so many milliseconds
	days
	weeks
	months
	years
)

const (
	second = 1000
	minute = 60 * second
	hour   = 60 * minute
	dayMs  = 24 * hour
)

// stretch is a number of units, as "30d".
type stretch struct {
	n    int64
	unit unit
	ms   int64 // of one unit, where it is fixed; a day and a week of UTC too
}

var (
	stretchWords  = regexp.MustCompile(`^([1-9][0-9]{0,6})(s|m|h|d|w|mo)$`)
	calendarWords = map[string]unit{"this day": days, "this week": weeks, "this month": months, "this year": years}
	unitWords     = map[string]stretch{"s": {unit: fixed, ms: second}, "m": {unit: fixed, ms: minute}, "h": {unit: fixed, ms: hour},
		"d": {unit: days, ms: dayMs}, "w": {unit: weeks, ms: 7 * dayMs}, "mo": {unit: months}}
)

func parseStretch(s string) (stretch, bool) {
	parts := stretchWords.FindStringSubmatch(s)
	if parts == nil {
		return stretch{}, false
	}
	out := unitWords[parts[2]]
	out.n, _ = strconv.ParseInt(parts[1], 10, 64)
	return out, true
}

// ParseLength reads a length of time such as 30m or 2d, in milliseconds.
func ParseLength(s string) (int64, error) {
	w, ok := parseStretch(s)
	if ms := w.n * w.ms; ok && ms > 0 {
		return ms, nil
	}
	return 0, fmt.Errorf("a length of time is a number of s, m, h, d or w such as 30m, not %q", s)
}

// newSpan reads a window and the width of its buckets as recipes write them. bucket may be empty.
func newSpan(window, bucket string, z *zone.Zone) (*span, error) {
	if z == nil {
		z = &zone.Zone{}
	}
	if u, ok := calendarWords[window]; ok {
		if bucket != "" {
			return nil, fmt.Errorf("a window of %s has one bucket; remove bucket", window)
		}
		return &span{zone: z, unit: u, length: 1, calendar: true}, nil
	}
	w, ok := parseStretch(window)
	if !ok {
		return nil, fmt.Errorf("a window is a number of s, m, h, d, w or mo such as 30d, or this day, this week, this month or this year; not %q", window)
	}
	b := defaultBucket(w)
	if bucket != "" {
		if b, ok = parseStretch(bucket); !ok {
			return nil, fmt.Errorf("a bucket is a number of s, m or h such as 15m, or 1d, 1w or 1mo; not %q", bucket)
		}
	}
	s := &span{zone: z, unit: b.unit}
	if b.unit != fixed && b.n != 1 {
		return nil, fmt.Errorf("a bucket of %s is too wide; use 1%s", bucket, bucket[len(strconv.FormatInt(b.n, 10)):])
	}
	switch {
	case b.unit == fixed:
		if s.width = b.n * b.ms; w.ms == 0 || w.n*w.ms%s.width != 0 || w.n*w.ms < s.width {
			return nil, fmt.Errorf("a window of %s is not a multiple of a bucket of %s; use a bucket that divides it", window, bucket)
		}
		s.length, s.inverse = w.n*w.ms/s.width, math.MaxUint64/uint64(s.width)+1
	case b.unit == w.unit:
		s.length = w.n
	case b.unit == days && w.unit == weeks:
		s.length = 7 * w.n
	case b.unit == days && w.unit == months:
		s.months = w.n
	default:
		return nil, fmt.Errorf("a window of %s cannot have buckets of %s; use shorter ones", window, bucket)
	}
	if n := s.most(); n > MaxBuckets {
		if bucket == "" {
			bucket = cmp.Or(map[unit]string{days: "1d", weeks: "1w", months: "1mo"}[b.unit], strconv.FormatInt(s.width/second, 10)+"s")
		}
		return nil, fmt.Errorf("a window of %s and buckets of %s are up to %d buckets with the day ahead; at most %d: use wider buckets", window, bucket, n, MaxBuckets)
	}
	return s, nil
}

// defaultBucket is the widest of the usual widths that is at most a 24th of the window, and a day for all that are given
// in days, weeks or months and longer than 7 days. In a window of less than four minutes it is as narrow as MaxBuckets allows, about 10 s.
func defaultBucket(w stretch) stretch {
	ms := w.n * w.ms
	if w.unit == months || w.unit != fixed && ms > 7*dayMs {
		return stretch{1, days, dayMs}
	}
	for _, width := range []int64{hour, 30 * minute, 15 * minute, 5 * minute, minute, 30 * second, 10 * second} {
		if ms >= 24*width && ms%width == 0 {
			return stretch{width / second, fixed, second}
		}
	}
	for n := ms / (10 * second); n > 0; n-- {
		if ms%(n*second) == 0 {
			return stretch{ms / n / second, fixed, second}
		}
	}
	return stretch{max(ms/second, 1), fixed, second}
}

// most is the greatest number of buckets that a state holds.
func (s *span) most() int64 {
	switch {
	case s.calendar:
		return 3
	case s.unit == fixed:
		return s.length + ahead/s.width + 2
	}
	return s.length + 31*s.months + 3
}

// bucket is the number of the bucket that an instant lies in, 0 or more; ok is false for a time that has none.
func (s *span) bucket(ms int64) (b int64, ok bool) {
	if ms < 0 || ms > maxTime {
		return 0, false
	}
	return s.at(ms) + 1, true // 1: the day before 1970 exists in zones west of Greenwich
}

// at is bucket less one, for any instant.
func (s *span) at(ms int64) int64 {
	if s.unit == fixed {
		return s.slots(ms)
	}
	d := s.zone.Day(ms)
	switch s.unit {
	case weeks:
		return floorDiv(d+3, 7) // 1970-01-01 was a Thursday
	case months:
		return monthOf(d)
	case years:
		return floorDiv(monthOf(d), 12)
	}
	return d
}

// slots is ms / s.width, rounded down. Every read and update asks for it, and the processor takes as long for a division as for
// all the rest: so it multiplies by the inverse. For times the product is at most 1 too great.
func (s *span) slots(ms int64) int64 {
	if uint64(ms) > maxTime {
		return floorDiv(ms, s.width)
	}
	q, _ := bits.Mul64(uint64(ms), s.inverse)
	n := int64(q)
	if n*s.width > ms {
		n--
	}
	return n
}

// start is the first instant of a bucket.
func (s *span) start(b int64) int64 {
	b--
	switch s.unit {
	case fixed:
		return b * s.width
	case weeks:
		b = 7*b - 3
	case months:
		b = monthStart(b)
	case years:
		b = monthStart(12 * b)
	}
	return s.zone.Start(b)
}

// bounds are the first and the last bucket that count at an instant.
func (s *span) bounds(now int64) (first, last int64) {
	now = min(max(now, minTime), maxTime)
	switch {
	case s.calendar:
		b := s.at(now) + 1
		return b, b
	case s.unit == fixed:
		return s.slots(now) - s.length + 2, math.MaxInt64
	case s.months > 0:
		return addMonths(s.at(now), -s.months) + 2, math.MaxInt64
	}
	return s.at(now) - s.length + 2, math.MaxInt64
}

// horizon is the first bucket that a state keeps whose newest bucket is b.
func (s *span) horizon(b int64) int64 {
	first, _ := s.bounds(s.start(b) - ahead)
	return first
}

// next is the first instant at which a bucket that counts leaves, or that it enters, when last is the last that counts.
func (s *span) next(b, last int64) int64 {
	switch {
	case b > last:
		return s.start(b)
	case s.months > 0:
		// The first day that is so many months after the bucket's, however long the months are.
		m := monthOf(b - 1)
		date := b - 1 - monthStart(m)
		return s.zone.Start(min(monthStart(m+s.months)+date, monthStart(m+s.months+1)))
	}
	return s.start(b + s.length)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a < 0 && q*b != a {
		q--
	}
	return q
}
