package shard

import (
	"encoding/binary"
	"math"

	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
)

// A cookbook is switched while nothing is under way. An event that one shard has read under the old cookbook and another shard would read under
// the new one may be lost or counted twice, because under the new one another of its identifiers may decide to which shard it goes. And a message
// between two shards can only be read under the program that wrote it. So whoever switches a cluster
//
//  1. holds every shard (AppendHold): it takes no more events, and its clock stands still, so that nothing new begins by itself;
//  2. takes the greatest mark of every stream as the limit up to which the shards still take events, and waits until all have come there and
//     all messages have arrived: the reports say so;
//  3. tries the cookbook on every shard, while nothing can change their answers;
//  4. puts it in force on one shard after the other, which releases it.
//
// Every entry carries the version of the cookbook that is on its way, and does nothing the second time, so anybody may repeat any of them
// after a crash, and two may do it at once. The limits come out the same, since a held shard takes nothing beyond the greatest mark.

// hold says which cookbook is on its way to this shard.
type hold struct {
	version uint64
	limits  []Limit
	tried   bool // the cookbook has been tried: so all shards were at rest then
}

// Limit is an offset of a stream: the last that a held shard takes, or, in a Report, its mark.
type Limit struct {
	Stream Stream
	Offset int64
}

// limit is the last offset of a stream that a held shard takes; -1: it takes none.
func (h *hold) limit(stream Stream) int64 {
	for i := range h.limits {
		if h.limits[i].Stream == stream {
			return h.limits[i].Offset
		}
	}
	return -1
}

// Limit is the last offset of a stream that the shard takes for now; MaxInt64 when it is not held.
func (s *Shard) Limit(stream Stream) int64 {
	if s.held == nil {
		return math.MaxInt64
	}
	return s.held.limit(stream)
}

// Held is the version of the cookbook that the shard is held for; 0 when it is not.
func (s *Shard) Held() uint64 {
	if s.held == nil {
		return 0
	}
	return s.held.version
}

// Version is the version of the cookbook in force; 0 before the first.
func (s *Shard) Version() uint64 { return s.version }

// AppendHold appends the entry that holds a shard for a version of the cookbook, and gives it limits if there are any. The result has a Report.
func AppendHold(dst []byte, now int64, version uint64, limits []Limit) []byte {
	dst = append(dst, kindHold)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(now))
	dst = binary.LittleEndian.AppendUint64(dst, version)
	return appendLimits(dst, limits)
}

// AppendSwitch appends the entry that puts a version of the cookbook in force on a shard that is held for it, and releases the shard. With try it
// changes nothing, and the result says whether that could be done.
func AppendSwitch(dst []byte, now int64, version uint64, try bool, sources []recipe.Source) []byte {
	dst = append(dst, kindCookbook)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(now))
	dst = binary.LittleEndian.AppendUint64(dst, version)
	if try {
		return appendSources(append(dst, 1), sources)
	}
	return appendSources(append(dst, 0), sources)
}

// Report is what a shard says of itself while a cookbook is switched.
type Report struct {
	Version uint64  // of the cookbook in force
	Held    uint64  // version of the cookbook that it is held for; 0: it is not held
	Waiting bool    // messages for other shards have not been acknowledged
	Sent    uint64  // messages for other shards, ever
	Marks   []Limit // ascending by stream
}

func (s *Shard) report() *Report {
	return &Report{Version: s.version, Held: s.Held(), Waiting: s.peerBytes > 0, Sent: s.sent(), Marks: s.sortedMarks()}
}

// Append appends the report's bytes to dst.
func (r *Report) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, r.Version)
	dst = binary.LittleEndian.AppendUint64(dst, r.Held)
	waiting := byte(0)
	if r.Waiting {
		waiting = 1
	}
	dst = binary.LittleEndian.AppendUint64(append(dst, waiting), r.Sent)
	return appendLimits(dst, r.Marks)
}

