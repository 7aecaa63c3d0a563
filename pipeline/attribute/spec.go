package attribute

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"dashi/pipeline/zone"
)

// Spec is a kind with its options, as a recipe gives them. Zero means the default.
type Spec struct {
	Kind string
	// Of is the type of the values. min, max: Number (default) or Time. first, last: Number, String, Time
	// or Bool, no default. distinct: any of these four, by default whatever comes. Others: not needed.
	Of Type
	// Limit bounds the elements of set (1,000 by default, at most 10,000), tally (256, 10,000) and list (50, 1,000); in a
	// window the values of distinct (1,000, 10,000) and the keys of a tally, once for every bucket in which they came.
	Limit int
	// Top is for tally: AppendJSON shows only so many keys, greatest number first. 0: all, in order of the keys.
	Top int
	// Unique is for list: a value stands in it once, at its latest time.
	Unique bool
	// Precision is for distinct: 2^Precision bytes and a standard error of 1.04/sqrt(2^Precision); 8 to 14, by default 11.
	Precision int
	// Nth is for first_at and last_at: the time of the 2nd, 3rd, ... earliest or latest. 0 and 1: of the very first or last.
	Nth int
	// Window, "30d" or "this month", bounds count, sum, min, max, avg, distinct and tally to a stretch of time that ends
	// now; see span. Bucket, "1d", is how finely it is cut; without it defaultBucket decides. Zone is nil for UTC.
	Window, Bucket string
	Zone           *zone.Zone
	// Session, for kinds with one operation and for session_start, session_end, in_session and session_count, says what a
	// session is. The former then show the value in the latest session. session_count needs a Window, of fixed length.
	Session *SessionSpec
	// Sequence is for sequence; its Limit is 200 occurrences by default, at most 2,000.
	Sequence *SequenceSpec
	// Places is for place and place_start.
	Places *PlaceSpec
	// Salt and Weights are for bucket; see NewBucket.
	Salt    string
	Weights []Weight
}

// The defaults and the greatest limits. Beyond the greatest, one update would cost too much of a shard's time.
const (
	DefaultSet, MaxSet     = 1000, 10_000
	DefaultTally, MaxTally = 256, 10_000
	DefaultList, MaxList   = 50, 1000

	DefaultPrecision = 11
	MinPrecision     = 8
	MaxPrecision     = 14
)

// MaxElement is the length in bytes of the longest element of a set or list and of the longest key of a tally.
// A longer one changes nothing: a limit of elements then bounds the bytes too.
const MaxElement = 512

// Kinds returns the words for kinds in recipes, in alphabetical order. "bucket" is among them although it has
// no state and is made by NewBucket.
func Kinds() []string {
	return []string{"avg", "bucket", "count", "distinct", "first", "first_at", "flag", "in_session", "last", "last_at",
		"list", "max", "min", "place", "place_start", "sequence", "session_count", "session_end", "session_start", "set", "sum", "tally"}
}

// New returns the kind that spec describes. The error says what to change, in a recipe's words.
func New(spec Spec) (Kind, error) {
	err := spec.checkOptions()
	if err == nil {
		err = spec.checkType()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make attribute of kind %q: %w", spec.Kind, err)
	}
	k, err := spec.build()
	if err != nil {
		return nil, fmt.Errorf("cannot make attribute of kind %q: %w", spec.Kind, err)
	}
	return k, nil
}

// windows are the kinds that take a window.
var windows = []string{"avg", "count", "distinct", "max", "min", "sum", "tally"}

// ofSessions are the kinds about sessions themselves, inSessions those that can be bounded to one.
var (
	ofSessions = []string{"in_session", "session_count", "session_end", "session_start"}
	inSessions = []string{"avg", "count", "distinct", "first", "first_at", "last", "last_at", "list", "max", "min", "sum", "tally"}
)

// ofPlaces are the kinds about where somebody is.
var ofPlaces = []string{"place", "place_start"}

