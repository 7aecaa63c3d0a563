package shard

import (
	"bytes"
	"encoding/binary"
	"math"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
	"dashi/shard/timer"
)

// Accounts, their own side; contribute.go is the side of people. The accounts whose home is here are profiles of a shard within the shard: the
// same table, timers, audiences, activations and look-ups, under the program that the cookbook has for accounts. The inner shard gets messages
// instead of entries, and shares the outbox, the counters and the clock of the shard around it. It has no links between identifiers: an account
// has one name.
//
// What people contribute lies in the last segment of the account's record (crowd.go). Whenever it has changed, the numbers that expressions ask
// for are folded from it anew, in the order of its rows, into stored attributes; from there on everything goes as after an event.

// accountNamespace is the number of the inner shard's only namespace.
const accountNamespace = 0

// crowding is scratch space of the applier of accounts.
type crowding struct {
	crowd gathering
	nums  []foldNum
	row   []byte
}

// foldNum is a folded number before a change; has is false for none.
type foldNum struct {
	v   float64
	has bool
}

// newAccounts makes the inner shard, without a program.
func (s *Shard) newAccounts() *Shard {
	settings := s.settings
	settings.Home, settings.RecentIDs = nil, 0
	in := New(settings)
	in.outbox, in.counters, in.people = s.outbox, s.counters, s
	in.now, in.byEvents = s.now, s.byEvents
	in.timers, in.expiries = timer.At(s.now), timer.At(s.now)
	return in
}

// deriveAccounts is derive for the program of accounts.
func (in *Shard) deriveAccounts(p *recipe.Program) *program {
	d := in.derive(p.Accounts.Program)
	d.forAccounts(p.Accounts)
	return d
}

// forAccounts makes d a program of accounts: it gets their crowd segment and the places of its items.
func (d *program) forAccounts(accounts *recipe.Accounts) {
	d.of, d.crowd = accounts, d.links+1
	d.word = make([]int, len(d.of.Items))
	words := 0
	for i := range d.of.Items {
		if d.of.Items[i].Attribute >= 0 {
			words++
			d.word[i] = words
		}
	}
}

func (s *Shard) dropAccounts() {
	if s.accounts != nil {
		s.accounts.Close()
		s.accounts = nil
	}
}

// migrateAccounts brings the accounts under a new cookbook.
func (s *Shard) migrateAccounts(next *program) {
	switch {
	case next.Accounts == nil:
		s.dropAccounts()
		return
	case s.accounts == nil:
		s.accounts = s.newAccounts()
	}
	s.accounts.now = s.now
	s.accounts.migrate(s.accounts.deriveAccounts(next.Program))
}

// wakeAccounts tells accounts what the timers of people have brought about, and fires those timers of accounts that are due.
func (s *Shard) wakeAccounts() {
	if s.accounts == nil {
		return
	}
	s.apply.drain() // each message at its own instant: until the next line the clock of accounts stands where it was
	s.accounts.now = s.now
	s.accounts.wake()
}

// account handles a message to an account. A message from before the last switch is dropped if the cookbook has no accounts any more.
func (a *applier) account(kind byte, src []byte, from int) error {
	in := a.s.accounts
	if in == nil {
		return nil
	}
	name, src, err := readBytes(src)
	if err != nil || len(name) == 0 || len(name) > maxIdentifier {
		return errMessage
	}
	if kind == messagePeople {
		at, rest, err := varint(src)
		if err != nil {
			return err
		}
		return in.apply.hear(name, at, rest, from)
	}
	rest, err := event.Unpack(src, a.s.program.Schema, &a.passed)
	if err != nil || len(rest) > 0 {
		return errMessage
	}
	if a.s.passesOver(key{hash: identity.Hash(recipe.AccountNamespace, name)}, a.passed.Time) {
		return nil
	}
	in.counters.AccountEvents++
	ref := in.apply.openAccount(name, a.passed.Time)
	in.apply.applyTo(&a.passed, ref, false)
	return nil
}

// openAccount finds the record of an account, or makes one and marks its audiences for the evaluation that follows. The version of an account's
// record is one more than the number of its events.
func (a *applier) openAccount(name []byte, at int64) profile.Ref {
	in := a.s
	a.profile, a.fragment = -1, 0
	hash := identity.Hash(recipe.AccountNamespace, name)
	ref, found := in.table.Find(hash, accountNamespace, name)
	if found {
		return ref
	}
	ref = in.table.Insert(hash, accountNamespace, name)
	rec := in.table.Edit(ref)
	rec.SetVersion(1)
	rec.SetFirst(at)
	rec.SetLast(at)
	in.program.index.Fresh(a.dirty)
	in.everyone.Add(rec.Ordinal())
	return ref
}

