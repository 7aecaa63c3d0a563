package shard

import (
	"encoding/binary"
	"slices"

	"dashi/pipeline/activation"
)

// A shard that has gone back to a cut (cut.go) makes activations again that have left already: the same ones, where the order of events does not
// matter, but at other positions of the outbox. So before it takes anything else, an entry tells it which have left since the state that it has
// gone back to, and it makes each of them once without letting it leave. Those that are never made again stay in departed, so they are known:
// activations that left for a history that is no more.

// departed is how many times each activation has left that is still to be made again, by activation.Key, which is the same whenever it is made.
type departed map[[2]uint64]uint32

// Recover makes this state the first of another generation of the shard, which settles: it takes nothing before the entry of AppendDeparted. It is
// for whoever has just brought the shard to a cut, and then writes its snapshot.
func (s *Shard) Recover(generation uint64) { s.generation, s.settling = generation, true }

// Settling says whether the shard has gone back and has not been told yet what has left.
func (s *Shard) Settling() bool { return s.settling }

// Generation is how often all shards went back to a cut before this state.
func (s *Shard) Generation() uint64 { return s.generation }

// Dialect identifies how messages of this shard are written: only a shard of the same generation, under the same cookbook, takes them.
func (s *Shard) Dialect() uint64 {
	if s.program == nil {
		return 0
	}
	return s.program.Hash ^ s.generation*0x9e3779b97f4a7c15
}

// AppendDeparted appends the entry that ends the settling of a generation. position is the position of the outbox below which the sink has
// everything of the generation before; keys has one activation.Key for each activation that left from a position beyond those of this state.
func AppendDeparted(dst []byte, now int64, generation, position uint64, keys [][2]uint64) []byte {
	dst = append(dst, kindDeparted)
	for _, v := range []uint64{uint64(now), generation, position} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	for _, k := range keys {
		dst = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, k[0]), k[1])
	}
	return dst
}

func (s *Shard) applyDeparted(body []byte, r *Result) {
	if len(body) < 16 || len(body)%16 != 0 {
		r.refuse("departed of %d bytes", len(body))
		return
	}
	if generation := le64(body); !s.settling || generation != s.generation {
		return // it has been told
	}
	s.settling = false
	s.outbox.skip(le64(body[8:]))
	if s.departed == nil { // else it keeps what of an earlier generation has not been made again
		s.departed = departed{}
	}
	for body = body[16:]; len(body) > 0; body = body[16:] {
		s.departed[[2]uint64{le64(body), le64(body[8:])}]++
		s.counters.Departed++
	}
}

// EachDeparted calls fn for each activation that has left and has not been made again, with how many times that is, in no particular order.
func (s *Shard) EachDeparted(fn func(key [2]uint64, times uint32)) {
	for k, n := range s.departed {
		fn(k, n)
	}
}

// hasLeft says whether an activation has left before the shard went back, and crosses it off.
func (s *Shard) hasLeft(a *activation.Activation) bool {
	if s.people != nil {
		s = s.people
	}
	if len(s.departed) == 0 {
		return false
	}
	k := a.Key()
	n := s.departed[k]
	switch n {
	case 0:
		return false
	case 1:
		delete(s.departed, k)
	default:
		s.departed[k] = n - 1
	}
	s.counters.Remade++
	return true
}

func (s *Shard) appendRecovery(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, s.generation)
	settling := byte(0)
	if s.settling {
		settling = 1
	}
	dst = binary.AppendUvarint(append(dst, settling), uint64(len(s.departed)))
	keys := make([][2]uint64, 0, len(s.departed))
	for k := range s.departed {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [2]uint64) int { return slices.Compare(a[:], b[:]) })
	for _, k := range keys {
		dst = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, k[0]), k[1])
		dst = binary.LittleEndian.AppendUint32(dst, s.departed[k])
	}
	return dst
}

func (s *Shard) restoreRecovery(src []byte) (rest []byte, err error) {
	if len(src) < 9 || src[8] > 1 {
		return nil, errShort
	}
	s.generation, s.settling = le64(src), src[8] == 1
	n, src, err := uvarint(src[9:])
	if err != nil || n > uint64(len(src))/20 {
		return nil, errShort
	}
	if n > 0 {
		s.departed = departed{}
	}
	for range n {
		s.departed[[2]uint64{le64(src), le64(src[8:])}] = binary.LittleEndian.Uint32(src[16:])
		src = src[20:]
	}
	return src, nil
}
