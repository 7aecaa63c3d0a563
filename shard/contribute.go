package shard

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
)

// People and accounts, the side of people; account.go is the other. An account lies at the home of its name, a person wherever their
// component is. What an account counts of a person, their contribution, is computed where the person lies, after everything that changed
// them, and compared with what their accounts were told last, which is a segment of the person's record. If it differs, a message tells the
// accounts all of it. So a change that no account asks about costs a comparison, and what accounts know is a function of what people are.
//
// People move. Messages of one shard keep their order, those of two do not: "she has moved away" from the old shard may arrive before or
// after "she is here" from the new one, and may be followed by what happened before. The naive way out, a version in each message,
// needs a memory of everybody who has ever left, lest an old message bring them back. Instead an account keeps what it knows of a
// person by the shard that told it: a shard takes back what it said, in its own order, so at rest nothing is left of where
// the person was. Until then one of the rows counts: see gathering.settle.

// MaxAccounts is how many accounts of one person are told of them; those beyond are passed over and counted.
const MaxAccounts = 32

// What an account is told of a person. A number is never reused.
const (
	tellIn    = 1 // this is what they contribute now
	tellOut   = 2 // they do not belong to it any more
	tellMoves = 3 // they move to another shard, which will tell the account from then on
	tellTakes = 4 // they have come from another shard; what they contribute follows
)

// telling is scratch space of the applier: what accounts are to be told when the step is over.
type telling struct {
	pending []told
	now     []byte // contribution
	before  []byte
	names   [][]byte
	text    []byte // of names
}

// told is one thing that an account is to be told of a person: a tell kind and what goes with it, as of an instant.
type told struct {
	account, what []byte
	at            int64
}

// contribute tells the accounts of the person at a.rec what the person contributes, if that is not what they were told last.
func (a *applier) contribute(at int64) {
	p, t := a.s.program, &a.accounts
	if p.told < 0 {
		return
	}
	before := a.env.State.Segment(p.told)
	t.now = a.appendContribution(t.now[:0])
	if bytes.Equal(before, t.now) {
		return
	}
	if a.s.byEvents { // the account lives by what its people have lived to
		at = max(at, a.env.Now)
	}
	t.before = append(t.before[:0], before...)
	who := key{a.rec.Namespace(), a.rec.Hash(), a.rec.Key()}
	gone, was := readTold(t.before)
	for ; gone.more(); gone.next() {
		if !toldOf(t.now, gone.name) {
			a.tell(tellOut, gone.name, who, nil, at)
		}
	}
	here, is := readTold(t.now)
	same := bytes.Equal(was, is)
	for ; here.more(); here.next() {
		if !same || !toldOf(t.before, here.name) {
			a.tell(tellIn, here.name, who, is, at)
		}
	}
	a.draft.set(&a.env.State, p.told, t.now)
}

// appendContribution appends the accounts of the person in a.env, and what they contribute; nothing for a person without accounts.
func (a *applier) appendContribution(dst []byte) []byte {
	p := a.s.program
	names := a.accountsOf()
	if len(names) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = appendBytes(dst, name)
	}
	at, bits := len(dst), uint64(0)
	dst = binary.LittleEndian.AppendUint64(dst, 0)
	for i := range p.Accounts.Items {
		item := &p.Accounts.Items[i]
		if item.Audience >= 0 {
			if audience.Bits(a.env.Audiences).Has(item.Audience) {
				bits |= 1 << i
			}
			continue
		}
		v, ok := p.Attributes[item.Attribute].Num(&a.env)
		if !ok {
			v = 0
		} else {
			bits |= 1 << i
		}
		word := math.Float64bits(v)
		if item.Time {
			word = uint64(int64(v))
		}
		dst = binary.LittleEndian.AppendUint64(dst, word)
	}
	binary.LittleEndian.PutUint64(dst[at:], bits)
	return dst
}

