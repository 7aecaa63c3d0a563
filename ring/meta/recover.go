package meta

import (
	"cmp"
	"slices"
)

// Recovery is how all shards went back to a cut, after a majority of the replicas of one of them may have lost what it had acknowledged. It is under way until
// Until is set, and is kept after that for whoever asks what happened.
//
//  1. A member whose log may have lost its end says so (Suspect), and opens no replica.
//  2. When a shard has no majority left that can be trusted (Lost), the recovery begins (Recover): all members close their replicas, and say what they have.
//  3. Whoever leads the directory finds the cut, and commits from which replica every shard goes on, and from which entry (Reform). Shards are of another generation
//     from then on, with one replica each.
//  4. The sources begin the groups anew, and say so (Formed). With the last of them it is over; moves bring the other replicas.
type Recovery struct {
	Since int64 // milliseconds since 1970
	Until int64 // 0: under way
	Lost  []uint32
	Cuts  []Cut // by shard; empty until they are known
}

// Cut is where one shard goes on.
type Cut struct {
	Source Replica
	Term   uint64
	Index  uint64 // the last entry of the log that counts
	Gone   uint64 // entries after it that the source had
	Made   uint64 // activations that the shard had made at that entry
	Now    int64  // the shard's clock at that entry
}

// Recovering says whether a recovery is under way.
func (s *State) Recovering() bool { return s.Recovery != nil && s.Recovery.Until == 0 }

// Lost are the shards without a majority of replicas that can be trusted to have what was acknowledged: those whose member still has their incarnation and
// does not suspect its log.
func (s *State) Lost() (lost []uint32) {
	if len(s.Suspects) == 0 {
		return nil
	}
	for i := range s.Shards {
		trusted := 0
		for _, r := range s.Shards[i].Replicas {
			if s.Present(r) && !slices.Contains(s.Suspects, r) {
				trusted++
			}
		}
		if n := len(s.Shards[i].Replicas); n > 0 && trusted <= n/2 {
			lost = append(lost, uint32(i))
		}
	}
	return lost
}

// MaxGenerations bounds how often shards can go back.
const MaxGenerations = 250

// Suspect says that a member's log may have lost its end, and so all replicas that the member has had until now.
type Suspect struct{ Member Replica }

// Recover begins a recovery.
type Recover struct{}

// Reform says from where every shard goes on, and which version of the cookbook all have there.
type Reform struct {
	Switched uint64
	Cuts     []Cut
}

func (*Suspect) kind() byte { return kindSuspect }
func (*Recover) kind() byte { return kindRecover }
func (*Reform) kind() byte  { return kindReform }

func (c *Suspect) apply(s *State, _ int64) *Rejection {
	if !s.Present(c.Member) {
		return reject(Unknown, "there is no member %q of incarnation %x", c.Member.Member, c.Member.Incarnation)
	}
	if !slices.Contains(s.Suspects, c.Member) {
		s.Suspects = append(slices.Clone(s.Suspects), c.Member)
	}
	return nil
}

func (c *Recover) apply(s *State, now int64) *Rejection {
	lost := s.Lost()
	switch {
	case s.Recovering():
		return reject(Busy, "a recovery is under way")
	case len(lost) == 0:
		return reject(Invalid, "no shard has lost its majority")
	case s.Generation == MaxGenerations:
		return reject(Invalid, "shards have gone back %d times, which is as often as they can", s.Generation)
	}
	s.Recovery = &Recovery{Since: now, Lost: lost}
	return nil
}

func (c *Reform) apply(s *State, _ int64) *Rejection {
	switch {
	case !s.Recovering() || len(s.Recovery.Cuts) > 0:
		return reject(Invalid, "no recovery waits for a cut")
	case len(c.Cuts) != len(s.Shards):
		return reject(Invalid, "cuts of %d shards, there are %d", len(c.Cuts), len(s.Shards))
	}
	for i := range c.Cuts {
		if !s.Present(c.Cuts[i].Source) {
			return reject(Unknown, "there is no member %q of incarnation %x", c.Cuts[i].Source.Member, c.Cuts[i].Source.Incarnation)
		}
	}
	r := *s.Recovery
	r.Cuts = c.Cuts
	s.Recovery, s.Suspects, s.Moves, s.Switched = &r, nil, nil, c.Switched
	s.Generation++
	s.Shards = make([]Shard, len(c.Cuts))
	for i := range c.Cuts {
		s.Shards[i].Replicas = []Replica{c.Cuts[i].Source}
	}
	s.Placed = s.Epoch
	return nil
}

// recovered ends a recovery when all shards exist again.
func (s *State) recovered(now int64) {
	if !s.Recovering() || slices.ContainsFunc(s.Shards, func(sh Shard) bool { return !sh.Formed }) {
		return
	}
	r := *s.Recovery
	r.Until = cmp.Or(now, r.Since, 1)
	s.Recovery = &r
}

func appendCut(dst []byte, c *Cut) []byte {
	dst = appendReplica(dst, &c.Source)
	for _, v := range []uint64{c.Term, c.Index, c.Gone, c.Made, uint64(c.Now)} {
		dst = appendU64(dst, v)
	}
	return dst
}

func readCut(r *reader) Cut {
	return Cut{Source: readReplica(r), Term: r.u64(), Index: r.u64(), Gone: r.u64(), Made: r.u64(), Now: int64(r.u64())}
}

func (c *Suspect) appendTo(dst []byte) []byte { return appendReplica(dst, &c.Member) }
func (c *Recover) appendTo(dst []byte) []byte { return dst }
func (c *Reform) appendTo(dst []byte) []byte {
	return appendAll(appendUint(dst, c.Switched), c.Cuts, appendCut)
}

func (s *State) appendRecovery(dst []byte) []byte {
	dst = appendAll(appendUint(dst, s.Generation), s.Suspects, appendReplica)
	r := s.Recovery
	if r == nil {
		return append(dst, 0)
	}
	dst = appendU64(appendU64(append(dst, 1), uint64(r.Since)), uint64(r.Until))
	return appendAll(appendAll(dst, r.Lost, appendNumber), r.Cuts, appendCut)
}

func (s *State) readRecovery(r *reader) {
	s.Generation, s.Suspects = r.uint(MaxGenerations), readAll(r, 1<<16, readReplica)
	if r.bool() {
		s.Recovery = &Recovery{Since: int64(r.u64()), Until: int64(r.u64()), Lost: readAll(r, MaxShards, readNumber), Cuts: readAll(r, MaxShards, readCut)}
	}
}
