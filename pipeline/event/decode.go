package event

import (
	"fmt"
	"math"
	"math/bits"
)

// Decoder turns messages into Events. It belongs to one goroutine. It keeps the last
// message alive, and no Event.
type Decoder struct {
	trie
	atlas
	schema *Schema
	limits Limits
	names  typeTable
	// matters says by type of event whether a fault does; nil when all do.
	matters []interest

	// Of the message being read.
	seen   []uint8 // by node: 1 when its key has stood already
	slots  []token
	named  uint64  // the namespaces of which a slot was written: most messages have one or two
	faults []fault // what is not as it should be, in the order of the message
	tok    token

	open    []byte  // scratch of skip
	keyText []byte  // scratch of key
	newActs []int32 // scratch of step
}

// NewDecoder compiles s. A schema that contradicts itself is a bug, and panics. Every limit must be set.
func NewDecoder(s *Schema, l Limits) *Decoder {
	t := compile(s)
	return &Decoder{
		trie: *t, atlas: *newAtlas(t), schema: s, limits: l, names: newTypeTable(s.Types), matters: t.interests(s),
		seen: make([]uint8, len(t.nodes)), slots: make([]token, len(t.slotPaths)),
	}
}

// Decode reads one Segment-spec message in JSON. fallbackMillis is the time of the record that brought it: event time when
// the message has none, and the base of Limits.FutureMillis. The error is a *Rejected. e aliases src.
func (d *Decoder) Decode(src []byte, fallbackMillis int64, e *Event) error {
	if r := d.begin(src, e); r != nil {
		return r
	}
	if r := d.scan(src, e); r != nil {
		return r
	}
	if r := d.finish(fallbackMillis, e); r != nil {
		return r
	}
	return nil
}

func (d *Decoder) begin(src []byte, e *Event) *Rejected {
	if len(src) > d.limits.EventBytes {
		return &Rejected{TooLarge, fmt.Sprintf("%d bytes; %d are allowed", len(src), d.limits.EventBytes)}
	}
	e.Reset(d.schema)
	clear(d.seen)
	for i := range fixedSlots {
		d.slots[i].kind = tokNull
	}
	for ; d.named != 0; d.named &= d.named - 1 {
		for _, slot := range d.identifier[bits.TrailingZeros64(d.named)] {
			d.slots[slot].kind = tokNull
		}
	}
	d.faults = d.faults[:0]
	if d.missed > maxMissed {
		d.forget()
	}
	return nil
}

// scan reads the message from bracket to bracket: fields go to e, the rest that is read to d.slots.
func (d *Decoder) scan(src []byte, e *Event) *Rejected {
	i := skipSpace(src, 0)
	if i >= len(src) {
		return truncated(src)
	}
	if src[i] != '{' {
		return d.notObject(src, i)
	}
	if d.limits.Depth < 1 {
		return d.tooDeep(i)
	}
	i++
	pl, inside := d.root, true
	ed := pl.inside
	for {
		// Take the edge that fits, of those that begin with ed. A literal holds no zero byte, so its first word cannot match the
		// padding behind the end of src.
		end, w := i, word(src, i)
		for ; ed != nil; ed = ed.next {
			if w&ed.mask != ed.first {
				continue
			}
			end = i + ed.length
			if ed.length > 8 && (end > len(src) || le64(src[end-8:end]) != ed.last || ed.length > 16 && !ed.middleFits(src[i:end])) {
				continue
			}
			if ed.to != nil || end == len(src) {
				break
			}
		}
		if ed != nil {
			if len(ed.acts) > 0 {
				d.replay(ed, e)
			}
			i, pl = end, ed.to
		} else {
			var r *Rejected
			if pl, i, r = d.step(src, i, pl, inside, e); r != nil {
				return r
			}
		}
		if pl == nil {
			return nil
		}
		// Strings and numbers are what most values are, and one plain field or slot is what most of them are for. value does all.
		if i < len(src) && src[i] == '"' {
			end, flags := scanString(src, i+1)
			if end < 0 {
				return malformed(src, ^end)
			}
			if pl.node != 0 {
				text := src[i+1 : end : end]
				if flags|d.seen[pl.node] != 0 || len(text) > d.limits.StringBytes || !d.plain(pl, text, e) {
					d.str(pl.node, text, flags, e)
				}
			}
			i, inside, ed = end+1, false, pl.after
			continue
		}
		if pl.usual == usualNumber && d.seen[pl.node] == 0 {
			if end, f := shortNumber(src, i); end > 0 {
				d.seen[pl.node] = 1
				v := &e.Values[pl.index]
				v.Kind, v.Bits = Number, math.Float64bits(f)
				i, inside, ed = end, false, pl.after
				continue
			}
		}
		var r *Rejected
		if i, inside, r = d.value(src, i, pl, e); r != nil {
			return r
		}
		ed = pl.after
		if inside {
			ed = pl.inside
		}
	}
}