// buildSession makes a kind that has a Session.
func (s *Spec) buildSession() (Kind, error) {
	var keep, window int64
	if s.Kind == "session_count" {
		w, ok := parseStretch(s.Window)
		if window = w.n * w.ms; !ok || window == 0 || window > maxTime {
			return nil, fmt.Errorf("the window of a count of sessions is a number of s, m, h, d or w such as 30d; not %q", s.Window)
		}
		keep = window + ahead
	}
	p, err := newSessions(*s.Session, keep)
	switch {
	case err != nil:
		return nil, err
	case s.Kind == "session_count":
		return &visits{sessions: p, window: window}, nil
	case slices.Contains(ofSessions, s.Kind):
		return &visit{sessions: p, what: s.Kind}, nil
	}
	inner := s.buildLifetime()
	return &scoped{inner, p, inner.FixedSize()}, nil
}

func (s *Spec) build() (Kind, error) {
	if s.Kind == "sequence" {
		return newSequence(s.Sequence, s.Limit)
	}
	if s.Places != nil {
		return newPresence(s.Kind, s.Places)
	}
	if s.Session != nil {
		return s.buildSession()
	}
	if s.Window == "" {
		return s.buildLifetime(), nil
	}
	p, err := newSpan(s.Window, s.Bucket, s.Zone)
	if err != nil {
		return nil, err
	}
	switch s.Kind {
	case "count":
		return &meter{span: p, counts: true}, nil
	case "sum":
		return &meter{span: p, sums: true}, nil
	case "avg":
		return &meter{span: p, counts: true, sums: true}, nil
	case "min":
		return &peak{extreme{of: s.Of, flip: ^uint64(0)}, p}, nil
	case "max":
		return &peak{extreme{of: s.Of}, p}, nil
	case "tally":
		return &shelf{span: p, limit: s.Limit, top: s.Top}, nil
	}
	return &several{distinct{of: s.Of}, p, s.Limit}, nil
}

func (s *Spec) buildLifetime() Kind {
	switch s.Kind {
	case "count":
		return count{}
	case "flag":
		return flag{}
	case "first_at", "last_at":
		m := moment{first: s.Kind == "first_at"}
		if s.Nth > 1 {
			return &nth{m, s.Nth}
		}
		return &m
	case "sum":
		return sum{}
	case "avg":
		return avg{}
	case "min":
		return newMin(s.Of)
	case "max":
		return &extreme{of: s.Of}
	case "first":
		return newFirst(s.Of)
	case "last":
		return newLast(s.Of)
	case "set":
		return &set{limit: s.Limit}
	case "tally":
		return &tally{limit: s.Limit, top: s.Top}
	case "list":
		return &list{limit: s.Limit, unique: s.Unique}
	}
	return &distinct{of: s.Of, precision: uint(s.Precision)}
}

