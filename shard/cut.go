package shard

import "fmt"

// When a majority of the replicas of a shard has lost the end of its log, the shard goes on from what is left: an earlier state. The other shards
// may have heard more from it than that state has said. It would make its messages again, perhaps different ones in a different order, and those
// whose numbers have been applied elsewhere would be passed over. So all shards go back to a cut: one state of each, such that nobody has heard
// what was never said:
//
//   - what a shard has taken of another, that one has sent;
//   - what a shard has forgotten because another had taken it, that one has taken;
//   - no shard has a cookbook that another neither has nor is at rest for: it has been tried there (hold.go).
//
// All that these rules bound only grows along a log, so there is one greatest cut: begin with the ends of all logs, and take back whatever breaks
// a rule until nothing does. Events that are lost by that are read again from Kafka, from the marks on.

// Standing is where a shard stands towards the others after an entry of its log.
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

// point says that something has this value from this index of the log on.
type point struct{ index, value uint64 }

// NewTrace begins a trace with the state that a shard, one of so many, has after the entry with that index.
func NewTrace(shards int, index uint64, s *Shard) *Trace {
	t := &Trace{shards: shards, from: index, sent: make([][]point, shards), kept: make([][]point, shards), taken: make([][]point, shards)}
	t.Note(index, s)
	return t
}

// Note adds the state after the next entry, which has that index.
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

// At is the standing after the entry with that index.
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
	Sent    []uint64 // by shard: messages that it has sent to this one; no more can have been taken
	Taken   []uint64 // by shard: messages that it has taken from this one; no more can have been forgotten
}

// Within is the last standing of the trace that keeps within the bounds. It is false when the trace begins too late to have one.
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

// Cut finds the greatest cut: a standing of each shard. within is Trace.Within of one shard; an error of it is returned.
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

// broken says whether a standing goes beyond the bounds.
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
