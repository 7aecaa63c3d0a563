package gossip

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = bytes.Repeat([]byte{7}, 32)

func open(t *testing.T, id string, change func(*Settings)) *Gossip {
	t.Helper()
	s := Settings{ID: id, Label: "soup", Listen: "127.0.0.1:0", Keys: [][]byte{key}, Probe: 50 * time.Millisecond,
		Meta: Meta{Incarnation: 1, Node: "127.0.0.1:1", HTTP: "127.0.0.1:2", Weight: 1, Expect: 3}}
	if change != nil {
		change(&s)
	}
	g, err := Open(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// until polls: gossip has its own pace.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func states(g *Gossip) string {
	var b strings.Builder
	for _, m := range g.Members() {
		fmt.Fprintf(&b, "%s %s, ", m.ID, m.State)
	}
	return strings.TrimSuffix(b.String(), ", ")
}

func TestLeftAndFailedAreTold(t *testing.T) {
	a, b, c := open(t, "a", nil), open(t, "b", nil), open(t, "c", nil)
	for _, g := range []*Gossip{b, c} {
		if n, err := g.Join([]string{a.Addr(), "127.0.0.1:1"}); n != 1 || err != nil {
			t.Fatalf("joined %d: %v", n, err)
		}
	}
	all := "a alive, b alive, c alive"
	for _, g := range []*Gossip{a, b, c} {
		until(t, all, func() bool { return states(g) == all })
	}
	<-a.Changed()
	b.Leave(5 * time.Second)
	b.Close()
	c.Close() // without a word
	until(t, "b left, c failed", func() bool { return states(a) == "a alive, b left, c failed" })
	if since := a.Members()[2].Since; time.Since(since) > time.Minute {
		t.Errorf("failed since %v", since)
	}
	again := open(t, "c", func(s *Settings) { s.Meta.Incarnation = 2 }) // another address, the same name
	until(t, "c is back", func() bool {
		if _, err := again.Join([]string{a.Addr()}); err != nil { // again and again, as a node does: while a remembers its old address, c may take a for dead
			t.Log(err)
		}
		m := a.Members()[2]
		return m.State == Alive && m.Meta.Incarnation == 2
	})
}

func TestMetaTravels(t *testing.T) {
	a, b := open(t, "a", nil), open(t, "b", nil)
	if _, err := b.Join([]string{a.Addr()}); err != nil {
		t.Fatal(err)
	}
	want := Meta{Cluster: "c1", Incarnation: 9, Node: "h:1", HTTP: "h:2", Zone: "z", Weight: 5}
	if err := b.SetMeta(want); err != nil {
		t.Fatal(err)
	}
	until(t, "a knows", func() bool { ms := a.Members(); return len(ms) == 2 && ms[1].Meta == want })
	if err := b.SetMeta(Meta{Zone: strings.Repeat("z", 256)}); err == nil {
		t.Error("a zone of 256 bytes is accepted")
	}
}

// I1: a second cluster on the same network never merges with this one.
func TestForeignersStayOut(t *testing.T) {
	f := func(what string, change func(*Settings)) {
		t.Helper()
		ours := open(t, "ours", func(s *Settings) { s.Meta.Cluster = "c1" })
		other := open(t, "other", change)
		other.Join([]string{ours.Addr()}) // whatever it says
		ours.Join([]string{other.Addr()})
		mate := open(t, "mate", nil) // what comes after is known when the mate is
		if _, err := mate.Join([]string{ours.Addr()}); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		until(t, "the mate is in", func() bool {
			if s := states(ours) + states(mate); strings.Contains(s, "other") || states(other) != "other alive" {
				t.Fatalf("%s: %s, and %s", what, s, states(other))
			}
			return states(ours) == "mate alive, ours alive" && states(mate) == states(ours)
		})
		if key := strings.HasSuffix(what, "key"); key {
			until(t, what+": it knows that it is the key", func() bool { return slices.Equal(ours.Strangers(), []string{"127.0.0.1"}) })
		} else if len(ours.Strangers()) > 0 {
			t.Errorf("%s: strangers %s", what, ours.Strangers())
		}
	}
	f("another cluster id", func(s *Settings) { s.Meta.Cluster = "c2" })
	f("another label", func(s *Settings) { s.Label = "stew" })
	f("another key", func(s *Settings) { s.Keys = [][]byte{bytes.Repeat([]byte{8}, 32)} })
	f("no key", func(s *Settings) { s.Keys = nil })
}

func TestKeysRotate(t *testing.T) {
	next := bytes.Repeat([]byte{9}, 32)
	a, b := open(t, "a", nil), open(t, "b", nil)
	if _, err := b.Join([]string{a.Addr()}); err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][][]byte{{key, next}, {next, key}, {next}} {
		for _, g := range []*Gossip{a, b} {
			if err := g.UseKeys(keys); err != nil {
				t.Fatal(err)
			}
		}
		m := Meta{Incarnation: uint64(len(keys[0])) + uint64(len(keys)), Zone: hex.EncodeToString(keys[0][:2])}
		if err := b.SetMeta(m); err != nil {
			t.Fatal(err)
		}
		until(t, "a hears b", func() bool { ms := a.Members(); return len(ms) == 2 && ms[1].Meta == m && ms[1].State == Alive })
	}
	old := open(t, "old", nil)
	if n, err := old.Join([]string{a.Addr()}); err == nil {
		t.Errorf("the old key still opens: %d", n)
	}
}