// ReadReport reads what Append wrote.
func ReadReport(src []byte) (*Report, error) {
	if len(src) < 25 {
		return nil, errShort
	}
	r := &Report{Version: le64(src), Held: le64(src[8:]), Waiting: src[16] == 1, Sent: le64(src[17:])}
	marks, rest, err := readLimits(src[25:])
	if err == nil && len(rest) > 0 {
		err = errShort
	}
	r.Marks = marks
	return r, err
}

func appendLimits(dst []byte, limits []Limit) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(limits)))
	for _, l := range limits {
		dst = append(dst, l.Stream.Topic[:]...)
		dst = binary.LittleEndian.AppendUint32(dst, l.Stream.Partition)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(l.Offset))
	}
	return dst
}

const limitBytes = 16 + 4 + 8

func readLimits(src []byte) (limits []Limit, rest []byte, err error) {
	n, src, err := uvarint(src)
	if err != nil || n > uint64(len(src))/limitBytes {
		return nil, nil, errShort
	}
	for range n {
		var l Limit
		copy(l.Stream.Topic[:], src)
		l.Stream.Partition, l.Offset = binary.LittleEndian.Uint32(src[16:]), int64(le64(src[20:]))
		limits = append(limits, l)
		src = src[limitBytes:]
	}
	return limits, src, nil
}

func (s *Shard) applyHold(body []byte, r *Result) {
	if len(body) < 8 {
		r.refuse("hold of %d bytes", len(body))
		return
	}
	version := le64(body)
	limits, rest, err := readLimits(body[8:])
	if err != nil || len(rest) > 0 {
		r.refuse("hold of %d bytes is damaged", len(body))
		return
	}
	switch {
	case version <= s.version: // it has been switched: nothing is left to hold
	case s.held != nil && s.held.version > version:
		r.Outcome = Stale
	default:
		if s.held == nil {
			s.wakeAll() // what is due under the old cookbook happens under it
		}
		if s.held == nil || s.held.version < version {
			s.held = &hold{version: version}
		}
		if len(limits) > 0 {
			s.held.limits = limits
		}
	}
	r.Report = s.report()
}

// holdsOut says whether an entry of a kind has to wait because the shard is held: those that would set something new going. Whoever proposes one
// tries again.
func (s *Shard) holdsOut(kind byte) bool {
	switch kind {
	case kindBatch, kindTick, kindAck, kindCookbook, kindMessages, kindPeerAck, kindHold:
		return false
	}
	return s.held != nil
}

// Refuses says why a cookbook with these namespaces, of which only the names count, cannot follow the one in force, as far as that can be said
// without an entry; empty if it can.
func (s *Shard) Refuses(namespaces []event.Namespace) string { return s.reordered(namespaces) }

func (s *Shard) appendHold(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, s.version)
	if s.held == nil {
		return append(dst, 0)
	}
	dst = binary.LittleEndian.AppendUint64(append(dst, 1), s.held.version)
	tried := byte(0)
	if s.held.tried {
		tried = 1
	}
	return appendLimits(append(dst, tried), s.held.limits)
}

func (s *Shard) restoreHold(src []byte) (rest []byte, err error) {
	if len(src) < 9 || src[8] > 1 {
		return nil, errShort
	}
	s.version = le64(src)
	held, src := src[8] == 1, src[9:]
	if !held {
		return src, nil
	}
	if len(src) < 9 || src[8] > 1 {
		return nil, errShort
	}
	s.held = &hold{version: le64(src), tried: src[8] == 1}
	s.held.limits, src, err = readLimits(src[9:])
	return src, err
}

// sameRanks says whether all namespaces of was are among those of is, in the same order.
func sameRanks(was, is []event.Namespace) bool {
	for _, ns := range is {
		if len(was) > 0 && was[0].Name == ns.Name {
			was = was[1:]
		}
	}
	return len(was) == 0
}
