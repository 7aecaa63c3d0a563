package shard

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
	"dashi/shard/profile"
	"dashi/shard/timer"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cespare/xxhash/v2"
)

// The versions of a snapshot: the one that is written, and the oldest that is still read (instead of older ones the events are read again, from
// Kafka). The counter TooLarge came with 17, parts of messages and the instants of fragments with 18, today's tallies in a window and sequences with 19.
const (
	snapshotVersion = 19
	oldestSnapshot  = 16
)

var snapshotMagic = []byte("DASHISHARD")

// Snapshot is the state between two entries. It may be written while the shard goes on.
type Snapshot struct {
	head      []byte // everything small
	outbox    outbox
	recent    frozenRecent
	peers     []peer
	parked    [][]byte
	pointers  [][]byte
	timers    *timer.Frozen
	expiries  *timer.Frozen
	table     *profile.Snapshot // nil before the first cookbook
	fragments *profile.Snapshot
	accounts  *accountsSnapshot // nil when the cookbook has none
}

// Snapshot freezes the state: it takes microseconds, whatever the number of profiles. Release it.
func (s *Shard) Snapshot() *Snapshot {
	snap := &Snapshot{
		head: s.appendHead(nil), outbox: s.outbox.freeze(), recent: s.recent.freeze(), peers: s.freezePeers(),
		parked: slices.Clone(s.parked), pointers: s.pointers.freeze(), timers: s.timers.Freeze(), expiries: s.expiries.Freeze(),
	}
	if s.table != nil {
		snap.table = s.table.Snapshot()
		snap.fragments = s.fragments.Snapshot()
	}
	snap.accounts = s.freezeAccounts()
	return snap
}

// Release lets go of the pages that the snapshot holds.
func (n *Snapshot) Release() {
	if n.table != nil {
		n.table.Release()
		n.fragments.Release()
		n.table, n.fragments = nil, nil
	}
	if n.accounts != nil {
		n.accounts.table.Release()
		n.accounts = nil
	}
}

// appendHead appends everything but the outbox, the message ids and the table. FORMAT.md has the bytes.
func (s *Shard) appendHead(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.now))
	if s.byEvents {
		dst = binary.LittleEndian.AppendUint64(append(dst, 1), uint64(s.latest))
	} else {
		dst = append(dst, 0)
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.first)) // not only what it is a bound of: it decides when the wheel moves
	dst = s.appendHold(s.appendMarks(dst))
	for _, c := range s.counters.all() {
		dst = binary.LittleEndian.AppendUint64(dst, *c)
	}
	dst = s.erased.append(s.appendRecovery(dst))
	dst = appendNames(dst, s.namespaces)
	if s.program == nil {
		return append(dst, 0)
	}
	dst = appendSources(append(dst, 1), s.program.Sources)
	dst = appendLevels(binary.LittleEndian.AppendUint64(dst, uint64(s.levelsAt)), s.program.levels)
	return s.appendFlows(dst)
}

// Add adds the counters of another shard.
func (c *Counters) Add(o *Counters) {
	others := o.all()
	for i, n := range c.all() {
		*n += *others[i]
	}
}

// all lists the counters in the order in which they are stored. New ones go to the end.
func (c *Counters) all() []*uint64 {
	all := []*uint64{&c.Events, &c.Repeated, &c.Activations, &c.Withheld, &c.OutOfRange, &c.Corrupt, &c.Shortened, &c.Woken,
		&c.Forwarded, &c.Merges, &c.Unmerges, &c.Junk, &c.Saturated, &c.ComponentFull, &c.LinksOver}
	for i := range c.Suppressed {
		all = append(all, &c.Suppressed[i])
	}
	all = append(all, &c.Expired, &c.AccountEvents, &c.People, &c.PeopleOver, &c.AccountsOver, &c.Erased, &c.Buried, &c.Departed, &c.Remade, &c.TooLarge)
	return all
}