func TestBadSettings(t *testing.T) {
	f := func(change func(*Settings), want string) {
		t.Helper()
		s := Settings{ID: "a", Listen: "127.0.0.1:0"}
		change(&s)
		g, err := Open(s)
		if err == nil {
			g.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(func(s *Settings) { s.Listen = "nowhere" }, "nowhere")
	f(func(s *Settings) { s.Listen = "127.0.0.1:http" }, "no number")
	f(func(s *Settings) { s.Keys = [][]byte{{1}} }, "key")
	f(func(s *Settings) { s.Meta.Node = strings.Repeat("n", 250); s.Meta.HTTP = s.Meta.Node }, "512")
}

// The format does not change by accident: FORMAT.md holds these bytes.
func TestMetaGolden(t *testing.T) {
	m := Meta{Cluster: "c1", Incarnation: 0x0102030405060708, Node: "a:1", HTTP: "a:2", Zone: "z", Weight: 2, Expect: 3}
	got, err := appendMeta(nil, &m)
	if want := "010807060504030201020003000263310" + "3613a3103613a32017a"; err != nil || hex.EncodeToString(got) != want {
		t.Errorf("%x, %v; want %s", got, err, want)
	}
	if back, err := readMeta(append(got, 1, 2, 3)); err != nil || back != m {
		t.Errorf("%+v, %v", back, err)
	}
	if _, err := readMeta([]byte{2}); err == nil {
		t.Error("version 2 is read")
	}
}

func TestMetaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 60, 120)
		m := Meta{Cluster: text.Draw(t, "cluster"), Incarnation: rapid.Uint64().Draw(t, "incarnation"), Node: text.Draw(t, "node"), HTTP: text.Draw(t, "http"),
			Zone: text.Draw(t, "zone"), Weight: rapid.Uint16().Draw(t, "weight"), Expect: rapid.Uint16().Draw(t, "expect")}
		b, err := appendMeta(nil, &m)
		if err != nil {
			t.Skip(err)
		}
		if got, err := readMeta(b); err != nil || got != m || len(b) > metaBytes {
			t.Fatalf("%+v, %v; want %+v", got, err, m)
		}
		if _, err := readMeta(b[:rapid.IntRange(0, len(b)-1).Draw(t, "short")]); err == nil {
			t.Fatal("a part is enough")
		}
	})
}

func FuzzReadMeta(f *testing.F) {
	b, _ := appendMeta(nil, &Meta{Cluster: "c", Node: "n:1"})
	f.Add(b)
	f.Fuzz(func(t *testing.T, src []byte) {
		if m, err := readMeta(src); err == nil {
			if _, err := appendMeta(nil, &m); err != nil && len(src) <= metaBytes {
				t.Errorf("%x is read, not written: %v", src, err)
			}
		}
	})
}

func TestParseLine(t *testing.T) {
	f := func(line string, level slog.Level, text string) {
		t.Helper()
		if l, s := parseLine(line); l != level || s != text {
			t.Errorf("%q: %v %q", line, l, s)
		}
	}
	f("[ERR] memberlist: no\n", slog.LevelWarn, "no")
	f("[WARN] memberlist: hm", slog.LevelInfo, "hm")
	f("[DEBUG] memberlist: so", slog.LevelDebug, "so")
	f("what", slog.LevelDebug, "what")
}

// Who uses another key is told of once, and shows for a minute.
func TestStrangers(t *testing.T) {
	var s strangers
	start := time.Unix(1000, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	f := func(line string, seconds int, host string, repeated bool) {
		t.Helper()
		if h, r := s.note(line, at(seconds)); h != host || r != repeated {
			t.Errorf("%s: %q, %v", line, h, r)
		}
	}
	tcp := "[ERR] memberlist: failed to receive: no installed keys could decrypt the message from=10.0.0.3:4711\n"
	f(tcp, 0, "10.0.0.3", false)
	f(tcp, 1, "10.0.0.3", true)
	f("[ERR] memberlist: Decrypt packet failed: no installed keys could decrypt the message from=[fd00::1]:7946", 1, "fd00::1", false)
	f("[ERR] memberlist: failed to receive: encryption is configured but remote state is not encrypted from=10.0.0.4:1", 2, "10.0.0.4", false)
	f("[ERR] memberlist: failed to receive: EOF from=10.0.0.5:1", 2, "", false)
	if got := s.hosts(at(61)); !slices.Equal(got, []string{"10.0.0.3", "10.0.0.4", "fd00::1"}) {
		t.Errorf("hosts %s", got)
	}
	if got := s.hosts(at(62)); !slices.Equal(got, []string{"10.0.0.4"}) {
		t.Errorf("hosts %s", got)
	}
	f(tcp, 70, "10.0.0.3", false)
	for i := range 2 * strangersMost {
		s.note(fmt.Sprintf("[ERR] memberlist: no installed keys could decrypt the message from=10.1.0.%d:1", i), at(70))
	}
	if n := len(s.hosts(at(70))); n != strangersMost {
		t.Errorf("%d are remembered", n)
	}
}
