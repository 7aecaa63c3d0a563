package shard

import (
	"encoding/binary"
	"errors"
	"fmt"

	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
)

// The kinds of entry. FORMAT.md has the bytes; a number is never reused.
const (
	kindBatch    = 1
	kindTick     = 2
	kindAck      = 3
	kindCookbook = 4
	kindClock    = 5
	kindMessages = 6
	kindPeerAck  = 7
	kindUnlink   = 8
	kindHold     = 9
	kindLevels   = 10
	kindErase    = 11
	kindDeparted = 12
)

const (
	entryHead = 1 + 8                      // kind, now
	batchHead = entryHead + 8 + 20 + 8 + 8 // program hash, stream, prev, last
)

// Stream names one ordered input: a partition of a topic. The topic is named by its id, so that one
// that was deleted and made again is another stream.
type Stream struct {
	Topic     [16]byte
	Partition uint32
}

// Batch builds the entry that says: here is everything of this stream for this shard in (prev, last].
// The zero value is ready for Begin.
type Batch struct {
	buf    []byte
	base   int64
	events int
}

// Begin starts a batch of events that were projected with the program of that hash.
func (b *Batch) Begin(program uint64, s Stream, prev int64) {
	b.buf = append(b.buf[:0], kindBatch)
	b.buf = binary.LittleEndian.AppendUint64(b.buf, 0) // now: Seal
	b.buf = binary.LittleEndian.AppendUint64(b.buf, program)
	b.buf = append(b.buf, s.Topic[:]...)
	b.buf = binary.LittleEndian.AppendUint32(b.buf, s.Partition)
	b.buf = binary.LittleEndian.AppendUint64(b.buf, uint64(prev))
	b.buf = binary.LittleEndian.AppendUint64(b.buf, uint64(prev)) // last: Seal
	b.base, b.events = prev, 0
}

// Add appends the event at that offset, which must be above those of all events before it.
func (b *Batch) Add(offset int64, e *event.Event) {
	b.buf = binary.AppendUvarint(b.buf, uint64(offset-b.base))
	b.buf = event.AppendPacked(b.buf, e)
	b.base = offset
	b.events++
}

// Len is the size of the batch in bytes, Events the number of events in it.
func (b *Batch) Len() int    { return len(b.buf) }
func (b *Batch) Events() int { return b.events }

// Seal completes the batch: it reaches up to last, and now is the proposer's clock in milliseconds. The result is
// the entry; it is the batch's own buffer, good until the next Begin.
func (b *Batch) Seal(last, now int64) []byte {
	binary.LittleEndian.PutUint64(b.buf[1:], uint64(now))
	binary.LittleEndian.PutUint64(b.buf[batchHead-8:], uint64(last))
	return b.buf
}

// AppendTick appends the entry that moves the clock.
func AppendTick(dst []byte, now int64) []byte {
	dst = append(dst, kindTick)
	return binary.LittleEndian.AppendUint64(dst, uint64(now))
}

// AppendAck appends the entry that says: the sink has everything of the outbox below position.
func AppendAck(dst []byte, now int64, position uint64) []byte {
	dst = append(dst, kindAck)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(now))
	return binary.LittleEndian.AppendUint64(dst, position)
}

// AppendClock appends the entry that chooses the clock and moves it on to the instant to. The clock follows event times if byEvents, else the
// greatest stamp of an entry. It can be chosen only while there are no profiles: see applyClock.
func AppendClock(dst []byte, now int64, byEvents bool, to int64) []byte {
	dst = append(dst, kindClock)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(now))
	mode := byte(0)
	if byEvents {
		mode = 1
	}
	return binary.LittleEndian.AppendUint64(append(dst, mode), uint64(to))
}

// AppendCookbook appends the entry that puts a cookbook in force as the next version, at once: for a shard that is alone. Shards that must agree
// need AppendHold and AppendSwitch.
func AppendCookbook(dst []byte, now int64, sources []recipe.Source) []byte {
	return AppendSwitch(dst, now, 0, false, sources)
}

// AppendUnlink appends the entry that says: these two identifiers, normalised, are never one person. It belongs to the home of either, and happens at that
// shard's clock, unless AppendAsOf follows.
func AppendUnlink(dst []byte, now int64, namespaceA string, valueA []byte, namespaceB string, valueB []byte) []byte {
	dst = append(dst, kindUnlink)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(now))
	dst = appendBytes(appendBytes(dst, []byte(namespaceA)), valueA)
	return appendBytes(appendBytes(dst, []byte(namespaceB)), valueB)
}

func appendSources(dst []byte, sources []recipe.Source) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(sources)))
	for _, s := range sources {
		dst = appendBytes(dst, []byte(s.Name))
		dst = appendBytes(dst, s.Text)
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

var errShort = errors.New("entry is shorter than it says")

func readBytes(src []byte) (b, rest []byte, err error) {
	n, k := binary.Uvarint(src)
	if k <= 0 || n > uint64(len(src)-k) {
		return nil, nil, errShort
	}
	return src[k : k+int(n)], src[k+int(n):], nil
}

func readSources(src []byte) ([]recipe.Source, []byte, error) {
	n, k := binary.Uvarint(src)
	if k <= 0 || n > 10_000 {
		return nil, nil, fmt.Errorf("cannot read cookbook of %d recipes: %w", n, errShort)
	}
	src = src[k:]
	sources := make([]recipe.Source, 0, n)
	for range n {
		name, rest, err := readBytes(src)
		if err != nil {
			return nil, nil, err
		}
		text, rest, err := readBytes(rest)
		if err != nil {
			return nil, nil, err
		}
		sources = append(sources, recipe.Source{Name: string(name), Text: append([]byte(nil), text...)})
		src = rest
	}
	return sources, src, nil
}
