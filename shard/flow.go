package shard

import (
	"encoding/binary"
	"slices"

	"dashi/pipeline/recipe"
)

// FlowHours is for how many hours the shard keeps how many came and went: 14 days. An hour in which anything happened takes 12 bytes an audience
// and 4 an activation, so 50 audiences take 200 kB at most.
const FlowHours = 14 * 24

const hourMillis = 3600_000

// Flow is what became of an audience in an hour.
type Flow struct {
	Entered, Left uint32
	Size          uint32 // after the last of these; 0 in an hour without any
}

// hourFlows is what happened in an hour, by audience and by activation of the program. Hours are of the shard's time: with a clock of event
// times, those of history.
type hourFlows struct {
	at        int64 // when it began, milliseconds
	audiences []Flow
	sent      []uint32 // activations that left
}

// flowsAt is the hourFlows of the hour of an instant; nil when that is longer ago than FlowHours.
func (s *Shard) flowsAt(at int64) *hourFlows {
	at -= (at%hourMillis + hourMillis) % hourMillis
	i := len(s.flows)
	for i > 0 && s.flows[i-1].at > at {
		i--
	}
	if i > 0 && s.flows[i-1].at == at {
		return &s.flows[i-1]
	}
	if n := len(s.flows); n > 0 && at <= s.flows[n-1].at-FlowHours*hourMillis {
		return nil
	}
	s.flows = slices.Insert(s.flows, i, newHourFlows(at, s.program.Program))
	oldest := s.flows[len(s.flows)-1].at - FlowHours*hourMillis
	gone := 0
	for s.flows[gone].at <= oldest {
		gone++
	}
	s.flows = slices.Delete(s.flows, 0, gone)
	return &s.flows[i-gone]
}

func newHourFlows(at int64, p *recipe.Program) hourFlows {
	return hourFlows{at: at, audiences: make([]Flow, len(p.Audiences)), sent: make([]uint32, len(p.Activations))}
}

// crossed counts that somebody has entered audience i, or left it, at an instant. The bitmaps have that already.
func (s *Shard) crossed(i int, in bool, at int64) {
	h := s.flowsAt(at)
	if h == nil {
		return
	}
	f := &h.audiences[i]
	if in {
		f.Entered++
	} else {
		f.Left++
	}
	f.Size = uint32(s.members[i].GetCardinality())
}

// activationLeft counts that activation j has left, at an instant.
func (s *Shard) activationLeft(j int, at int64) {
	if h := s.flowsAt(at); h != nil {
		h.sent[j]++
	}
}

// carryFlows carries the flows of audiences and activations that both programs have over to the next one.
func (s *Shard) carryFlows(last, next *program) {
	audiences, activations := map[string]int{}, map[string]int{}
	for i := range last.Audiences {
		audiences[last.Audiences[i].Name] = i
	}
	for j := range last.Activations {
		activations[last.Activations[j].Name] = j
	}
	for k := range s.flows {
		was, is := s.flows[k], newHourFlows(s.flows[k].at, next.Program)
		for i := range next.Audiences {
			if o, ok := audiences[next.Audiences[i].Name]; ok {
				is.audiences[i] = was.audiences[o]
			}
		}
		for j := range next.Activations {
			if o, ok := activations[next.Activations[j].Name]; ok {
				is.sent[j] = was.sent[o]
			}
		}
		s.flows[k] = is
	}
}

// EachHour calls fn with the hours in which anything happened, oldest first. The slices are good inside fn only.
func (s *Shard) EachHour(fn func(at int64, audiences []Flow, sent []uint32)) {
	for i := range s.flows {
		fn(s.flows[i].at, s.flows[i].audiences, s.flows[i].sent)
	}
}

// Overlaps adds to dst[k], for each audience k, how many profiles are in both audience i and audience k.
func (s *Shard) Overlaps(i int, dst []int64) {
	if i >= len(s.members) {
		return
	}
	for k := range min(len(dst), len(s.members)) {
		dst[k] += int64(s.members[i].AndCardinality(s.members[k]))
	}
}

// appendFlows appends flows and goals.
func (s *Shard) appendFlows(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s.flows)))
	for i := range s.flows {
		h := &s.flows[i]
		dst = binary.AppendVarint(dst, h.at/hourMillis)
		for _, f := range h.audiences {
			dst = binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(dst, uint64(f.Entered)), uint64(f.Left)), uint64(f.Size))
		}
		for _, n := range h.sent {
			dst = binary.AppendUvarint(dst, uint64(n))
		}
	}
	return s.appendGoals(dst)
}

// restoreFlows reads what appendFlows wrote under the program in force.
func (s *Shard) restoreFlows(src []byte) ([]byte, error) {
	damaged := false
	number := func() uint32 {
		v, k := binary.Uvarint(src)
		if k <= 0 || v > 1<<32-1 {
			damaged = true
			return 0
		}
		src = src[k:]
		return uint32(v)
	}
	for range min(number(), FlowHours+1) {
		at, k := binary.Varint(src)
		if k <= 0 || damaged {
			return nil, errShort
		}
		src = src[k:]
		h := newHourFlows(at*hourMillis, s.program.Program)
		for i := range h.audiences {
			h.audiences[i] = Flow{number(), number(), number()}
		}
		for j := range h.sent {
			h.sent[j] = number()
		}
		s.flows = append(s.flows, h)
	}
	if damaged {
		return nil, errShort
	}
	return s.restoreGoals(src)
}
