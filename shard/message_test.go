package shard

import (
	"bytes"
	"strings"
	"testing"

	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
)

// Whatever the bytes of a message: Apply answers, the state fits together, and it ends. A message whose record says that somebody is in no audience, and has what makes one a
// member of it, cannot be told from a true one without evaluating everything once more.
func FuzzMessages(f *testing.F) {
	lines := []string{"0 look a 0 anonymous_id:d", "1 buy b 6 user_id:u anonymous_id:d", "2 buy c 9 user_id:v", "3 look c 9 email:m@x.example phone:+4912345678901"}
	w := newTown(f, linkedRecipe)
	for _, line := range lines {
		w.event(line)
	}
	key := func(id string) key {
		ns, value, _ := strings.Cut(id, ":")
		return w.s.key(uint8(w.s.namespaceNumber([]byte(ns))), []byte(value))
	}
	fa := fact{weak: key("anonymous_id:d"), strong: key("user_id:v"), first: 5, last: 6, id: 7}
	f.Add(w.s.appendJoin(nil, messageLink, fa.weak, fa.strong, &fa))
	f.Add(w.s.appendJoin(nil, messageUnlink, fa.weak, fa.strong, &fa))
	f.Add(w.s.appendRelink(nil, fa.weak, key("user_id:a"), 7))
	var c component
	c.idents = append(c.idents, ident{key: key("anonymous_id:zz"), first: 4, last: 9})
	fa.weak = c.idents[0].key
	f.Add(w.s.appendFact(c.append(append(w.s.appendKey([]byte{messageAbsorb}, key("user_id:v")), 0), w.s.appendNamespace), &fa))
	var e event.Event
	if err := w.d.Decode([]byte(`{"type":"track","event":"buy","userId":"u"}`), fallback, &e); err != nil {
		f.Fatal(err)
	}
	f.Add(event.AppendPacked(w.s.appendForward(nil, key("user_id:u")), &e))
	far := newTown(f, linkedRecipe) // a component with fragments that leaves for another shard
	for _, line := range []string{"0 look a 0 anonymous_id:p", "1 buy b 6 email:q@x.example anonymous_id:p", "3 look c 1 anonymous_id:p"} {
		far.event(line)
	}
	far.s.settings.Home = func(uint64) int { return 3 }
	root := key("email:q@x.example")
	ref, _ := far.s.table.Find(root.hash, root.ns, root.value)
	far.s.apply.load(ref)
	far.s.apply.fillHashes(&far.s.apply.comp)
	far.s.apply.depart(key("user_id:v"), &fact{weak: root, strong: key("user_id:v"), first: 3, last: 3})
	far.s.EachMessage(3, 0, func(_ uint64, m []byte) bool { f.Add(bytes.Clone(m)); return true })
	program := w.s.Program()
	settings := testSettings()
	settings.Compile = func([]recipe.Source) (*recipe.Program, []recipe.Diagnostic) { return program, nil }
	snap := w.s.Snapshot()
	defer snap.Release()
	var state bytes.Buffer
	if _, err := snap.WriteTo(&state); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		s, err := Restore(bytes.NewReader(state.Bytes()), settings)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var m Messages
		m.Begin(9, program.Hash, 0)
		m.Add(message)
		s.Apply(m.Seal(1))
		if err := s.checkForm(); err != nil {
			t.Fatal(err)
		}
	})
}
