package activation

import (
	"cmp"
	"encoding/binary"
	"slices"

	"dashi/pipeline/zone"
)

// Pace says when an activation leaves after its trigger, and how often. The zero Pace: at once, always.
type Pace struct {
	ID    uint64 // hash of the activation's name: what its state is kept under, whatever the cookbook
	Delay int64  // milliseconds
	// Keyed: it leaves once for every key, of which the latest MaxKeys are remembered.
	Keyed bool
	// PerSession: it leaves once in each session.
	PerSession bool
	// Count in Period: no more than that many in so many milliseconds. 0: any number.
	Count  int
	Period int64
	// Group: after one of a group has left, the others wait for Cooldown to pass, but for those of a higher Priority. 0: none.
	Group    uint64
	Cooldown int64
	Priority int
	Quiet    *Quiet
}

// Quiet is a stretch of the day in which nothing leaves.
type Quiet struct {
	From, To int64 // milliseconds since midnight; To may lie before From: over midnight
	Zone     *zone.Zone
	Drop     bool // what would leave then is dropped; else it waits for the end
}

// Bounds on what one profile remembers. Beyond MaxPending the new trigger is suppressed, beyond MaxKeys the oldest key is forgotten.
const (
	MaxPending = 64
	MaxKeys    = 64
)

// Reason says why a triggered activation did not leave.
type Reason uint8

// The reasons. Their order is that of the counters in a snapshot: append only.
const (
	Leaves   Reason = iota
	Replaced        // a later trigger of the same activation and key began the delay again
	Recheck         // after the delay its condition did not hold any more
	Held            // the condition that it was held for did not come true in time
	Again           // it had left for this key, or in this session
	Capped
	Cooling
	Asleep    // in quiet hours
	Keyless   // its key is absent, or there was no session
	Crowded   // MaxPending wait already
	Forgotten // it is in the cookbook no more
	Control   // the person is held back: see goal.go
	Reasons   = int(Control)
)

// String is the word of status and metrics.
func (r Reason) String() string {
	return [...]string{"leaves", "replaced", "recheck", "held", "again", "cap", "cooldown", "quiet", "no_key", "too_many", "removed", "held_back"}[r]
}

// End is the instant at which the quiet hours around an instant end, in zone z; ok is false outside of them.
func (q *Quiet) End(at int64, z *zone.Zone) (end int64, ok bool) {
	const day = 86400_000
	offset := z.Offset(at)
	clock := ((at+offset)%day + day) % day
	switch {
	case q.From < q.To && (clock < q.From || clock >= q.To), q.From > q.To && clock < q.From && clock >= q.To:
		return 0, false
	case clock >= q.To:
		clock -= day
	}
	end = at + q.To - clock
	set := z.Offset(end) - offset // by which clocks are set meanwhile
	if set <= 0 || z.Offset(end-set) != offset {
		return max(end-set, at+1), true
	}
	// The end lies in the hour that is left out: the quiet hours end where it begins.
	before := end - set // before that instant, end is not
	for end-before > 1 {
		if m := before + (end-before)/2; z.Offset(m) == offset {
			before = m
		} else {
			end = m
		}
	}
	return max(end, at+1), true
}

// Pending is an activation that has been triggered and has not left.
type Pending struct {
	ID, Key uint64
	Due     int64  // when it is looked at again
	At      int64  // event time of the trigger
	Held    int64  // 0: it has not been held; Passed: it has been; else until when
	Type    []byte // of the event that triggered it; aliases what it was read from
}

// Passed is the value of Held for an activation that has been held and now waits for something else.
const Passed = -1 << 62

// mark is one thing that is remembered of what has left.
type mark struct {
	kind  byte
	id    uint64 // of the activation, group or goal
	at    int64  // when it left; of a group until when the others wait
	value uint64 // the key; of a group the priority, as int64; of an exposure how long after it the goal was reached, and in the lowest bit the side
}

const (
	markSent = iota + 1
	markKey
	markGroup
	markExposed // see goal.go
)

// Schedule is what one profile has pending and remembers. It is reused.
type Schedule struct {
	Pending []Pending
	marks   []mark
}

const (
	scheduleVersion = 1
	holds           = 0x80 // in the version's byte: something is held
	exposes         = 0x40 // in the version's byte: there is an exposure
)

