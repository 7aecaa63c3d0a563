package shard

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
)

// Levels are thresholds among all profiles of all shards: who are the top tenth by a score? No shard knows that by itself, so whoever
// can read all of them does so on each hour (EachNumber, recipe.Level.Of) and tells every shard by an entry. In between the thresholds stand
// still: a profile moves past them by what happens to it, and never by what happens to others, so nobody goes to and fro because a
// stranger has bought something. When a threshold has changed, all profiles wake, so many an entry, each at that instant.

// How often levels are found out, in milliseconds: on the hour, and each minute while one of them is unknown because nobody had a number for it.
const (
	levelPeriod  = 3600_000
	unknownLevel = 60_000
)

// AppendLevels appends the entry that says what the thresholds are as of the instant as, in the order of the Levels of the program with that hash.
func AppendLevels(dst []byte, now int64, program uint64, as int64, levels []float64) []byte {
	dst = append(dst, kindLevels)
	for _, v := range []uint64{uint64(now), program, uint64(as)} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	return appendLevels(dst, levels)
}

func appendLevels(dst []byte, levels []float64) []byte {
	for _, v := range levels {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return dst
}

// applyLevels puts thresholds in force. Those that are not newer than what is in force change nothing.
func (s *Shard) applyLevels(body []byte, r *Result) {
	if len(body) < 16 || len(body)%8 != 0 {
		r.refuse("levels entry of %d bytes is damaged", len(body))
		return
	}
	program, as := le64(body), int64(le64(body[8:]))
	body = body[16:]
	switch {
	case s.program == nil || s.program.Hash != program:
		r.Outcome = Stale
		return
	case len(body) != 8*len(s.program.levels):
		r.refuse("%d levels of %d", len(body)/8, len(s.program.levels))
		return
	case as <= s.levelsAt, s.byEvents && as > s.now: // found out before the clock was told to follow events
		return
	}
	s.levelsAt = as
	if !bytes.Equal(body, appendLevels(nil, s.program.levels)) {
		readLevels(body, s.program.levels)
		s.wakeEveryone()
	}
}

func readLevels(src []byte, levels []float64) {
	for i := range levels {
		levels[i] = math.Float64frombits(le64(src[8*i:]))
	}
}

// wakeEveryone makes all profiles wake as soon as possible.
func (s *Shard) wakeEveryone() {
	for it := s.everyone.Iterator(); it.HasNext(); {
		ref, found := s.table.ByOrdinal(it.Next())
		if !found {
			panic("BUG: a profile has no record")
		}
		rec := s.table.Record(ref)
		s.wakeBy(rec.Ordinal(), s.clockFor(s.now, rec))
	}
}

// unknownLevels are those of a program of which nothing is known yet.
func unknownLevels(p *recipe.Program) []float64 {
	levels := make([]float64, len(p.Levels))
	for i := range levels {
		levels[i] = math.NaN()
	}
	return levels
}

// carryLevels keeps the levels that both programs have. If the next one has any others, all are to be found out anew.
func (s *Shard) carryLevels(last, next *program) {
	for i, l := range next.Levels {
		k := slices.IndexFunc(last.Levels, func(o recipe.Level) bool { return o.ID == l.ID })
		if k < 0 {
			s.levelsAt = NoTime
			continue
		}
		next.levels[i] = last.levels[k]
	}
}

// Levels are the thresholds in force and as of when they are, and the instant as of which they should be, if wall is the time of day. The
// slice must not be written to; it is good while the caller holds the shard for reading.
func (s *Shard) Levels(wall int64) (levels []float64, as, wanted int64) {
	if s.program == nil || len(s.program.levels) == 0 {
		return nil, 0, 0
	}
	now := s.now // with a clock of event times: what the whole shard has been moved to
	if !s.byEvents {
		now = max(now, min(wall, maxNow))
	}
	return s.program.levels, s.levelsAt, levelsFrom(now, s.program.levels)
}

// levelsFrom is the instant as of which levels should have been found out by now, if they are these.
func levelsFrom(now int64, levels []float64) int64 {
	period := periodOf(levels)
	return now - (now%period+period)%period
}

func periodOf(levels []float64) int64 {
	if slices.ContainsFunc(levels, math.IsNaN) {
		return unknownLevel
	}
	return levelPeriod
}

// NextLevels says of an audience that compares people, itself or by what it reads of other audiences, when the thresholds are found out next, and whether
// nothing is known yet of one that it reads. reads is false for any other audience.
func (v *View) NextLevels(audience int) (next int64, unknown, reads bool) {
	for _, i := range levelsOf(v.Program, audience, nil, map[int]bool{}) {
		reads = true
		unknown = unknown || i >= len(v.Env.Levels) || math.IsNaN(v.Env.Levels[i])
	}
	return levelsFrom(v.Env.Now, v.Env.Levels) + periodOf(v.Env.Levels), unknown, reads
}

// levelsOf appends the levels that an audience reads, those of audiences in its condition too.
func levelsOf(p *recipe.Program, audience int, all []int, seen map[int]bool) []int {
	if seen[audience] {
		return all
	}
	seen[audience] = true
	d := &p.Audiences[audience]
	all = append(all, d.Levels...)
	for _, other := range d.Nested {
		all = levelsOf(p, other, all, seen)
	}
	return all
}

// EachNumber appends the number that a level compares, of each profile with an ordinal in [from, from+limit) that has one, as of v.At or the last
// entry, whichever is later. It returns the ordinal to go on from, and whether there may be more.
func (s *Shard) EachNumber(dst []float64, level *recipe.Level, from, limit uint32, v *View) (all []float64, next uint32, more bool) {
	next, more = s.Scan(func(env *expr.Env) expr.Truth {
		if n, ok := s.program.Attributes[level.Attribute].Num(env); ok {
			dst = append(dst, n)
		}
		return expr.False
	}, from, limit, v, nil)
	return dst, next, more
}
