package timer

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Never is the instant of no timer.
const Never int64 = math.MaxInt64

const (
	levelBits = 6
	slots     = 1 << levelBits
	levels    = 8
	// early is the first instant that can be told apart, about the year -260; instants have 48 bits, up to the year 8659. What is
	// later is taken for Never.
	early = -1 << 46
	late  = early + 1<<(levelBits*levels) - 1
)

// A timer: its instant since early, 0 for none, and its neighbours in the ring, as ordinals plus 1.
const (
	dueAt     = 0  // uint48
	nextAt    = 6  // uint32
	prevAt    = 10 // uint32
	timerSize = 14
	pageSize  = 4096 // timers
)

type page [pageSize * timerSize]byte

// Queue is the timers of one shard. The zero value is empty and ready.
type Queue struct {
	pages  []*page // nil: no timer in it has ever been set
	shared []bool  // by page: a Frozen may hold it, so it is copied before it is written
	count  int
	wheel
}

// wheel is what the rings hang on.
type wheel struct {
	position uint64 // since early: no timer is before it
	heads    [levels][slots]uint32
	occupied [levels]uint64        // a bit per slot that has a ring
	least    [levels][slots]uint64 // no timer in the ring is before it
}

// Len is the number of timers.
func (q *Queue) Len() int { return q.count }

// Bytes is the memory that the queue occupies.
func (q *Queue) Bytes() int64 {
	n := 9 * cap(q.pages)
	for _, p := range q.pages {
		if p != nil {
			n += len(p)
		}
	}
	return int64(n)
}

// Due is the instant of a timer, Never when there is none.
func (q *Queue) Due(ordinal uint32) int64 {
	i := int(ordinal / pageSize)
	if i >= len(q.pages) || q.pages[i] == nil {
		return Never
	}
	if due := dueOf(q.pages[i][ordinal%pageSize*timerSize:]); due != 0 {
		return int64(due) + early
	}
	return Never
}

func dueOf(b []byte) uint64 { return binary.LittleEndian.Uint64(b) & (1<<48 - 1) }

// Set sets the timer of an ordinal in place of the one that it may have. Never clears it.
func (q *Queue) Set(ordinal uint32, due int64) {
	if due > late {
		q.Clear(ordinal)
		return
	}
	at := max(uint64(max(due-early, 1)), q.position)
	b := q.edit(ordinal)
	switch was := dueOf(b); was {
	case at:
		return
	case 0:
		q.count++
	default:
		q.unlink(ordinal, b, was)
	}
	q.link(ordinal, b, at)
}

// Clear removes the timer of an ordinal, if there is one.
func (q *Queue) Clear(ordinal uint32) {
	if q.Due(ordinal) == Never {
		return
	}
	b := q.edit(ordinal)
	q.unlink(ordinal, b, dueOf(b))
	putDue(b, 0)
	q.count--
}

// Next is an instant before which no timer is due, Never when there is none at all. It is that of the first timer, unless that one's ring
// had an earlier one that was taken out.
func (q *Queue) Next() int64 {
	if q.count == 0 {
		return Never
	}
	if q.entered() >= 0 {
		return int64(q.position) + early
	}
	_, at := q.first()
	return int64(at) + early
}

// Pop takes out the first timer that is due at now or before. steps is how much it may still do: moving a timer down is one,
// taking one out is FireSteps. ok is false when none is due, or when steps are used up.
func (q *Queue) Pop(now int64, steps *int) (ordinal uint32, due int64, ok bool) {
	until := uint64(max(min(now, late)-early, 0))
	for q.count > 0 {
		for level := q.entered(); level > 0; level = q.entered() {
			if *steps <= 0 {
				return 0, 0, false
			}
			*steps--
			o := q.heads[level][slotOf(q.position, level)] - 1
			b := q.edit(o)
			at := dueOf(b)
			q.unlink(o, b, at)
			q.link(o, b, at)
		}
		level, at := q.first()
		if at > until || *steps <= 0 {
			break
		}
		q.position = at
		if level > 0 {
			continue
		}
		*steps -= FireSteps
		o := q.heads[0][slotOf(at, 0)] - 1
		b := q.edit(o)
		q.unlink(o, b, at)
		putDue(b, 0)
		q.count--
		return o, int64(at) + early, true
	}
	if *steps > 0 {
		q.position = max(q.position, until)
	}
	return 0, 0, false
}