// Holds says whether something is held, so that an event may let it go.
func Holds(segment []byte) bool { return len(segment) > 0 && segment[0]&holds != 0 }

// Read reads a segment; the empty one is the empty schedule. What is damaged is left out.
func (s *Schedule) Read(segment []byte) {
	s.Pending, s.marks = s.Pending[:0], s.marks[:0]
	if len(segment) == 0 || segment[0]&^(holds|exposes) != scheduleVersion {
		return
	}
	r := reader{segment[1:]}
	for n := r.uvarint(); n > 0 && r.b != nil; n-- {
		p := Pending{ID: r.word(), Key: r.word(), Due: r.varint(), At: r.varint(), Held: r.varint(), Type: r.bytes()}
		if r.b != nil {
			s.Pending = append(s.Pending, p)
		}
	}
	for n := r.uvarint(); n > 0 && r.b != nil; n-- {
		m := mark{kind: r.byte(), id: r.word(), at: r.varint(), value: r.word()}
		if r.b != nil {
			s.marks = append(s.marks, m)
		}
	}
}

// Append appends the segment, nothing for the empty schedule. The same content has the same bytes.
func (s *Schedule) Append(dst []byte) []byte {
	if len(s.Pending)+len(s.marks) == 0 {
		return dst
	}
	slices.SortFunc(s.Pending, func(a, b Pending) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Key, b.Key)) })
	slices.SortFunc(s.marks, func(a, b mark) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id), cmp.Compare(a.at, b.at), cmp.Compare(a.value, b.value))
	})
	head := byte(scheduleVersion)
	for i := range s.Pending {
		if h := s.Pending[i].Held; h != 0 && h != Passed {
			head |= holds
		}
	}
	if slices.ContainsFunc(s.marks, func(m mark) bool { return m.kind == markExposed }) {
		head |= exposes
	}
	dst = binary.AppendUvarint(append(dst, head), uint64(len(s.Pending)))
	for i := range s.Pending {
		p := &s.Pending[i]
		dst = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, p.ID), p.Key)
		dst = binary.AppendVarint(binary.AppendVarint(binary.AppendVarint(dst, p.Due), p.At), p.Held)
		dst = append(binary.AppendUvarint(dst, uint64(len(p.Type))), p.Type...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.marks)))
	for _, m := range s.marks {
		dst = binary.LittleEndian.AppendUint64(append(dst, m.kind), m.id)
		dst = binary.LittleEndian.AppendUint64(binary.AppendVarint(dst, m.at), m.value)
	}
	return dst
}

// Put adds a trigger. One that waits under the same key begins again.
func (s *Schedule) Put(p Pending) Reason {
	for i := range s.Pending {
		if q := &s.Pending[i]; q.ID == p.ID && q.Key == p.Key {
			*q = p
			return Replaced
		}
	}
	if len(s.Pending) == MaxPending {
		return Crowded
	}
	s.Pending = append(s.Pending, p)
	return Leaves
}

// Merge takes in what another profile has pending and remembers. Of two that wait under one key the later trigger stays; beyond the
// bounds the earliest goes.
func (s *Schedule) Merge(o *Schedule) {
	for _, p := range o.Pending {
		i := slices.IndexFunc(s.Pending, func(q Pending) bool { return q.ID == p.ID && q.Key == p.Key })
		switch {
		case i < 0:
			s.Pending = append(s.Pending, p)
		case laterPending(p, s.Pending[i]) > 0:
			s.Pending[i] = p
		}
	}
	if len(s.Pending) > MaxPending {
		slices.SortFunc(s.Pending, func(a, b Pending) int { return laterPending(b, a) })
		s.Pending = s.Pending[:MaxPending]
	}
	s.marks = uniteMarks(s.marks, o.marks)
	keys := map[uint64]int{}
	kept := s.marks[:0]
	for _, m := range s.marks { // the latest first
		if m.kind == markKey {
			if slices.ContainsFunc(kept, func(o mark) bool { return o.kind == markKey && o.id == m.id && o.value == m.value }) || keys[m.id] == MaxKeys {
				continue
			}
			keys[m.id]++
		}
		if m.kind == markGroup && slices.ContainsFunc(kept, m.within) {
			continue
		}
		if m.kind == markExposed {
			if i := slices.IndexFunc(kept, func(o mark) bool { return o.kind == markExposed && o.id == m.id }); i >= 0 {
				kept[i] = joinExposures(kept[i], m)
				continue
			}
		}
		kept = append(kept, m)
	}
	s.marks = kept
}

