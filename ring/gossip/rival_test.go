package gossip

import (
	"net"
	"testing"

	"github.com/hashicorp/memberlist"
)

// I5: a process with the id of one that runs knows it before it says anything in its name. One whose address has changed is not taken for two, whether the old one
// answers no more, or answers for itself.
func TestRival(t *testing.T) {
	a, b := open(t, "a", nil), open(t, "b", nil)
	if _, err := b.Join([]string{a.Addr()}); err != nil {
		t.Fatal(err)
	}
	until(t, "a knows b", func() bool { return states(a) == "a alive, b alive" })
	copied := open(t, "b", nil)
	if _, _, ok := copied.Rival(); ok {
		t.Error("a rival before anybody was heard of")
	}
	join := func(g *Gossip) {
		t.Helper()
		if _, err := g.Join([]string{a.Addr()}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the rival is known", func() bool { // not while a, on a machine that stands still, takes b for dead
		join(copied)
		incarnation, addr, ok := copied.Rival()
		if ok && (incarnation != 1 || addr != b.Addr()) {
			t.Errorf("the rival is %d at %s; want %s", incarnation, addr, b.Addr())
		}
		return ok
	})
	if err := copied.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := b.Rival(); ok {
		t.Error("one that has ended is a rival")
	}
	if err := b.Close(); err != nil { // without a word: to a it is still there
		t.Fatal(err)
	}
	moved := open(t, "b", nil)
	join(moved)
	if _, addr, ok := moved.Rival(); ok {
		t.Errorf("nobody answers at %s", addr)
	}

	here := open(t, "b", func(s *Settings) { s.Listen, s.Advertise = "0.0.0.0:0", "" })
	_, port, err := splitHostPort(here.Addr())
	if err != nil {
		t.Fatal(err)
	}
	here.delegate.NotifyConflict(&memberlist.Node{Name: "b"}, &memberlist.Node{Name: "b", Addr: net.IPv4(127, 0, 0, 2), Port: uint16(port)})
	if _, addr, ok := here.Rival(); ok {
		t.Errorf("it is its own rival at %s", addr)
	}
}