// accountsOf lists the accounts of the person in a.env: in the order of their names, each once.
func (a *applier) accountsOf() [][]byte {
	p, t := a.s.program, &a.accounts
	t.names, t.text = t.names[:0], t.text[:0]
	of := &p.Attributes[p.Accounts.MemberOf]
	if of.Type == attribute.String {
		if name, ok := of.Str(&a.env); ok {
			a.addAccount(name, a.saidAt(of, name))
		}
		return t.names
	}
	if of.Kind == nil {
		return nil
	}
	fixed := a.env.State.Fixed[of.Slot.Offset : of.Slot.Offset+of.Kind.FixedSize()]
	for e := of.Kind.Elements(fixed, a.env.State.Segment(of.Slot.Segment), a.env.Now); e.Next(); {
		if len(t.names) == MaxAccounts {
			a.s.counters.AccountsOver++
			break
		}
		a.addAccount(e.Value, e.Time)
	}
	slices.SortFunc(t.names, bytes.Compare)
	t.names = slices.CompactFunc(t.names, bytes.Equal)
	return t.names
}

// addAccount adds the account of that name, to which the person said at an instant that they belong.
func (a *applier) addAccount(name []byte, at int64) {
	t, start := &a.accounts, len(a.accounts.text)
	text, ok := a.s.program.Accounts.Normalise(t.text, name)
	if !ok || len(text)-start > maxIdentifier || !a.s.stillBelongs(text[start:], at) {
		return
	}
	t.text = text
	t.names = append(t.names, text[start:len(text):len(text)])
}

// toldNames iterates over the accounts in what contribute wrote: while more, name is one; next goes on.
type toldNames struct {
	left uint64
	src  []byte
	name []byte
}

// readTold reads what appendContribution wrote: the accounts, and the contribution itself.
func readTold(told []byte) (n toldNames, contribution []byte) {
	if len(told) == 0 {
		return n, nil
	}
	n.left, n.src, _ = uvarint(told)
	n.read()
	rest := n
	for rest.more() {
		rest.next()
	}
	return n, rest.src
}

// isTold says whether appendContribution may have written a segment under this program, so that readTold and appendItems can read it.
func (p *program) isTold(segment []byte) bool {
	if len(segment) == 0 {
		return true
	}
	n, src, err := uvarint(segment)
	if err != nil || n == 0 || n > MaxAccounts {
		return false
	}
	for range n {
		if _, src, err = readBytes(src); err != nil {
			return false
		}
	}
	size := 8
	for i := range p.Accounts.Items {
		if p.Accounts.Items[i].Attribute >= 0 {
			size += 8
		}
	}
	return len(src) == size
}

func (n *toldNames) read() {
	if n.left > 0 {
		n.name, n.src, _ = readBytes(n.src)
	}
}

func (n *toldNames) more() bool { return n.left > 0 }

func (n *toldNames) next() {
	n.left--
	n.read()
}

// toldOf says whether an account is among those of a segment.
func toldOf(told, name []byte) bool {
	for n, _ := readTold(told); n.more(); n.next() {
		if bytes.Equal(n.name, name) {
			return true
		}
	}
	return false
}

// tellAll tells every account that was told of a person something about them.
func (a *applier) tellAll(kind byte, who key, told []byte, at int64) {
	n, contribution := readTold(told)
	for ; n.more(); n.next() {
		a.tell(kind, n.name, who, contribution, at)
	}
}

// tellTakeOver tells the accounts of the people who have just arrived that they are here.
func (a *applier) tellTakeOver(at int64) {
	p := a.s.program
	if p.told < 0 {
		return
	}
	for i := range a.moving.arrivals {
		d := &a.moving.comp.idents[a.moving.arrivals[i].ident]
		if ref, found := a.s.table.Find(d.hash, d.ns, d.value); found && !a.moving.arrivals[i].fragment {
			a.tellAll(tellTakes, d.key, a.s.table.Record(ref).Segment(p.told), at)
		}
	}
}

// tellGone tells the accounts of profiles that are no more, because others have taken them in.
func (a *applier) tellGone(at int64) {
	for k := range a.earlier.formers {
		if f := &a.earlier.formers[k]; !a.marks.new[f.id] {
			a.tellAll(tellOut, a.comp.idents[f.id].key, f.told, at)
		}
	}
}

// tell notes what an account is to be told of a person.
func (a *applier) tell(kind byte, account []byte, who key, contribution []byte, at int64) {
	s, t := a.s, &a.accounts
	n := len(t.pending)
	if n < cap(t.pending) {
		t.pending = t.pending[:n+1] // with the buffers that it had
	} else {
		t.pending = append(t.pending, told{})
	}
	d := &t.pending[n]
	d.account, d.at = append(d.account[:0], account...), at
	b := appendBytes(append(d.what[:0], kind), []byte(s.namespaces[who.ns]))
	b = appendBytes(b, who.value)
	if kind == tellIn || kind == tellTakes {
		b = s.program.appendItems(b, contribution)
	}
	d.what = b
}