// checkOptions sets the defaults and refuses options that the kind does not have.
func (s *Spec) checkOptions() error {
	if !slices.Contains(Kinds(), s.Kind) {
		return fmt.Errorf("there is no such kind; use one of %s", strings.Join(Kinds(), ", "))
	}
	if s.Kind == "bucket" {
		return errors.New("it has no state; use NewBucket")
	}
	limits := map[string][2]int{"set": {DefaultSet, MaxSet}, "tally": {DefaultTally, MaxTally}, "list": {DefaultList, MaxList},
		"sequence": {DefaultSequence, MaxSequence}}
	if s.Window != "" && s.Kind == "distinct" {
		limits["distinct"] = [2]int{DefaultSet, MaxSet}
		if s.Precision != 0 {
			return errors.New("with a window it has no precision, it is exact up to its limit; remove precision")
		}
	}
	limit, limited := limits[s.Kind]
	switch {
	case (s.Kind == "sequence") != (s.Sequence != nil):
		return errors.New("only a sequence has steps, and it must have them")
	case slices.Contains(ofPlaces, s.Kind) != (s.Places != nil):
		return errors.New("only place and place_start are about places, and must say which")
	case s.Session == nil && slices.Contains(ofSessions, s.Kind):
		return errors.New("it has no session; say of which sessions it is")
	case s.Session != nil && !slices.Contains(ofSessions, s.Kind) && !slices.Contains(inSessions, s.Kind):
		return fmt.Errorf("it has no session; remove the option, or use one of %s", strings.Join(inSessions, ", "))
	case s.Kind == "session_count" && s.Window == "":
		return errors.New("it has no window, as in `window: 30d`; a late event can join sessions, so all that are counted must be kept")
	case s.Session != nil && s.Kind != "session_count" && (s.Window != "" || s.Bucket != ""):
		return errors.New("it has a window and a session; it can be bounded by one of them")
	case s.Kind == "session_count" && s.Bucket != "":
		return errors.New("it has a bucket, but is exact; remove bucket")
	case s.Window != "" && s.Kind != "session_count" && !slices.Contains(windows, s.Kind):
		return fmt.Errorf("it has no window; remove the option, or use one of %s", strings.Join(windows, ", "))
	case s.Window == "" && s.Bucket != "":
		return errors.New("it has a bucket and no window; say which window is cut into buckets")
	case s.Limit != 0 && !limited:
		return errors.New("it has no limit; remove the option, or use set, tally or list")
	case s.Top != 0 && s.Kind != "tally":
		return errors.New("it has no top; remove the option, or use tally")
	case s.Nth != 0 && s.Kind != "first_at" && s.Kind != "last_at":
		return errors.New("it has no nth; remove the option, or use first_at or last_at")
	case s.Nth < 0 || s.Nth > MaxNth:
		return fmt.Errorf("nth is %d; it must be 1 to %d", s.Nth, MaxNth)
	case s.Top < 0:
		return fmt.Errorf("top is %d; it must be 1 or more", s.Top)
	case s.Unique && s.Kind != "list":
		return errors.New("it has no unique; remove the option, or use list")
	case s.Precision != 0 && s.Kind != "distinct":
		return errors.New("it has no precision; remove the option, or use distinct")
	case s.Salt != "" || len(s.Weights) > 0:
		return errors.New("it has no salt and no weights; remove them, or use bucket")
	}
	if limited {
		if s.Limit == 0 {
			s.Limit = limit[0]
		}
		if s.Limit < 1 || s.Limit > limit[1] {
			return fmt.Errorf("limit is %d; it must be 1 to %d", s.Limit, limit[1])
		}
	}
	if s.Precision == 0 {
		s.Precision = DefaultPrecision
	}
	if s.Precision < MinPrecision || s.Precision > MaxPrecision {
		return fmt.Errorf("precision is %d; it must be %d to %d", s.Precision, MinPrecision, MaxPrecision)
	}
	return nil
}

// checkType sets the default of Of and refuses values that the kind cannot take.
func (s *Spec) checkType() error {
	switch s.Kind {
	case "sum", "avg":
		return s.oneOf("numbers", Number)
	case "min", "max":
		return s.oneOf("numbers or times", Number, Time)
	case "set", "tally", "list":
		return s.oneOf("strings", String)
	case "first", "last":
		if s.Of == 0 {
			return errors.New("the type of its value is not known; say number, string, time or bool")
		}
		return s.oneOf("numbers, strings, times or bools", Number, String, Time, Bool)
	case "distinct":
		if s.Of == 0 {
			return nil
		}
		return s.oneOf("numbers, strings, times or bools", Number, String, Time, Bool)
	}
	return nil
}

// oneOf makes the first of types the default.
func (s *Spec) oneOf(words string, types ...Type) error {
	if s.Of == 0 {
		s.Of = types[0]
	}
	if !slices.Contains(types, s.Of) {
		return fmt.Errorf("it takes %s, not a %s; give it another value or use another kind", words, s.Of)
	}
	return nil
}

// String is the word for a type in messages.
func (t Type) String() string {
	switch t {
	case Number:
		return "number"
	case String:
		return "string"
	case Time:
		return "time"
	case Bool:
		return "bool"
	case Set:
		return "set"
	case Tally:
		return "tally"
	case List:
		return "list"
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Truncated says whether a limit has dropped elements of what is read at an instant; what is left is exact (see set.go and
// tally.go), but not all. In a window it says that it may have. A list is the last n by definition and is never truncated.
func Truncated(k Kind, fixed, seg []byte, now int64) bool {
	switch k := k.(type) {
	case *set, *tally:
		return len(seg) >= header && seg[1]&0x80 != 0
	case interface {
		truncated(fixed, seg []byte, now int64) bool
	}:
		return k.truncated(fixed, seg, now)
	}
	return false
}