// sortedMarks are the marks of all streams, ascending by stream.
func (s *Shard) sortedMarks() []Limit {
	marks := make([]Limit, 0, len(s.marks))
	for stream, offset := range s.marks {
		marks = append(marks, Limit{stream, offset})
	}
	slices.SortFunc(marks, func(a, b Limit) int {
		return cmp.Or(bytes.Compare(a.Stream.Topic[:], b.Stream.Topic[:]), cmp.Compare(a.Stream.Partition, b.Stream.Partition))
	})
	return marks
}

func (s *Shard) appendMarks(dst []byte) []byte {
	return appendLimits(dst, s.sortedMarks())
}

// WriteTo writes the snapshot: magic, version, length and checksum of the small part, the small part, the table.
func (n *Snapshot) WriteTo(w io.Writer) (int64, error) {
	body := n.recent.append(n.outbox.append(n.head))
	body = n.expiries.Append(n.timers.Append(appendPointers(appendParked(appendPeers(body, n.peers), n.parked), n.pointers)))
	body = n.accounts.append(body)
	buf := append([]byte(nil), snapshotMagic...)
	buf = append(buf, snapshotVersion)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(len(body)))
	buf = binary.LittleEndian.AppendUint64(buf, xxhash.Sum64(body))
	buf = append(buf, body...)
	written, err := w.Write(buf)
	if err != nil || n.table == nil {
		return int64(written), err
	}
	more, err := n.table.WriteTo(w)
	if err != nil {
		return int64(written) + more, err
	}
	rest, err := n.fragments.WriteTo(w)
	if err != nil || n.accounts == nil {
		return int64(written) + more + rest, err
	}
	last, err := n.accounts.table.WriteTo(w)
	return int64(written) + more + rest + last, err
}

// Restore reads a shard back. What is damaged is an error.
func Restore(r io.Reader, settings Settings) (*Shard, error) {
	in := bufio.NewReaderSize(r, 256<<10)
	head := make([]byte, len(snapshotMagic)+1+16)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, fmt.Errorf("cannot read head of shard snapshot: %w", err)
	}
	version := head[len(snapshotMagic)]
	if !bytes.HasPrefix(head, snapshotMagic) || version < oldestSnapshot || version > snapshotVersion {
		return nil, errors.New("cannot restore shard: not a shard snapshot of a version this program knows: begin with a new data directory, from Kafka")
	}
	size, sum := le64(head[len(snapshotMagic)+1:]), le64(head[len(snapshotMagic)+9:])
	var buf bytes.Buffer
	if n, err := io.CopyN(&buf, in, int64(min(size, 1<<40))); err != nil {
		return nil, fmt.Errorf("cannot read shard snapshot after %d of %d bytes: %w", n, size, err)
	}
	if xxhash.Sum64(buf.Bytes()) != sum {
		return nil, errors.New("cannot restore shard: checksum of the snapshot does not match")
	}
	s := New(settings)
	hasTable, timers, err := s.restoreBody(buf.Bytes(), version)
	if err != nil {
		return nil, fmt.Errorf("cannot restore shard: %w", err)
	}
	if !hasTable {
		if err := s.restoreTimers(timers); err != nil {
			return nil, fmt.Errorf("cannot restore shard: %w", err)
		}
		return s, nil
	}
	if s.table, err = profile.Read(in, settings.Memory); err != nil {
		return nil, fmt.Errorf("cannot restore profiles: %w", err)
	}
	if s.fragments, err = profile.Read(in, settings.Memory); err != nil {
		s.table.Close()
		return nil, fmt.Errorf("cannot restore fragments: %w", err)
	}
	if version < 18 {
		s.apply.giveInstants()
	}
	if s.table.Layout() != s.program.layout() || s.fragments.Layout() != s.program.fragmentLayout() {
		s.Close()
		return nil, errors.New("cannot restore shard: its records do not have the shape of its cookbook; was the snapshot written by another version?")
	}
	if version < 19 {
		s.renewStates(s.table)
		s.renewStates(s.fragments)
	}
	s.fillMembers()
	if err := s.restoreAccounts(in); err != nil {
		s.Close()
		return nil, fmt.Errorf("cannot restore accounts: %w", err)
	}
	if err := s.restoreTimers(timers); err != nil {
		s.Close()
		return nil, fmt.Errorf("cannot restore shard: %w", err)
	}
	return s, nil
}