// uniteMarks is what two schedules remember, the latest first. Who comes out of a profile and comes back brings what that remembers as well: what
// both have stands there once, or as often as in the one that has it more often.
func uniteMarks(a, b []mark) []mark {
	latest := func(a, b mark) int {
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id), cmp.Compare(a.value, b.value))
	}
	slices.SortFunc(a, latest)
	slices.SortFunc(b, latest)
	all := make([]mark, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		c := latest(a[0], b[0])
		if c <= 0 {
			all, a = append(all, a[0]), a[1:]
		} else {
			all = append(all, b[0])
		}
		if c >= 0 {
			b = b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// within says whether a mark of a group adds nothing to o: whom it keeps back, o keeps back as long.
func (m mark) within(o mark) bool {
	return o.kind == markGroup && o.id == m.id && m.at <= o.at && int64(m.value) <= int64(o.value)
}

func laterPending(a, b Pending) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Due, b.Due), cmp.Compare(a.Held, b.Held), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Key, b.Key))
}

// Take removes pending activation i and returns it. The order of the others stays.
func (s *Schedule) Take(i int) Pending {
	p := s.Pending[i]
	s.Pending = append(s.Pending[:i], s.Pending[i+1:]...)
	return p
}

// Keep drops everything of activations, groups and goals that known does not know, and says how many pending ones that were.
func (s *Schedule) Keep(known func(id uint64) bool) (dropped int) {
	before := len(s.Pending)
	s.Pending = slices.DeleteFunc(s.Pending, func(p Pending) bool { return !known(p.ID) })
	s.marks = slices.DeleteFunc(s.marks, func(m mark) bool { return !known(m.id) })
	return before - len(s.Pending)
}

// Asks says whether an activation may leave at an instant, as far as what has left before is concerned. since is when the latest session
// began, for an activation that leaves once in each: a trigger from before that is too late for it.
func (s *Schedule) Asks(p *Pace, key uint64, since, at int64) Reason {
	if p.PerSession && at < since {
		return Again
	}
	sent := 0
	for _, m := range s.marks {
		switch {
		case m.kind == markKey && m.id == p.ID && (p.Keyed && m.value == key || p.PerSession && m.at >= since):
			return Again
		case m.kind == markGroup && m.id == p.Group && p.Group != 0 && at < m.at && int64(p.Priority) <= int64(m.value):
			return Cooling
		case m.kind == markSent && m.id == p.ID && m.at > at-p.Period:
			sent++
		}
	}
	if p.Count > 0 && sent >= p.Count {
		return Capped
	}
	return Leaves
}

// Sent remembers that an activation has left, and forgets what does not matter any more. Of its group that is what it outlasts: a wait that a lower one has
// begun, and that ends later, goes on. So a group has one mark a priority at most.
func (s *Schedule) Sent(p *Pace, key uint64, at int64) {
	keys, oldest := 0, -1
	group := mark{kind: markGroup, id: p.Group, at: at + p.Cooldown, value: uint64(int64(p.Priority))}
	kept := s.marks[:0]
	for _, m := range s.marks {
		if m.kind == markSent && m.id == p.ID && m.at <= at-p.Period || m.kind == markGroup && (m.at <= at || m.within(group)) {
			continue
		}
		if m.kind == markKey && m.id == p.ID {
			if p.PerSession {
				continue
			}
			if keys++; oldest < 0 || m.at < kept[oldest].at {
				oldest = len(kept)
			}
		}
		kept = append(kept, m)
	}
	s.marks = kept
	if keys == MaxKeys {
		s.marks = append(s.marks[:oldest], s.marks[oldest+1:]...)
	}
	if p.Count > 0 {
		s.marks = append(s.marks, mark{kind: markSent, id: p.ID, at: at})
	}
	if p.Keyed || p.PerSession {
		s.marks = append(s.marks, mark{kind: markKey, id: p.ID, at: at, value: key})
	}
	if p.Group != 0 {
		s.marks = append(s.marks, group)
	}
}

// reader reads parts of a segment; after one that is cut off b is nil.
type reader struct{ b []byte }

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b = nil
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) word() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b = nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.b = nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.b = nil
		return nil
	}
	return r.take(int(n))
}
