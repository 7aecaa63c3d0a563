package shard

import (
	"testing"

	"dashi/pipeline/identity"
)

// Whose pointer leads to somebody who was erased a moment ago, or to a shard that such a one has left, is on the way, and not missing.
func TestLookupByWayOfSomebodyErased(t *testing.T) {
	w := newTown(t, linkedRecipe)
	w.event("0 look a 0 user_id:u")
	key := func(ns, value string) key {
		return w.s.key(uint8(w.s.namespaceNumber([]byte(ns))), []byte(value))
	}
	gone, left := key("user_id", "gone"), key("anonymous_id", "d")
	w.s.pointers.set(left, gone)
	var v View
	if w.s.Lookup([]byte("anonymous_id"), left.value, left.hash, &v) || !v.Moving {
		t.Errorf("its pointer leads nowhere: moving is %v", v.Moving)
	}
	at := Place{Known: true, Namespace: "user_id", Value: gone.value, Hash: gone.hash}
	if w.s.LookupVia(&at, []byte("anonymous_id"), left.value, left.hash, &v) || !v.Moving {
		t.Errorf("its pointer elsewhere leads nowhere: moving is %v", v.Moving)
	}
	if w.s.Lookup([]byte("user_id"), []byte("nobody"), identity.Hash("user_id", []byte("nobody")), &v) || v.Moving {
		t.Error("nobody is on the way")
	}
}
