package shard

import (
	"dashi/pipeline/expr"
	"dashi/shard/profile"
)

// Lookup fills v with the profile of an identifier and says whether there is one. value is normalised, hash is
// identity.Hash of both. It does not allocate once v has been used.
func (s *Shard) Lookup(namespace, value []byte, hash uint64, v *View) bool {
	for i, name := range s.namespaces {
		if string(namespace) != name {
			continue
		}
		ref, found := s.table.Find(hash, uint8(i), value)
		if found {
			s.view(s.table.Record(ref), v)
		}
		return found
	}
	return false
}

// view fills v with one record.
func (s *Shard) view(rec profile.Record, v *View) {
	p := s.program
	v.Program = p.Program
	if cap(v.Env.Audiences) < p.words {
		v.Env.Audiences = make([]uint64, p.words)
	}
	v.Env.Audiences = v.Env.Audiences[:p.words]
	v.Env.Event, v.Env.Now, v.Env.Item, v.Env.Scratch = nil, s.clockFor(v.At, rec), 0, v.Env.Scratch[:0]
	p.env(&v.Env, rec)
	v.Version = rec.Version()
	v.since = rec.Segment(p.since)
	v.Identifiers = append(v.Identifiers[:0], Identifier{
		Namespace: s.namespaces[rec.Namespace()],
		Value:     rec.Key(),
		FirstSeen: rec.First(),
		LastSeen:  rec.Last(),
	})
}

// AudienceSize is the number of profiles in the audience with that index.
func (s *Shard) AudienceSize(i int) int {
	if i >= len(s.members) {
		return 0
	}
	return int(s.members[i].GetCardinality())
}

// Members calls fn for the members of audience i with an ordinal of at least from, in the order of their ordinals,
// until fn returns false. It returns the ordinal to go on from, and whether there may be more. The view is good
// inside fn only.
func (s *Shard) Members(i int, from uint32, v *View, fn func(v *View) bool) (next uint32, more bool) {
	if i >= len(s.members) {
		return 0, false
	}
	it := s.members[i].Iterator()
	it.AdvanceIfNeeded(from)
	for it.HasNext() {
		o := it.Next()
		ref, ok := s.table.ByOrdinal(o)
		if !ok {
			panic("BUG: a member of an audience has no record")
		}
		s.view(s.table.Record(ref), v)
		if !fn(v) {
			return o + 1, true
		}
	}
	return 0, false
}

// Scan calls fn for the profiles with an ordinal in [from, from+limit) for which the condition is true. It returns the ordinal
// to go on from, and whether there may be more.
func (s *Shard) Scan(condition expr.Bool, from, limit uint32, v *View, fn func(v *View) bool) (next uint32, more bool) {
	if s.program == nil {
		return 0, false
	}
	end := s.table.Ordinals()
	for o := from; o < end; o++ {
		if o-from == limit {
			return o, true
		}
		ref, ok := s.table.ByOrdinal(o)
		if !ok {
			continue
		}
		s.view(s.table.Record(ref), v)
		if condition(&v.Env) == expr.True && !fn(v) {
			return o + 1, true
		}
	}
	return 0, false
}

// Outbox calls fn for the entries of the outbox from a position on, in order, until it returns false. The slices are good
// for as long as the caller holds the shard for reading.
func (s *Shard) Outbox(from uint64, fn func(position uint64, key, payload []byte) bool) {
	s.outbox.each(from, fn)
}

// Stats is what there is to know about a shard.
type Stats struct {
	Counters
	Now           int64
	Profiles      int
	Bytes         int64 // of the table
	OutboxEntries uint64
	OutboxBytes   int64
	OutboxFirst   uint64 // position of the oldest entry held
	OutboxNext    uint64
	RecentIDs     int   // message ids held
	RecentBytes   int64 // memory they take
	RecentSince   int64 // shard time since which all of them are held, 0: since the beginning
	ByEvents      bool  // the clock follows event times
	Timers        int   // profiles that will wake
	TimerBytes    int64
	Late          int64 // by how many milliseconds the first timer that is due is late
}

// Stats returns the figures of this moment.
func (s *Shard) Stats() Stats {
	st := Stats{
		Counters:      s.counters,
		Now:           s.Now(),
		OutboxEntries: s.outbox.next - s.outbox.first,
		OutboxBytes:   s.outbox.bytes,
		OutboxFirst:   s.outbox.first,
		OutboxNext:    s.outbox.next,
		RecentSince:   s.recent.since,
		ByEvents:      s.byEvents,
		Timers:        s.timers.Len(),
		TimerBytes:    s.timers.Bytes(),
		Late:          s.now - min(s.first, s.now),
	}
	st.RecentIDs, st.RecentBytes = s.recent.held()
	if s.table != nil {
		st.Profiles, st.Bytes = s.table.Len(), s.table.Bytes()
	}
	return st
}

// Marks calls fn for the mark of every stream, in no particular order.
func (s *Shard) Marks(fn func(Stream, int64)) {
	for stream, mark := range s.marks {
		fn(stream, mark)
	}
}

// Check evaluates every audience of every profile and returns the first disagreement with the membership bits and the
// bitmaps (I6): the oracle of tests, and of whoever suspects a fault. It takes its time.
func (s *Shard) Check() error { return s.check() }

// Touch reads the memory that look-ups with these hashes will need, so that the cache misses of many overlap.
func (s *Shard) Touch(hashes []uint64) {
	if s.table != nil {
		s.table.Touch(hashes)
	}
}
