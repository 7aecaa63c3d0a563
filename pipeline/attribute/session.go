package attribute

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// A session is a run of inputs in which each follows the one before by less than the gap. It ends a gap after its last
// input. So sessions are a function of the set of event times: a late input may lengthen a session or join two, and opens one
// only in the time where it lies. An automaton that follows arrival could not be merged.
//
// No session is longer than longest. Cutting "longest after it began" is no function that merges: the beginning may turn
// out to be earlier, and every cut would move. So time is also cut into slots of that length, counted from 1970, and
// what is kept is pieces: runs within one slot. A run that lies in two slots and is shorter than longest, as nearly all that lie
// in two are, is one session. A longer one is as many sessions as it has pieces.
//
// Kept are the pieces of the newest input's slot and of the two before it, by which the latest session is known for certain
// (the third tells whether the first two are all of a run); or, for a count, those of the window as well. What is older
// changes nothing. Slots are dropped whole, so dropping commutes with joining.
type sessions struct {
	gap, longest int64 // milliseconds
	keep         int64 // before the newest input: for a count the window and a day, else 0
}

// SessionSpec says when a session ends, in milliseconds. Zero means the default.
type SessionSpec struct {
	Gap     int64 // of inactivity; DefaultGap
	Longest int64 // DefaultLongest, or a gap when that is more
}

// The defaults are those of web analytics; the bounds are what keeps a state small: at most 3 * MaxPieces pieces.
const (
	DefaultGap     = 30 * minute
	DefaultLongest = 12 * hour
	MinGap, MaxGap = second, 30 * dayMs
	MaxPieces      = 100
)

// Check says what is wrong with it, in a recipe's words.
func (s SessionSpec) Check() error {
	_, err := newSessions(s, 0)
	return err
}

func newSessions(s SessionSpec, keep int64) (*sessions, error) {
	if s.Gap == 0 {
		s.Gap = DefaultGap
	}
	if s.Longest == 0 {
		s.Longest = max(DefaultLongest, s.Gap)
		s.Longest = min(s.Longest, MaxPieces*s.Gap)
	}
	switch {
	case s.Gap < MinGap || s.Gap > MaxGap:
		return nil, errors.New("a gap is 1s to 30d")
	case s.Longest < s.Gap:
		return nil, errors.New("the longest session is shorter than a gap; it must be as long or longer")
	case s.Longest > MaxPieces*s.Gap:
		return nil, fmt.Errorf("the longest session is over %d gaps; take a shorter one, or a longer gap", MaxPieces)
	case keep/s.Gap > MaxBuckets:
		return nil, fmt.Errorf("up to %d sessions fit into that window; at most %d: take a shorter window", keep/s.Gap, MaxBuckets)
	}
	return &sessions{s.Gap, s.Longest, keep}, nil
}

func (k *sessions) slot(ms int64) int64 { return ms / k.longest }

// horizon is the first instant that a state keeps whose newest input is at ms.
func (k *sessions) horizon(ms int64) int64 {
	return (k.slot(max(ms-k.keep, 0)) - 2) * k.longest
}

func sessionTime(ms int64) bool { return ms >= 0 && ms <= maxTime }

// together says whether a piece that begins at start goes on with one that ends at end, in the same slot.
func (k *sessions) together(begin, end, start int64) bool {
	return start-end < k.gap && k.slot(begin) == k.slot(start)
}

// pieceRow is a row of the kinds that keep nothing but pieces: begin and end, each an uint48, in order.
const pieceRow = 12

func pieceAt(r *rows, i int) (begin, end int64) { return r.bucket(i), int64(get(r.row(i)[4:]) >> 16) }

// newestPiece is the time of the newest input.
func newestPiece(r *rows) (ms int64) {
	if r.n > 0 {
		_, ms = pieceAt(r, r.n-1)
	}
	return ms
}

