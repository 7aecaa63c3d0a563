package shard

import (
	"bytes"
	"testing"
)

const arrivalRecipe = `recipe: arrival
identity: {namespaces: [{name: user_id, from: userId}, {name: email, from: traits.email}]}
attributes:
  company: {kind: set, add: {on: look, value: properties.product_id}}
  spent: {kind: sum, on: look, value: properties.total}
audiences:
  some: spent > 0
accounts:
  member_of: company
  audiences:
    rich: people.sum(spent) > 1 || people.count(some) > 5
`

// departure is the message by which a person of acme, known by an address only, leaves for the home of a user; members is where its audiences stand.
func departure(t *testing.T) (message []byte, members int) {
	w := newTown(t, arrivalRecipe)
	w.event("0 look acme 7 email:e@x.example")
	email, user := w.key("email", "e@x.example"), w.key("user_id", "u")
	w.s.settings.Home = func(uint64) int { return 3 }
	ref, _ := w.s.table.Find(email.hash, email.ns, email.value)
	fixed := bytes.Clone(w.s.table.Record(ref).Fixed())
	a := &w.s.apply
	a.load(ref)
	a.fillHashes(&a.comp)
	a.depart(user, &fact{weak: email, strong: user, first: fallback, last: fallback})
	w.s.EachMessage(3, 0, func(_ uint64, m []byte) bool {
		if m[0] == messageAbsorb {
			message = bytes.Clone(m)
		}
		return true
	})
	return message, bytes.Index(message, fixed) + w.s.program.membersAt
}

func (w *town) key(namespace, value string) key {
	return w.s.key(uint8(w.s.namespaceNumber([]byte(namespace))), []byte(value))
}

// arrive brings that to a shard where the user is, and says how many messages were corrupt.
func arrive(t *testing.T, message []byte, anew bool) (corrupt uint64, s *Shard) {
	w := newTown(t, arrivalRecipe)
	w.event("1 look acme 2 user_id:u")
	w.s.foldAnew = anew // else one of a single identifier is no record of its own
	var m Messages
	m.Begin(9, w.s.Program().Hash, 0)
	m.Add(message)
	mustAccept(t, w.s.Apply(m.Seal(fallback+60_000)))
	return w.s.counters.Corrupt, w.s
}

// Damaged records in a message are an answer, never a panic: what accounts were told is read long after they have arrived, and bits of audiences that there
// are not are looked up among those that there are.
func TestDamagedArrivals(t *testing.T) {
	whole, members := departure(t)
	if corrupt, s := arrive(t, whole, false); corrupt > 0 || s.Stats().Profiles != 1 || s.Check() != nil {
		t.Fatalf("undamaged: %d corrupt, %d people, %v", corrupt, s.Stats().Profiles, s.Check())
	}
	told := bytes.LastIndex(whole, []byte("\x01\x04acme"))
	f := func(name string, damage func(m []byte)) {
		t.Helper()
		for _, anew := range []bool{false, true} {
			m := bytes.Clone(whole)
			damage(m)
			if corrupt, _ := arrive(t, m, anew); corrupt != 1 {
				t.Errorf("%s: %d are corrupt", name, corrupt)
			}
		}
	}
	f("a name that is longer than all", func(m []byte) { m[told+1] = 0x7f })
	f("more names than there are", func(m []byte) { m[told] = 2 })
	f("no name", func(m []byte) { m[told] = 0 })
	f("the second audience of one", func(m []byte) { m[members] = 2 })
	f("the last audience of a word, of one", func(m []byte) { m[members], m[members+7] = 0, 0x80 })
	f("a shorter name, so more is contributed than there are items", func(m []byte) { m[told+1] = 3 })
	for i := range whole { // any one byte: whatever comes of it, it comes to an answer, and the state is sound
		for _, b := range []byte{0, 0xff} {
			m := bytes.Clone(whole)
			m[i] = b
			if _, s := arrive(t, m, i&1 == 0); s.Check() != nil {
				t.Errorf("byte %d is %#x: %v", i, b, s.Check())
			}
		}
	}
}