// Ahead fills list with the timers that Pop gives next and that are due at the same instant, as far as it sees them, and says how many: so
// that a caller can touch what is about them beforehand. It may be none.
func (q *Queue) Ahead(list []uint32) (n int) {
	head := q.heads[0][slotOf(q.position, 0)]
	for o := head; o != 0 && n < len(list); n++ {
		list[n] = o - 1
		if o = binary.LittleEndian.Uint32(q.pages[(o-1)/pageSize][(o-1)%pageSize*timerSize+nextAt:]); o == head {
			return n + 1
		}
	}
	return n
}

// FireSteps is what it costs to take a timer out: the caller evaluates a profile, which takes about this many times as long as moving a timer.
const FireSteps = 16

// entered is the highest level that has timers in the slot in which the position is, which have to move down; -1 for none.
func (q *Queue) entered() int {
	for level := levels - 1; level > 0; level-- {
		if q.occupied[level]>>slotOf(q.position, level)&1 != 0 {
			return level
		}
	}
	return -1
}

// first is the first slot with timers, and an instant before which none of them is due. There is one. The instant at which the slot begins would do, but
// when the position goes there, timers that are due together move down level by level; from the least of them on most go to the
// last level at once.
func (q *Queue) first() (level int, at uint64) {
	for level := range levels {
		here := slotOf(q.position, level)
		if ahead := q.occupied[level] >> here << here; ahead != 0 {
			shift := levelBits * level
			round := q.position >> (shift + levelBits) << (shift + levelBits)
			slot := bits.TrailingZeros64(ahead)
			return level, max(round|uint64(slot)<<shift, q.least[level][slot])
		}
	}
	panic("BUG: a queue with timers has none")
}

func slotOf(at uint64, level int) int { return int(at >> (levelBits * level) & (slots - 1)) }

// levelOf is where a timer stands: the highest level at which its instant and the position differ.
func levelOf(at, position uint64) int {
	return max(bits.Len64(at^position)-1, 0) / levelBits
}

// link puts a timer at the end of the ring of its slot.
func (q *Queue) link(ordinal uint32, b []byte, at uint64) {
	level := levelOf(at, q.position)
	slot := slotOf(at, level)
	q.append(ordinal, b, at, level, slot)
}

func (q *Queue) append(ordinal uint32, b []byte, at uint64, level, slot int) {
	putDue(b, at)
	head := q.heads[level][slot]
	if head == 0 {
		put(b, nextAt, ordinal+1)
		put(b, prevAt, ordinal+1)
		q.heads[level][slot] = ordinal + 1
		q.occupied[level] |= 1 << slot
		q.least[level][slot] = at
		return
	}
	q.least[level][slot] = min(q.least[level][slot], at)
	first := q.edit(head - 1)
	tail := binary.LittleEndian.Uint32(first[prevAt:])
	put(first, prevAt, ordinal+1)
	put(q.edit(tail-1), nextAt, ordinal+1)
	put(b, prevAt, tail)
	put(b, nextAt, head)
}

// unlink takes a timer out of its ring. The slot matters only to the first of a ring: it may stand in any level, because the
// position has moved since.
func (q *Queue) unlink(ordinal uint32, b []byte, at uint64) {
	next, prev := binary.LittleEndian.Uint32(b[nextAt:]), binary.LittleEndian.Uint32(b[prevAt:])
	alone := next == ordinal+1
	if !alone {
		put(q.edit(next-1), prevAt, prev)
		put(q.edit(prev-1), nextAt, next)
	}
	for level := range levels {
		slot := slotOf(at, level)
		if q.heads[level][slot] != ordinal+1 {
			continue
		}
		q.heads[level][slot] = next
		if alone {
			q.heads[level][slot] = 0
			q.occupied[level] &^= 1 << slot
		}
		return
	}
}

func put(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }

func putDue(b []byte, at uint64) {
	binary.LittleEndian.PutUint32(b[dueAt:], uint32(at))
	binary.LittleEndian.PutUint16(b[dueAt+4:], uint16(at>>32))
}

// edit is the timer of an ordinal, for writing.
func (q *Queue) edit(ordinal uint32) []byte {
	i := int(ordinal / pageSize)
	for i >= len(q.pages) {
		q.pages, q.shared = append(q.pages, nil), append(q.shared, false)
	}
	switch p := q.pages[i]; {
	case p == nil:
		q.pages[i] = new(page)
	case q.shared[i]:
		own := *p
		q.pages[i], q.shared[i] = &own, false
	}
	at := ordinal % pageSize * timerSize
	return q.pages[i][at : at+timerSize : at+timerSize]
}

// At makes an empty queue that stands at an instant: nothing before it will be set.
func At(now int64) *Queue {
	q := &Queue{}
	q.position = uint64(max(min(now, late)-early, 0))
	return q
}