// touch is Update of those kinds.
func (k *sessions) touch(seg []byte, ms int64, scratch []byte) []byte {
	var r rows
	r.open(seg, pieceRow)
	h := k.horizon(max(ms, newestPiece(&r)))
	if ms < h {
		return seg
	}
	i := r.search(ms + 1)
	begin, end, from, to := ms, ms, i, i
	if i > 0 {
		if b, e := pieceAt(&r, i-1); k.together(b, e, ms) {
			if e >= ms {
				return seg
			}
			begin, from = b, i-1
		}
	}
	if i < r.n {
		if b, e := pieceAt(&r, i); k.together(ms, ms, b) {
			end, to = e, i+1
		}
	}
	drop := min(r.search(h), from)
	if to-from == 1 && drop == 0 {
		put48(r.row(from), begin)
		put48(r.row(from)[6:], end)
		return seg
	}
	out, row := r.splice(scratch, drop, from, to, begin)
	put48(row[6:], end)
	return out
}

func (k *sessions) join(seg, otherSeg, scratch []byte) []byte {
	var x, y rows
	x.open(seg, pieceRow)
	y.open(otherSeg, pieceRow)
	if y.n == 0 {
		return seg
	}
	h := k.horizon(max(newestPiece(&x), newestPiece(&y)))
	out := slices.Grow(scratch[:0], (x.n+y.n)*pieceRow)
	for i, j := 0, 0; i < x.n || j < y.n; {
		var b, e int64
		if j == y.n || i < x.n && x.bucket(i) <= y.bucket(j) {
			b, e = pieceAt(&x, i)
			i++
		} else {
			b, e = pieceAt(&y, j)
			j++
		}
		if b < h {
			continue
		}
		if n := len(out); n > 0 {
			last := out[n-pieceRow:]
			if lb, le := int64(get(last)&mask48), int64(get(last[4:])>>16); k.together(lb, le, b) {
				put48(last[6:], max(le, e))
				continue
			}
		}
		out = append(out, zeroRow[:pieceRow]...)
		put48(out[len(out)-pieceRow:], b)
		put48(out[len(out)-6:], e)
	}
	return out
}

// first is the first piece of the session that ends with piece i, given that i is not followed by a piece of its run in the
// next slot: i itself, or the one before it.
func (k *sessions) first(r *rows, i int) int {
	if i == 0 {
		return i
	}
	b, e := pieceAt(r, i)
	pb, pe := pieceAt(r, i-1)
	if b-pe >= k.gap || e-pb >= k.longest {
		return i
	}
	if i > 1 {
		if _, before := pieceAt(r, i-2); pb-before < k.gap {
			return i // three pieces
		}
	}
	return i - 1
}

// visit is session_start, session_end and in_session: about the latest session.
type visit struct {
	scalar
	*sessions
	what string
}

func (k *visit) Name() string   { return k.what }
func (*visit) FixedSize() int   { return 0 }
func (*visit) HasSegment() bool { return true }

func (k *visit) Type() Type {
	if k.what == "in_session" {
		return Bool
	}
	return Time
}

func (*visit) accepts(in *Input) bool {
	return (in.Op == Add || in.Op == Touch) && sessionTime(in.Time)
}

func (k *visit) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	return k.touch(seg, in.Time, scratch)
}

func (k *visit) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	return k.join(seg, otherSeg, scratch)
}

// latest is the latest session.
func (k *visit) latest(seg []byte) (begin, end int64, ok bool) {
	var r rows
	r.open(seg, pieceRow)
	if r.n == 0 {
		return 0, 0, false
	}
	begin, _ = pieceAt(&r, k.first(&r, r.n-1))
	_, end = pieceAt(&r, r.n-1)
	return begin, end, true
}

func (k *visit) Num(fixed, seg []byte, now int64) (float64, bool) {
	begin, end, ok := k.latest(seg)
	switch {
	case !ok || k.what == "in_session":
		return 0, false
	case k.what == "session_start":
		return float64(begin), true
	}
	return float64(end), true
}

