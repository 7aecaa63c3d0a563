package timer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Frozen is a queue as it was when Freeze was called.
type Frozen struct {
	q Queue
}

// Freeze takes microseconds, however many timers there are: from now on the queue copies a page before it writes to it.
func (q *Queue) Freeze() *Frozen {
	for i := range q.shared {
		q.shared[i] = true
	}
	f := &Frozen{*q}
	f.q.pages, f.q.shared = slices.Clone(q.pages), nil
	return f
}

// Append appends the queue: varint position; then for every ring, by level and slot: level and slot, a byte each, uvarint
// instant before which none of its timers is due - position, and for each of its timers, in order, uvarint ordinal + 1 and uvarint instant - position, and
// a 0; at the end the byte 255.
func (f *Frozen) Append(dst []byte) []byte {
	q := &f.q
	dst = binary.AppendVarint(dst, int64(q.position)+early)
	for level := range levels {
		for slot := range slots {
			head := q.heads[level][slot]
			if head == 0 {
				continue
			}
			dst = append(dst, byte(level), byte(slot))
			dst = binary.AppendUvarint(dst, max(q.least[level][slot], q.position)-q.position)
			for o := head; ; {
				b := q.pages[(o-1)/pageSize][(o-1)%pageSize*timerSize:]
				dst = binary.AppendUvarint(dst, uint64(o))
				dst = binary.AppendUvarint(dst, dueOf(b)-q.position)
				if o = binary.LittleEndian.Uint32(b[nextAt:]); o == head {
					break
				}
			}
			dst = append(dst, 0)
		}
	}
	return append(dst, 255)
}

var errDamaged = errors.New("the timers are damaged")

// Restore reads what Append wrote, and says what follows it. ordinals is a bound of those that may have a timer.
func Restore(src []byte, ordinals uint32) (q *Queue, rest []byte, err error) {
	q = &Queue{}
	position, n := binary.Varint(src)
	if n <= 0 || position < early || position > late {
		return nil, nil, errDamaged
	}
	q.position, src = uint64(position-early), src[n:]
	for last := -1; ; {
		if len(src) == 0 {
			return nil, nil, errDamaged
		}
		if src[0] == 255 {
			return q, src[1:], nil
		}
		if len(src) < 2 || src[0] >= levels || src[1] >= slots || int(src[0])*slots+int(src[1]) <= last {
			return nil, nil, errDamaged
		}
		level, slot := int(src[0]), int(src[1])
		last = level*slots + slot
		if src, err = q.restore(src[2:], level, slot, ordinals); err != nil {
			return nil, nil, err
		}
		if q.heads[level][slot] == 0 {
			return nil, nil, errDamaged
		}
	}
}

// restore reads one ring.
func (q *Queue) restore(src []byte, level, slot int, ordinals uint32) ([]byte, error) {
	after, n := binary.Uvarint(src)
	if n <= 0 || after > 1<<48 {
		return nil, errDamaged
	}
	least := q.position + after
	src = src[n:]
	for {
		o, n := binary.Uvarint(src)
		if n <= 0 {
			return nil, errDamaged
		}
		src = src[n:]
		if o == 0 {
			q.least[level][slot] = least
			return src, nil
		}
		after, n := binary.Uvarint(src)
		at := q.position + after
		if n <= 0 || after > 1<<48 || at < least || at == 0 || at > late-early || o > uint64(ordinals) || levelOf(at, q.position) > level || slotOf(at, level) != slot {
			return nil, fmt.Errorf("%w: timer of profile %d", errDamaged, o)
		}
		src = src[n:]
		ordinal := uint32(o - 1)
		if q.Due(ordinal) != Never {
			return nil, fmt.Errorf("%w: profile %d has two", errDamaged, ordinal)
		}
		q.append(ordinal, q.edit(ordinal), at, level, slot)
		q.count++
	}
}