// giveInstants gives the fragments of a snapshot from before version 18 the instant of program.until: the shard's clock.
func (a *applier) giveInstants() {
	s, p, old := a.s, a.s.program, a.s.fragments
	now := p.fragmentLayout()
	if had := (profile.Layout{Fixed: now.Fixed - 8, Segments: now.Segments}); p.aloneAt < 0 || old.Layout() != had {
		return
	}
	s.fragments = profile.New(now, s.settings.Memory)
	old.Each(func(_ profile.Ref, rec profile.Record) bool {
		ref := a.copyRecord(s.fragments, s.fragments.Insert(rec.Hash(), rec.Namespace(), rec.Key()), rec)
		p.setUntil(s.fragments.Edit(ref).Fixed(), s.clockFor(s.now, rec))
		return true
	})
	old.Close()
}

// renewStates gives the states of a snapshot from before version 19 today's form.
func (s *Shard) renewStates(t *profile.Table) {
	var scratch []byte
	for i := range s.program.Attributes {
		k, slot := s.program.Attributes[i].Kind, s.program.Attributes[i].Slot
		if k == nil || !attribute.Renewed(k) {
			continue
		}
		for o := range t.Ordinals() {
			if ref, found := t.ByOrdinal(o); found {
				rec := t.Edit(ref)
				scratch = attribute.Renew(k, rec.Fixed()[slot.Offset:], rec.Segment(slot.Segment), scratch[:0])
				t.SetSegment(ref, slot.Segment, scratch)
			}
		}
	}
}

// restoreTimers reads both queues of timers, and what is kept of accounts besides their table. The tables must have been restored before.
func (s *Shard) restoreTimers(src []byte) (err error) {
	if s.timers, src, err = s.restoreQueue(src); err != nil {
		return err
	}
	if s.expiries, src, err = s.restoreQueue(src); err != nil {
		return err
	}
	if s.accounts != nil {
		if src, err = s.accounts.restoreClock(src); err != nil {
			return err
		}
	}
	if len(src) > 0 {
		err = fmt.Errorf("%d bytes too many", len(src))
	}
	return err
}

// restoreQueue reads a queue. A timer without a profile is an error.
func (s *Shard) restoreQueue(src []byte) (q *timer.Queue, rest []byte, err error) {
	if s.table == nil {
		return timer.Restore(src, 0)
	}
	if q, rest, err = timer.Restore(src, s.table.Ordinals()); err != nil {
		return nil, nil, err
	}
	timed := 0
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		if q.Due(rec.Ordinal()) != timer.Never {
			timed++
		}
		return true
	})
	if timed != q.Len() {
		return nil, nil, fmt.Errorf("%d of %d timers have no profile", q.Len()-timed, q.Len())
	}
	return q, rest, nil
}

// restoreBody reads the body of a snapshot of a version, but for the timers at its end, which need the tables that come behind it.
func (s *Shard) restoreBody(src []byte, version byte) (hasTable bool, timers []byte, err error) {
	for _, restore := range []func([]byte) ([]byte, error){
		s.restoreTime,
		s.restoreMarks,
		s.restoreHold,
		func(src []byte) ([]byte, error) { return s.restoreCounters(src, version) },
		s.restoreRecovery,
		s.restoreErasures,
		s.restoreNamespaces,
		func(src []byte) (rest []byte, err error) {
			hasTable, rest, err = s.restoreCookbook(src)
			return rest, err
		},
		s.outbox.restore,
		s.recent.restore,
		func(src []byte) ([]byte, error) { return s.restorePeers(src, version) },
		s.restoreParked,
		s.pointers.restore,
	} {
		if src, err = restore(src); err != nil {
			return false, nil, err
		}
	}
	return hasTable, src, nil
}