// appendItems appends the items of a contribution so that they can be read under another cookbook too: each by its id.
func (p *program) appendItems(dst, contribution []byte) []byte {
	items, bits, values := p.Accounts.Items, le64(contribution), contribution[8:]
	n := 0
	for i := range items {
		n += int(bits >> i & 1)
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	for i := range items {
		value := uint64(1)
		if items[i].Attribute >= 0 {
			value, values = le64(values), values[8:]
		}
		if bits>>i&1 != 0 {
			dst = binary.LittleEndian.AppendUint64(dst, items[i].ID)
			dst = binary.LittleEndian.AppendUint64(dst, value)
		}
	}
	return dst
}

// tellAccounts sends what is pending: all that one account is to be told of one instant in one message, so that it sees a step whole.
func (a *applier) tellAccounts() {
	t := &a.accounts
	for i := range t.pending {
		d := &t.pending[i]
		if len(d.what) == 0 {
			continue // it went with an earlier one
		}
		a.mail.out = appendBytes(append(a.mail.out[:0], messagePeople), d.account)
		a.mail.out = binary.AppendVarint(a.mail.out, d.at)
		a.mail.out = append(a.mail.out, d.what...)
		for j := i + 1; j < len(t.pending); j++ {
			o := &t.pending[j]
			if !bytes.Equal(o.account, d.account) {
				continue
			}
			if o.at != d.at {
				break // what is said of a later instant must stay behind it
			}
			a.mail.out = append(a.mail.out, o.what...)
			o.what = o.what[:0]
		}
		a.send(a.s.accountHome(d.account), a.mail.out)
	}
	t.pending = t.pending[:0]
}

// tellEvent tells the account of an event, if it names one. It comes where the event has been applied, not where it was read: the shard on whose
// way it lies may not know that the person was erased.
func (a *applier) tellEvent(e *event.Event) {
	p := a.s.program
	if p.told < 0 || !p.Accounts.Events[e.Type] {
		return
	}
	acc := p.Accounts
	for _, i := range acc.ID {
		v := &e.Values[i]
		if v.Kind != event.String {
			continue
		}
		name, ok := acc.Normalise(a.accounts.text[:0], v.Str)
		if !ok || len(name) > maxIdentifier {
			continue
		}
		a.accounts.text = name
		a.mail.out = event.AppendPacked(appendBytes(append(a.mail.out[:0], messageAccount), name), e)
		a.send(a.s.accountHome(name), a.mail.out)
		return
	}
}

// accountHome is the shard of an account.
func (s *Shard) accountHome(name []byte) int {
	return s.home(key{hash: identity.Hash(recipe.AccountNamespace, name)})
}

// carryTold recodes, for a new cookbook, what accounts were told. An item that only the new cookbook has counts as told as nothing.
func (m *move) carryTold(next *program, old []byte) []byte {
	if len(old) == 0 || next.told < 0 {
		return nil
	}
	_, contribution := readTold(old)
	out := slices.Clone(old[:len(old)-len(contribution)])
	return recode(out, m.last.Accounts.Items, next.Accounts.Items, contribution)
}

// recode appends a contribution to the items last in the form that the items next call for.
func recode(dst []byte, last, next []recipe.Item, contribution []byte) []byte {
	at, bits := len(dst), uint64(0)
	dst = binary.LittleEndian.AppendUint64(dst, 0)
	for i := range next {
		word, set := contributed(last, contribution, next[i].ID)
		if set {
			bits |= 1 << i
		}
		if next[i].Attribute >= 0 {
			dst = binary.LittleEndian.AppendUint64(dst, word)
		}
	}
	binary.LittleEndian.PutUint64(dst[at:], bits)
	return dst
}

// contributed finds the item with an id in a contribution; set is false for one that is not there.
func contributed(items []recipe.Item, contribution []byte, id uint64) (word uint64, set bool) {
	bits, values := le64(contribution), contribution[8:]
	for i := range items {
		if items[i].Attribute >= 0 {
			word, values = le64(values), values[8:]
		}
		if items[i].ID == id {
			return word, bits>>i&1 != 0
		}
	}
	return 0, false
}
