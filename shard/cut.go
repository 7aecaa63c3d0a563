package shard

import "fmt"

// When a majority of the replicas of a shard has lost the end of its log, the shard goes on from what is left: an earlier state. The others may have
// heard more of it than that: its messages would be made again, perhaps others in another order, and those with the numbers that have been applied would be passed over.
// So all shards go back to a cut, a state of each such that nobody has heard what was never said:
//
//   - what a shard has taken of another, that one has sent;
//   - what a shard has forgotten because another had taken it, that one has taken;
//   - no shard has a cookbook that another neither has nor is at rest for: it has been tried there (hold.go).
//
// What is bounded by these only grows along a log, so there is one greatest cut: begin with the ends of all logs, and take back what breaks a rule until nothing does. What
// was read from Kafka and is lost by that is read again from the marks.

// Standing is what a shard is to the others after an entry of its log.
type Standing struct {
	Index   uint64   // of the entry
	Version uint64   // of the cookbook in force
	Ready   uint64   // version that it has, or is at rest for
	Sent    []uint64 // by shard: messages for it, ever
	Kept    []uint64 // by shard: the first of them that is kept, because it may not have been taken
	Taken   []uint64 // by shard: messages of it that were applied
	Made    uint64   // activations, ever
	Now     int64    // the shard's clock
}

// Trace is the standings of a shard along a log.
type Trace struct {
	shards  int
	from    uint64 // index of the state before the first entry
	to      uint64 // of the last entry
	version []point
	ready   []point
	sent    [][]point
	kept    [][]point
	taken   [][]point
	made    []point
	now     []point
}

// point says that something has a value from an index on.
type point struct{ index, value uint64 }

// NewTrace begins a trace of a shard of that many with the state that it has after an entry.
func NewTrace(shards int, index uint64, s *Shard) *Trace {
	t := &Trace{shards: shards, from: index, sent: make([][]point, shards), kept: make([][]point, shards), taken: make([][]point, shards)}
	t.Note(index, s)
	return t
}

// Note notes the state after the next entry.
func (t *Trace) Note(index uint64, s *Shard) {
	t.to = index
	note := func(points *[]point, value uint64) {
		if n := len(*points); n == 0 || (*points)[n-1].value != value {
			*points = append(*points, point{index, value})
		}
	}
	note(&t.version, s.version)
	note(&t.ready, s.ready())
	note(&t.made, s.outbox.next)
	note(&t.now, uint64(s.now))
	for i := range min(t.shards, len(s.peers)) {
		p := &s.peers[i]
		note(&t.sent[i], p.out.next)
		note(&t.kept[i], p.out.first)
		note(&t.taken[i], p.mark)
	}
}

// At is the standing after an entry.
func (t *Trace) At(index uint64) Standing {
	at := func(points []point) (value uint64) {
		for _, p := range points {
			if p.index > index {
				break
			}
			value = p.value
		}
		return value
	}
	all := func(points [][]point) []uint64 {
		values := make([]uint64, len(points))
		for i := range points {
			values[i] = at(points[i])
		}
		return values
	}
	return Standing{Index: index, Version: at(t.version), Ready: at(t.ready), Sent: all(t.sent), Kept: all(t.kept), Taken: all(t.taken), Made: at(t.made), Now: int64(at(t.now))}
}

// ready is the version of the cookbook that the shard has, or is at rest for.
func (s *Shard) ready() uint64 {
	if s.held != nil && s.held.tried {
		return s.held.version
	}
	return s.version
}

// Bounds are what the others leave to a shard.
type Bounds struct {
	Version uint64   // of the cookbook that all are ready for
	Sent    []uint64 // by shard: what it has sent to this one: no more can have been taken
	Taken   []uint64 // by shard: what it has taken of this one: no more can have been forgotten
}

// Within is the last standing that breaks no rule. It is false when the trace begins too late.
func (t *Trace) Within(b *Bounds) (Standing, bool) {
	last := int64(t.to)
	bound := func(points []point, most uint64) {
		for _, p := range points {
			if p.value > most {
				last = min(last, int64(p.index)-1)
				return
			}
		}
	}
	bound(t.version, b.Version)
	for i := range t.shards {
		bound(t.taken[i], b.Sent[i])
		bound(t.kept[i], b.Taken[i])
	}
	if last < int64(t.from) {
		return Standing{}, false
	}
	return t.At(uint64(last)), true
}

// Cut finds the greatest cut. within says what Trace.Within does of one shard; when it fails, so does Cut.
func Cut(shards int, within func(shard int, b *Bounds) (Standing, error)) ([]Standing, error) {
	const all = 1<<64 - 1
	cut := make([]Standing, shards)
	for i := range cut {
		open := Bounds{Version: all, Sent: make([]uint64, shards), Taken: make([]uint64, shards)}
		for j := range shards {
			open.Sent[j], open.Taken[j] = all, all
		}
		var err error
		if cut[i], err = within(i, &open); err != nil {
			return nil, err
		}
	}
	for again := true; again; {
		again = false
		version := uint64(all)
		for i := range cut {
			version = min(version, cut[i].Ready)
		}
		for i := range cut {
			b := Bounds{Version: version, Sent: make([]uint64, shards), Taken: make([]uint64, shards)}
			for j := range cut {
				b.Sent[j], b.Taken[j] = cut[j].Sent[i], cut[j].Taken[i]
			}
			if !b.broken(&cut[i]) {
				continue
			}
			next, err := within(i, &b)
			if err != nil {
				return nil, err
			}
			if next.Index >= cut[i].Index {
				return nil, fmt.Errorf("shard %d does not go back behind entry %d", i, cut[i].Index)
			}
			cut[i], again = next, true
		}
	}
	return cut, nil
}

// broken says whether a standing breaks a rule.
func (b *Bounds) broken(s *Standing) bool {
	if s.Version > b.Version {
		return true
	}
	for i := range b.Sent {
		if s.Taken[i] > b.Sent[i] || s.Kept[i] > b.Taken[i] {
			return true
		}
	}
	return false
}