// hear takes in what a shard tells an account of people.
func (a *applier) hear(name []byte, at int64, src []byte, from int) error {
	in, p := a.s, a.s.program
	if _, found := in.table.Find(identity.Hash(recipe.AccountNamespace, name), accountNamespace, name); !found && takesBack(src) {
		return nil // the account was erased: there is nothing to take back
	}
	ref := a.openAccount(name, at)
	now := max(in.now, min(at, in.people.now))
	if in.byEvents {
		now = max(at, in.table.Record(ref).Last())
	}
	ref = a.catchUp(ref, now)
	a.ref, a.rec = ref, in.table.Edit(ref)
	a.rec.SetFirst(min(a.rec.First(), at))
	a.rec.SetLast(max(a.rec.Last(), at))
	a.seeAt(a.rec, now)
	a.draft.begin()
	if len(p.changes) > 0 {
		a.watch.before, a.watch.ends = a.appendWatched(a.watch.before[:0], a.watch.ends[:0], p.changes)
	}
	c := &a.crowd.crowd
	c.b, c.width = append(c.b[:0], a.rec.Segment(p.crowd)...), crowdWidth(p.of.Items)
	var err error
	for len(src) > 0 && err == nil {
		src, err = a.hearOne(c, src, from)
	}
	a.draft.set(&a.env.State, p.crowd, c.b)
	a.foldCrowd(c)
	var next int64
	a.flipped, next = p.index.Evaluate(&a.env, a.dirty, a.flipped)
	a.flip(at)
	if len(p.changes) > 0 {
		a.changed(p.changes, at)
	}
	if len(p.byTimeParts) > 0 {
		next = min(next, a.nextChange())
	}
	if next != expr.Never {
		in.wakeBy(a.rec.Ordinal(), next)
	}
	a.paceEvent()
	a.keep()
	a.forget(at)
	return err
}

// maxCrowd is how many bytes the people of an account may take, however long their identifiers are. Whoever comes later is turned away, as beyond
// the limit on their number (recipe.Accounts.People).
const maxCrowd = 24 << 20

// hearOne takes in what is told of one person.
func (a *applier) hearOne(c *gathering, src []byte, from int) (rest []byte, err error) {
	in, p := a.s, a.s.program
	kind := src[0]
	space, src, err := readBytes(src[1:])
	if err != nil || kind < tellIn || kind > tellTakes {
		return nil, errMessage
	}
	value, src, err := readBytes(src)
	if err != nil || len(value) == 0 || len(value) > maxIdentifier {
		return nil, errMessage
	}
	k, err := in.people.keyOfName(space, value)
	if err != nil {
		return nil, err
	}
	contributes := kind == tellIn || kind == tellTakes
	if contributes {
		if src, err = a.readItems(src); err != nil {
			return nil, err
		}
		a.countOutOfRange()
	}
	in.counters.People++
	lo, hi := c.find(k)
	i := lo
	for i < hi && c.shard(i) < from {
		i++
	}
	// Somebody on the way between two shards may have rows before they are let in. Such a row neither lets them in nor takes up a place.
	full := contributes && c.counts(lo, hi) < 0 && (c.len()-(hi-lo) >= p.of.People || len(c.b) >= maxCrowd)
	if full {
		c.turnAway()
		in.counters.PeopleOver++
	}
	if i == hi || c.shard(i) != from {
		if kind == tellOut || kind == tellIn && full {
			return src, nil
		}
		c.insert(i, k, from)
		hi++
	}
	switch kind {
	case tellOut:
		c.setState(i, rowVoid)
	case tellMoves:
		c.setBalance(i, c.balance(i)+1)
		if c.state(i) == rowLive {
			c.setState(i, rowLeaving)
		}
	case tellTakes:
		c.setBalance(i, c.balance(i)-1)
	}
	if contributes && !full {
		c.setState(i, rowLive)
		copy(c.contribution(i), a.crowd.row)
	}
	c.settle(lo, hi)
	return src, nil
}

// readItems reads what a person contributes into a.crowd.row, as this cookbook has it. What it does not ask for is passed over.
func (a *applier) readItems(src []byte) (rest []byte, err error) {
	p := a.s.program
	n, src, err := uvarint(src)
	if err != nil || n > uint64(len(src))/16 {
		return nil, errMessage
	}
	row := append(a.crowd.row[:0], make([]byte, crowdWidth(p.of.Items)-8-rowTail)...) // without hash and tail
	a.crowd.row = row
	for ; n > 0; n, src = n-1, src[16:] {
		id, value := le64(src), le64(src[8:])
		for i := range p.of.Items {
			if p.of.Items[i].ID != id {
				continue
			}
			binary.LittleEndian.PutUint64(row, le64(row)|1<<i)
			if w := p.word[i]; w > 0 {
				binary.LittleEndian.PutUint64(row[8*w:], value)
			}
		}
	}
	return src, nil
}