// Session is one session: when it began, its last input, and when it ends if none follows.
type Session struct{ Begin, Last, End int64 }

// Sessions is a kind that knows the latest session and is Timed to its end: in_session.
type Sessions interface {
	Timed
	// Latest is the latest session, also after it has ended; ok is false when there was none.
	Latest(seg []byte) (s Session, ok bool)
}

func (k *visit) Latest(seg []byte) (s Session, ok bool) {
	begin, last, ok := k.latest(seg)
	return Session{begin, last, last + k.gap}, ok
}

// Truth says whether a session is going on: less than a gap has passed since its last input.
func (k *visit) Truth(fixed, seg []byte, now int64) (v, ok bool) {
	_, end, ok := k.latest(seg)
	return ok && now < end+k.gap, ok && k.what == "in_session"
}

func (k *visit) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	if v, ok := k.Truth(fixed, seg, now); ok {
		return appendBool(dst, v)
	}
	ms, ok := k.Num(fixed, seg, now)
	if !ok {
		return appendNull(dst)
	}
	return appendTimeString(dst, int64(ms))
}

func (k *visit) NextChange(fixed, seg []byte, now int64) int64 {
	_, end, ok := k.latest(seg)
	if !ok || k.what != "in_session" || now >= end+k.gap {
		return never
	}
	return end + k.gap
}

// visits is session_count: how many sessions began in the last so many milliseconds, exactly.
type visits struct {
	scalar
	*sessions
	window int64
}

func (*visits) Name() string     { return "session_count" }
func (*visits) Type() Type       { return Number }
func (*visits) FixedSize() int   { return 0 }
func (*visits) HasSegment() bool { return true }

func (*visits) accepts(in *Input) bool { return (*visit)(nil).accepts(in) }

func (k *visits) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	return k.touch(seg, in.Time, scratch)
}

func (k *visits) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	return k.join(seg, otherSeg, scratch)
}

// since counts the sessions that began after an instant: the pieces that begin there, less those that are the second of a
// session of two.
func (k *visits) since(seg []byte, after int64) int {
	var r rows
	r.open(seg, pieceRow)
	from := r.search(after + 1)
	n := r.n - from
	if from == r.n {
		return 0
	}
	pe := int64(math.MinInt64 / 2)
	if from > 0 {
		_, pe = pieceAt(&r, from-1)
	}
	rest := seg[from*pieceRow : r.n*pieceRow]
	for i := from; len(rest) >= pieceRow; i++ {
		b, e := int64(get(rest)&mask48), int64(get(rest[4:])>>16)
		// Only a piece that goes on where another slot ended can be a second one, and that is rare.
		if b-pe < k.gap && !k.runsOn(&r, i, e) && k.first(&r, i) < i {
			n--
		}
		pe, rest = e, rest[pieceRow:]
	}
	return n
}

// runsOn says whether the run of piece i, which ends at end, goes on in the next slot.
func (k *visits) runsOn(r *rows, i int, end int64) bool {
	return i+1 < r.n && r.bucket(i+1)-end < k.gap
}

// Num is 0 when there were sessions but none began in the window.
func (k *visits) Num(fixed, seg []byte, now int64) (float64, bool) {
	n := k.since(seg, min(max(now, minTime), maxTime)-k.window)
	return float64(n), len(seg) >= pieceRow
}

func (k *visits) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	return appendNum(dst, k, fixed, seg, now)
}

func (k *visits) NextChange(fixed, seg []byte, now int64) int64 {
	now = min(max(now, minTime), maxTime)
	// Of a session of two pieces the second begins later than the session; waking for it is early, and nothing changes then.
	var r rows
	r.open(seg, pieceRow)
	if i := r.search(now - k.window + 1); i < r.n {
		return r.bucket(i) + k.window
	}
	return never
}
