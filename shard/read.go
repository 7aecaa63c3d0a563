package shard

import (
	"slices"

	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// Lookup fills v with the profile of an identifier whose home is here, and says whether there is one. value is normalised, hash is
// identity.Hash of namespace and value. If there is none, v.Next may say where the identifier lies: ask LookupVia there. Lookup does not allocate
// once v has been used.
func (s *Shard) Lookup(namespace, value []byte, hash uint64, v *View) bool {
	v.Next.Known, v.Moving, v.Junk = false, false, false
	if s.accounts != nil && string(namespace) == recipe.AccountNamespace {
		k := key{accountNamespace, hash, value}
		return s.accounts.lookup(k, k, v)
	}
	ns := s.namespaceNumber(namespace)
	if ns < 0 {
		return false
	}
	k := key{uint8(ns), hash, value}
	return s.lookup(k, k, v)
}

// LookupVia is Lookup on the shard that is the home of at, a copy of v.Next as another shard has filled it in; at must not point into v. An
// identifier that is on its way between two shards is found on neither: then v.Moving says so.
func (s *Shard) LookupVia(at *Place, namespace, value []byte, hash uint64, v *View) bool {
	ns, via := s.namespaceNumber(namespace), slices.Index(s.namespaces, at.Namespace)
	v.Next.Known, v.Moving, v.Junk = false, false, false
	if ns < 0 || via < 0 {
		return false
	}
	return s.lookup(key{uint8(via), at.Hash, at.Value}, key{uint8(ns), hash, value}, v)
}

// namespaceNumber is the shard's number of a namespace, -1 for none.
func (s *Shard) namespaceNumber(name []byte) int {
	for i := range s.namespaces {
		if s.namespaces[i] == string(name) {
			return i
		}
	}
	return -1
}

// lookup looks for k in the component of to, which is k itself or an identifier that a pointer of k led to.
func (s *Shard) lookup(to, k key, v *View) bool {
	if s.program == nil {
		return false
	}
	root, ref, where := s.place(to, &v.place)
	switch where {
	case unknown:
		v.Moving = !to.is(k) // to was erased meanwhile: the pointer that led here is about to change
		return false
	case between:
		v.Moving = true
		return false
	case elsewhere:
		v.Next = Place{Known: true, Namespace: s.namespaces[root.ns], Value: append(v.Next.Value[:0], root.value...), Hash: root.hash}
		return false
	}
	rec := s.table.Record(ref)
	segment := rec.Segment(s.program.links)
	if len(segment) == 0 {
		if !root.is(k) {
			v.Moving = true
			return false
		}
		if s.fill(rec, v); !v.Bare {
			v.fillIdentifier()
		}
		return true
	}
	v.readComponent(segment, keyOf(rec))
	i := v.linked.index(k)
	if i < 0 {
		v.Moving = true
		return false
	}
	n := v.linked.idents[i].profile
	name := s.key(v.linked.idents[n].ns, v.linked.idents[n].value)
	found := true
	if n > 0 {
		if ref, found = s.table.Find(name.hash, name.ns, name.value); found {
			rec = s.table.Record(ref)
		}
	}
	if !found || rec.Version() == 0 {
		v.Junk = v.linked.idents[i].saturated
		return false
	}
	if s.fill(rec, v); !v.Bare {
		v.fillIdentifiers(n)
	}
	return true
}

// view fills v with the profile of a record.
func (s *Shard) view(rec profile.Record, v *View) {
	s.fill(rec, v)
	segment := rec.Segment(s.program.links)
	if len(segment) == 0 {
		v.fillIdentifier()
		return
	}
	if root, part := s.rootOf(segment); part {
		ref, found := s.table.Find(root.hash, root.ns, root.value)
		if !found {
			panic("BUG: the root of a profile is not there")
		}
		segment = s.table.Record(ref).Segment(s.program.links)
		v.readComponent(segment, keyOf(s.table.Record(ref)))
	} else {
		v.readComponent(segment, keyOf(rec))
	}
	v.fillIdentifiers(v.linked.index(keyOf(rec)))
}

// fillIdentifier fills in the only identifier of a profile that is linked with nobody.
func (v *View) fillIdentifier() {
	v.Identifiers = append(v.Identifiers[:0], Identifier{
		Namespace: v.namespaces[v.rec.Namespace()],
		Value:     v.rec.Key(),
		FirstSeen: v.rec.First(),
		LastSeen:  v.rec.Last(),
	})
	v.linked.clear()
	v.Refused, v.links = [len(identity.Verdicts)]int{}, nil
}

// readComponent reads the component of a profile, out of the last segment of its root's record.
func (v *View) readComponent(segment []byte, root key) {
	if _, err := v.linked.read(segment[1:], nil, root); err != nil {
		panic("BUG: the component in a record cannot be read: " + err.Error())
	}
	v.links = segment
}

// fillIdentifiers fills in the identifiers of profile n of v.linked, and counts the links that were refused to them.
func (v *View) fillIdentifiers(n int) {
	v.Identifiers, v.Refused, v.member = v.Identifiers[:0], [len(identity.Verdicts)]int{}, n
	for i := range v.linked.idents {
		d := &v.linked.idents[i]
		if d.profile == n {
			v.Identifiers = append(v.Identifiers, Identifier{
				Namespace: v.namespaces[d.ns], Value: d.value, FirstSeen: d.first, LastSeen: d.last, Saturated: d.saturated,
			})
		}
	}
	for i := range v.linked.facts.Links {
		l := &v.linked.facts.Links[i]
		if l.Verdict != identity.Joined && !l.Cut && (v.linked.idents[l.A].profile == n || v.linked.idents[l.B].profile == n) {
			v.Refused[l.Verdict]++
		}
	}
}

// fill fills in all of v but the identifiers.
func (s *Shard) fill(rec profile.Record, v *View) {
	if v.namespaces = s.namespaces; s.people != nil {
		v.spaces = s.people.namespaces
	}
	v.fill(s.program, rec, s.clockFor(v.At, rec))
}

// fill fills in what stands in a record under a program, as of now.
func (v *View) fill(p *program, rec profile.Record, now int64) {
	v.Program, v.rec, v.since, v.Identifiers = p.Program, rec, p.since, v.Identifiers[:0]
	if cap(v.Env.Audiences) < p.words {
		v.Env.Audiences = make([]uint64, p.words)
	}
	v.Env.Audiences = v.Env.Audiences[:p.words]
	v.Env.Event, v.Env.Now, v.Env.Item, v.Env.Scratch = nil, now, 0, v.Env.Scratch[:0]
	p.env(&v.Env, rec)
	v.Version = rec.Version()
	if v.accounts = p.of; p.of != nil {
		v.people = gathering{rec.Segment(p.crowd), crowdWidth(p.of.Items)}
	}
}

// AudienceSize is the number of profiles in the audience with that index. The audiences of accounts follow those of people.
func (s *Shard) AudienceSize(i int) int {
	if i >= len(s.members) {
		if s.accounts != nil {
			return s.accounts.AudienceSize(i - len(s.members))
		}
		return 0
	}
	return int(s.members[i].GetCardinality())
}

// Members calls fn for the members of audience i with an ordinal of at least from, in the order of their ordinals, until fn returns false. It
// returns the ordinal to go on from, and whether there may be more. i counts as for AudienceSize. The view is good inside fn only.
func (s *Shard) Members(i int, from uint32, v *View, fn func(v *View) bool) (next uint32, more bool) {
	if i >= len(s.members) {
		if s.accounts != nil {
			return s.accounts.Members(i-len(s.members), from, v, fn)
		}
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

// Scan calls fn for the profiles with an ordinal in [from, from+limit) for which the condition is true, until fn returns false. It returns the
// ordinal to go on from, and whether there may be more. The view is good inside fn only.
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
		rec := s.table.Record(ref)
		if rec.Version() == 0 {
			continue // it only holds a component
		}
		s.fill(rec, v)
		if condition(&v.Env) != expr.True {
			continue
		}
		if s.view(rec, v); !fn(v) {
			return o + 1, true
		}
	}
	return 0, false
}

// Accounts are the accounts whose home is here, as a shard that may be read as this one is, under the same lock; nil if the cookbook has none.
func (s *Shard) Accounts() *Shard { return s.accounts }

// Outbox calls fn for the entries of the outbox from a position on, in order, until it returns false. The slices are good
// for as long as the caller holds the shard for reading.
func (s *Shard) Outbox(from uint64, fn func(position uint64, key, payload []byte) bool) {
	s.outbox.each(from, fn)
}

// Stats is what there is to know about a shard.
type Stats struct {
	Counters
	Now           int64 // the shard's clock, milliseconds
	Profiles      int
	Accounts      int
	Bytes         int64 // of the tables
	OutboxEntries uint64
	OutboxBytes   int64
	OutboxFirst   uint64 // position of the oldest entry held
	OutboxNext    uint64
	PeerBytes     int64  // messages that wait for other shards
	Sent          uint64 // messages for other shards, acknowledged or not
	Parked        int    // messages that wait here for a component that is on its way
	Pointers      int    // identifiers whose home is here that lie in another one's component
	RecentIDs     int    // message ids held
	RecentBytes   int64  // memory they take
	RecentSince   int64  // shard time after which all of them are held, 0: since the beginning
	ByEvents      bool   // the clock follows event times
	Timers        int    // profiles that will wake
	TimerBytes    int64
	Late          int64 // by how many milliseconds the first timer that is due is late
	Settling      bool  // the shard has gone back, and waits to be told what has left
}

// Stats returns the figures of this moment.
func (s *Shard) Stats() Stats {
	load := s.Load()
	st := Stats{
		Counters:      *s.counters,
		Bytes:         load.Profiles,
		Now:           s.Now(),
		OutboxEntries: s.outbox.next - s.outbox.first,
		OutboxBytes:   load.Outbox,
		OutboxFirst:   s.outbox.first,
		OutboxNext:    s.outbox.next,
		PeerBytes:     load.Peers,
		Sent:          s.sent(),
		Parked:        len(s.parked),
		Pointers:      s.pointers.used,
		RecentSince:   s.recent.since,
		ByEvents:      s.byEvents,
		Timers:        s.timers.Len(),
		TimerBytes:    s.timers.Bytes(),
		Late:          s.now - min(s.first, s.now),
		Settling:      s.settling,
	}
	st.RecentIDs, st.RecentBytes = s.recent.held()
	if s.table != nil {
		st.Profiles = s.profiles()
	}
	if in := s.accounts; in != nil {
		st.Accounts = in.profiles()
		st.Timers += in.timers.Len()
		st.TimerBytes += in.timers.Bytes()
		st.Late = max(st.Late, in.now-min(in.first, in.now))
	}
	return st
}

// Load is what the shard holds of what has a limit, in bytes.
type Load struct {
	Profiles int64 // memory of the tables
	Outbox   int64 // activations that the sink has not taken
	Peers    int64 // messages that other shards have not taken
}

// Load is cheap: a node asks every shard once a millisecond.
func (s *Shard) Load() Load {
	l := Load{Outbox: s.outbox.bytes, Peers: s.peerBytes}
	if s.table != nil {
		l.Profiles = s.table.Bytes() + s.fragments.Bytes() + s.pointers.held()
	}
	if in := s.accounts; in != nil {
		l.Profiles += in.table.Bytes()
	}
	return l
}

// sent counts the messages for other shards, ever.
func (s *Shard) sent() (n uint64) {
	for i := range s.peers {
		n += s.peers[i].out.next
	}
	return n
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

// profiles is the number of profiles: of all records but those that only hold a component.
func (s *Shard) profiles() int { return s.table.Len() - s.holders }