func (s *Shard) restoreTime(src []byte) (rest []byte, err error) {
	if len(src) < 9 || src[8] > 1 {
		return nil, errShort
	}
	s.now, s.byEvents, src = int64(le64(src)), src[8] == 1, src[9:]
	if s.byEvents {
		if len(src) < 8 {
			return nil, errShort
		}
		s.latest, src = int64(le64(src)), src[8:]
	}
	if len(src) < 8 {
		return nil, errShort
	}
	s.first = int64(le64(src))
	return src[8:], nil
}

func (s *Shard) restoreMarks(src []byte) (rest []byte, err error) {
	marks, rest, err := readLimits(src)
	for _, m := range marks {
		s.marks[m.Stream] = m.Offset
	}
	return rest, err
}

func (s *Shard) restoreCounters(src []byte, version byte) (rest []byte, err error) {
	counters := s.counters.all()
	if version < 17 {
		counters = counters[:len(counters)-1] // TooLarge
	}
	if len(src) < 8*len(counters) {
		return nil, errShort
	}
	for _, c := range counters {
		*c, src = le64(src), src[8:]
	}
	return src, nil
}

func (s *Shard) restoreNamespaces(src []byte) (rest []byte, err error) {
	s.namespaces, rest, err = readNames(src)
	return rest, err
}

// restoreCookbook reads and compiles the cookbook, with its levels and flows. has is false when none was in force.
func (s *Shard) restoreCookbook(src []byte) (has bool, rest []byte, err error) {
	if len(src) == 0 {
		return false, nil, errShort
	}
	if src[0] != 1 {
		return false, src[1:], nil
	}
	sources, src, err := readSources(src[1:])
	if err != nil {
		return false, nil, err
	}
	compiled, diagnostics := s.settings.compile(sources)
	if compiled == nil {
		return false, nil, fmt.Errorf("its cookbook does not compile with this version: %v", diagnostics)
	}
	s.program = s.derive(compiled)
	s.apply.use(s.program)
	if len(src) < 8+8*len(s.program.levels) {
		return false, nil, errShort
	}
	s.levelsAt = int64(le64(src))
	readLevels(src[8:], s.program.levels)
	rest, err = s.restoreFlows(src[8+8*len(s.program.levels):])
	return true, rest, err
}

// fillMembers makes the bitmaps out of the membership bits of the records.
func (s *Shard) fillMembers() {
	p := s.program
	s.members, s.everyone = emptyMembers(len(p.Audiences)), roaring.New()
	s.holders = 0
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		if rec.Version() == 0 {
			s.holders++
			return true
		}
		s.everyone.Add(rec.Ordinal())
		for w := range p.words {
			word := le64(rec.Fixed()[p.membersAt+8*w:])
			for i := 64 * w; word != 0; i, word = i+1, word>>1 {
				if word&1 != 0 {
					s.members[i].Add(rec.Ordinal())
				}
			}
		}
		return true
	})
}

// Hash covers what the events did: the cookbook, and every profile to the byte. It does not depend on where records lie, nor
// on what only says when and by which way events came: the clock, the outbox, the message ids held, and the marks. (A producer
// that sends again after a crash takes other offsets, and another cluster gives its topics other ids; the people are the same.)
func (s *Shard) Hash() uint64 {
	var b []byte
	if s.table != nil {
		b = binary.LittleEndian.AppendUint64(b, s.program.Hash)
		b = binary.LittleEndian.AppendUint64(b, s.table.Hash())
		b = binary.LittleEndian.AppendUint64(b, s.fragments.Hash())
	}
	if s.accounts != nil {
		b = binary.LittleEndian.AppendUint64(b, s.accounts.table.Hash())
	}
	return xxhash.Sum64(b)
}