// countOutOfRange counts the numbers in a.crowd.row that no sum or mean takes.
func (a *applier) countOutOfRange() {
	p, row := a.s.program, a.crowd.row
	for _, f := range p.of.Folds {
		if !p.folds[f.Attribute].exact || le64(row)>>f.Item&1 == 0 {
			continue
		}
		if v := math.Float64frombits(le64(row[8*p.word[f.Item]:])); !attribute.InTotal(v) {
			a.s.counters.OutOfRange++
		}
	}
}

// keyOfName is the key of an identifier whose namespace is given by name. The cookbook need not have that namespace.
func (s *Shard) keyOfName(namespace, value []byte) (key, error) {
	ns, err := s.numberNamespace(namespace)
	if err != nil {
		return key{}, err
	}
	return s.key(ns, value), nil
}

// forget ends the account at a.ref if nobody belongs to it and no event was about it.
func (a *applier) forget(at int64) {
	in, p := a.s, a.s.program
	if a.rec = in.table.Record(a.ref); a.rec.Version() > 1 || len(a.rec.Segment(p.crowd)) > 0 {
		return
	}
	a.end(a.ref, at)
}

// foldPeople folds the numbers of an account from its people into the fixed part of its record. in is scratch space.
func (p *program) foldPeople(c *gathering, fixed []byte, in *attribute.Input) {
	for _, f := range p.of.Folds {
		slot := &p.folds[f.Attribute]
		clear(fixed[slot.offset : slot.offset+slot.kind.FixedSize()])
	}
	c.each(func(i int) {
		contribution := c.contribution(i)
		bits := le64(contribution)
		for _, f := range p.of.Folds {
			*in = attribute.Input{By: 1}
			if f.Item >= 0 && bits>>f.Item&1 == 0 {
				continue
			}
			if f.Item >= 0 && p.word[f.Item] > 0 {
				in.Value = event.Value{Kind: event.Number, Bits: le64(contribution[8*p.word[f.Item]:])}
				if p.of.Items[f.Item].Time {
					in.Value.Kind = event.Time
				}
			}
			slot := &p.folds[f.Attribute]
			slot.kind.Update(fixed[slot.offset:], nil, in, nil)
		}
	})
}

// foldCrowd folds the numbers of a.rec anew, and marks the audiences that may flip.
func (a *applier) foldCrowd(c *gathering) {
	p, fixed := a.s.program, a.rec.Fixed()
	x := &a.crowd
	x.nums = x.nums[:0]
	for _, f := range p.of.Folds {
		slot := &p.folds[f.Attribute]
		v, has := slot.kind.Num(fixed[slot.offset:], nil, 0)
		x.nums = append(x.nums, foldNum{v, has})
	}
	p.foldPeople(c, fixed, &a.in)
	for k, f := range p.of.Folds {
		slot := &p.folds[f.Attribute]
		v, has := slot.kind.Num(fixed[slot.offset:], nil, 0)
		if slot.flip != flipNothing && x.nums[k] != (foldNum{v, has}) {
			p.index.Changed(f.Attribute, x.nums[k].v, x.nums[k].has, v, has, a.dirty)
		}
	}
}

// carryAccounts carries over to a new cookbook what accounts and their people know of each other.
func (a *applier) carryAccounts(m *move, ref profile.Ref, old profile.Record) profile.Ref {
	s, p := a.s, a.s.program
	switch {
	case p.told >= 0 && m.last.told >= 0:
		return s.table.SetSegment(ref, p.told, m.carryTold(p, old.Segment(m.last.told)))
	case p.crowd < 0:
		return ref
	}
	from := gathering{old.Segment(m.last.crowd), crowdWidth(m.last.of.Items)}
	to := gathering{nil, crowdWidth(p.of.Items)}
	for i := range from.len() {
		row := binary.LittleEndian.AppendUint64(nil, from.hash(i))
		row = recode(row, m.last.of.Items, p.of.Items, from.contribution(i))
		to.b = append(append(to.b, row...), from.tail(i)...)
	}
	if len(from.b) > 0 {
		heap := from.b[crowdHead+from.len()*from.width:]
		to.b = append(append(bytes.Clone(from.b[:crowdHead]), to.b...), heap...)
	}
	ref = s.table.SetSegment(ref, p.crowd, to.b)
	p.foldPeople(&to, s.table.Edit(ref).Fixed(), &a.in)
	return ref
}