// plain is scalar for a string that needs nothing done to it, if it is for one thing only.
func (d *Decoder) plain(pl *place, text []byte, e *Event) bool {
	switch pl.usual {
	case usualText:
		v := &e.Values[pl.index]
		v.Kind, v.Str = String, text
	case usualSlot:
		t := &d.slots[pl.index]
		t.kind, t.flags, t.text = tokString, 0, text
		d.named |= d.namespace[pl.index]
	default:
		return false
	}
	d.seen[pl.node] = 1
	return true
}

// str is scalar for a string.
func (d *Decoder) str(n int32, text []byte, flags uint8, e *Event) {
	t := &d.tok
	t.kind, t.flags, t.text = tokString, flags, text
	d.scalar(n, t, e)
}

// value reads the value at src[i]. inside says that it is a container, and that we are behind its opening bracket.
func (d *Decoder) value(src []byte, i int, pl *place, e *Event) (next int, inside bool, r *Rejected) {
	if i >= len(src) || src[i] <= ' ' {
		if i = skipSpace(src, i); i >= len(src) {
			return 0, false, truncated(src)
		}
	}
	n := pl.node
	t := &d.tok
	end := 0
	switch c := src[i]; c {
	case '"':
		var flags uint8
		if end, flags = scanString(src, i+1); end < 0 {
			return 0, false, malformed(src, ^end)
		}
		if n != 0 {
			d.str(n, src[i+1:end:end], flags, e)
		}
		return end + 1, false, nil
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if end, t.number = scanNumber(src, i); end < 0 {
			return 0, false, malformed(src, ^end)
		}
		t.kind = tokNumber
	case '{', '[':
		return d.bracket(src, i, pl)
	default:
		if end = scanLiteral(src, i); end < 0 {
			return 0, false, malformed(src, i)
		}
		switch c {
		case 't':
			t.kind = tokTrue
		case 'f':
			t.kind = tokFalse
		default:
			t.kind = tokNull
		}
	}
	if n != 0 {
		t.flags, t.text = 0, src[i:end:end]
		d.scalar(n, t, e)
	}
	return end, false, nil
}

// bracket reads a container: whole when nothing in it is read, else only its opening bracket.
func (d *Decoder) bracket(src []byte, i int, pl *place) (next int, inside bool, r *Rejected) {
	kind := tokObject
	if src[i] == '[' {
		kind = tokArray
	}
	if int(pl.depth) > d.limits.Depth {
		return 0, false, d.tooDeep(i)
	}
	inside = kind == tokObject // what nothing reads is gone into as well, if its key has been learnt
	if pl.node != 0 {
		inside = d.container(pl.node, kind)
	}
	if inside {
		return i + 1, true, nil
	}
	next, r = d.skip(src, i, int(pl.depth)-1)
	return next, false, r
}

func (d *Decoder) notObject(src []byte, i int) *Rejected {
	end, r := d.skip(src, i, 0)
	if r != nil {
		return r
	}
	if end = skipSpace(src, end); end < len(src) {
		return malformed(src, end)
	}
	return &Rejected{WrongType, "the message: want object, got something else"}
}