// Fingerprint covers all of the state: replicas that have applied the same entries have the same (I1).
func (s *Shard) Fingerprint() uint64 {
	recent := s.recent.freeze()
	b := appendParked(appendPeers(recent.append(s.outbox.append(s.appendHead(nil))), s.peers), s.parked)
	b = s.expiries.Freeze().Append(s.timers.Freeze().Append(binary.LittleEndian.AppendUint64(b, s.pointers.hash())))
	if s.table != nil {
		b = binary.LittleEndian.AppendUint64(b, s.table.Hash())
		b = binary.LittleEndian.AppendUint64(b, s.fragments.Hash())
	}
	if s.accounts != nil {
		snap := s.freezeAccounts()
		b = snap.append(b)
		snap.table.Release()
		b = binary.LittleEndian.AppendUint64(b, s.accounts.table.Hash())
	}
	return xxhash.Sum64(b)
}

// check returns the first violation of I6 or I7.
func (s *Shard) check() error {
	if err := s.checkForm(); err != nil {
		return err
	}
	return s.checkTruth()
}

// checkForm is check without the question whether memberships are true: what another shard says of people who come from there is believed, as long as it fits together.
func (s *Shard) checkForm() error {
	if s.program == nil {
		return nil
	}
	if s.accounts != nil {
		if err := s.accounts.checkCrowds(); err != nil {
			return err
		}
		if err := s.accounts.checkForm(); err != nil {
			return err
		}
	}
	if n := int(s.everyone.GetCardinality()); n != s.profiles() {
		return fmt.Errorf("%d ordinals for %d profiles", n, s.profiles())
	}
	p := s.program
	var err error
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		if rec.Version() == 0 {
			return true
		}
		members := 0
		for i := range p.Audiences {
			in := s.inAudience(rec, i)
			if in {
				members++
			}
			if s.members[i].Contains(rec.Ordinal()) != in {
				err = fmt.Errorf("profile %q: bitmap of audience %q disagrees with its bit %v", rec.Key(), p.Audiences[i].Name, in)
			}
		}
		if n := len(rec.Segment(p.since)) / 8; n != members {
			err = fmt.Errorf("profile %q: %d entry times for %d audiences", rec.Key(), n, members)
		}
		return err == nil
	})
	return err
}

// checkTruth compares every membership with its condition, now and until the profile wakes.
func (s *Shard) checkTruth() error {
	if s.program == nil {
		return nil
	}
	if s.accounts != nil {
		if err := s.accounts.checkTruth(); err != nil {
			return err
		}
	}
	p := s.program
	env := expr.Env{Audiences: make([]uint64, p.words)}
	var err error
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		if rec.Version() == 0 {
			return true
		}
		due := s.timers.Due(rec.Ordinal())
		now := s.clockFor(s.now, rec)
		if due <= now {
			return true // it has not woken yet
		}
		if err = checkClock(p, &env, rec, now, due); err != nil {
			return false
		}
		p.env(&env, rec)
		env.Now = now
		for i := range p.Audiences {
			in := audience.Bits(env.Audiences).Has(i)
			if want := p.Audiences[i].Condition(&env) == expr.True; in != want {
				err = fmt.Errorf("profile %q: in audience %q is %v, its condition says %v", rec.Key(), p.Audiences[i].Name, in, want)
			}
		}
		return err == nil
	})
	return err
}

// checkClock returns an error if an audience's condition changes before the profile wakes, as far as two instants before that tell.
func checkClock(p *program, env *expr.Env, rec profile.Record, now, due int64) error {
	p.env(env, rec)
	for _, at := range []int64{due - 1, now + (min(due, now+checkAhead)-now)/2} {
		env.Now = min(at, now+checkAhead)
		for i := range p.Audiences {
			in := audience.Bits(env.Audiences).Has(i)
			if want := p.Audiences[i].Condition(env) == expr.True; in != want {
				return fmt.Errorf("profile %q: audience %q is %v at %d, and %v at %d, but it wakes at %d", rec.Key(), p.Audiences[i].Name, in, now, want, env.Now, due)
			}
		}
	}
	return nil
}

// checkAhead is how far ahead check looks where nothing is due: conditions are scheduled for a hundred years.
const checkAhead = 99 * 365 * 86400_000
