package meta

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var settings = Settings{Shards: 2, Replicas: 2, Durability: "replicated", Clock: "wall", OutboxBytes: 1 << 24, RecentMillis: 3600_000, RecentIDs: 1000}

func member(i int) Member {
	return Member{ID: fmt.Sprintf("n%d", i), Incarnation: uint64(i), Node: fmt.Sprintf("10.0.0.%d:7071", i), HTTP: fmt.Sprintf("10.0.0.%d:7070", i), Zone: "a", Weight: 1}
}

func replica(i int) Replica { return Replica{fmt.Sprintf("n%d", i), uint64(i)} }

// life is a command of every kind, each accepted.
func life() []Command {
	return []Command{
		&Found{Cluster: "c0ffee", Settings: settings, Members: []Member{member(1), member(2)}},
		&Join{member(3)},
		&Place{[]Placement{{0, []Replica{replica(1), replica(2)}}, {1, []Replica{replica(2), replica(1)}}}},
		&Formed{[]uint32{0, 1}},
		&PutCookbook{Sources: []Source{{"shop.yml", []byte("audiences: []\n")}}},
		&CookbookSwitched{1},
		&Prefer{[]Placement{{1, []Replica{replica(1), replica(2)}}}},
		&Drain{"n2", true},
		&Begin{0, replica(3), replica(2)},
		&Advance{0, Joined},
		&Abandon{0},
		&Begin{0, replica(3), replica(2)},
		&Advance{0, Joined},
		&Advance{0, Voting},
		&Begin{1, replica(3), replica(2)},
		&Join{member(4)},
		&Forget{"n4"},
		&SetReplicas{1},
		&Suspect{replica(2)},
		&Suspect{replica(3)},
		&Recover{},
		&Reform{1, []Cut{{replica(1), 4, 70, 2, 11, 1700000000000}, {replica(2), 5, 80, 0, 12, 1700000000001}}},
		&Formed{[]uint32{0}},
	}
}

func apply(t testing.TB, d *Directory, c Command) {
	t.Helper()
	if r := d.Apply(Append(nil, d.State().Epoch, 1700000000000, c)); r.Rejected != nil {
		t.Fatalf("%T %v: %v", c, c, r.Rejected)
	}
}

// The format does not change by accident: directories exist that were written so.
func TestGolden(t *testing.T) {
	var d Directory
	var b strings.Builder
	for _, c := range life() {
		fmt.Fprintf(&b, "%T %x\n", c, Append(nil, d.State().Epoch, 1700000000000, c))
		apply(t, &d, c)
	}
	fmt.Fprintf(&b, "snapshot %x\n", d.Snapshot())
	want, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the bytes have changed:\n%s", b.String())
	}
	// and what was written is read again
	lines := strings.Split(strings.TrimSpace(string(want)), "\n")
	old, err := hex.DecodeString(strings.TrimPrefix(lines[len(lines)-1], "snapshot "))
	if err != nil {
		t.Fatal(err)
	}
	var r Directory
	if err := r.Restore(old); err != nil || !reflect.DeepEqual(r.State(), d.State()) {
		t.Errorf("the golden snapshot is read as %+v (%v)", r.State(), err)
	}
}

func TestRejections(t *testing.T) {
	var d Directory
	f := func(want Reason, c Command) {
		t.Helper()
		before := d.Snapshot()
		r := d.Apply(Append(nil, d.State().Epoch, 0, c))
		if r.Rejected == nil || r.Rejected.Reason != want || r.Rejected.Detail == "" {
			t.Errorf("%T %+v: %v, want %s", c, c, r.Rejected, want)
		}
		if r.Epoch != d.State().Epoch || !bytes.Equal(before, d.Snapshot()) {
			t.Errorf("%T %+v changed the state", c, c)
		}
	}
	f(Unfounded, &Join{member(1)})
	f(Invalid, &Found{Settings: settings, Members: []Member{member(1)}})
	f(Invalid, &Found{Cluster: "c", Members: []Member{member(1)}})
	f(Invalid, &Found{Cluster: "c", Settings: settings})
	apply(t, &d, &Found{Cluster: "c", Settings: settings, Members: []Member{member(1), member(2), member(3)}})
	f(Founded, &Found{Cluster: "d", Settings: settings, Members: []Member{member(1)}})
	f(Invalid, &Join{Member{ID: "x", Node: "y"}})
	f(Invalid, &Join{Member{Weight: 1, Node: "y"}})
	f(Unknown, &Forget{"n9"})
	f(Unknown, &Drain{"n9", true})
	f(Unknown, &Place{[]Placement{{2, []Replica{replica(1)}}}})
	f(Unknown, &Place{[]Placement{{0, []Replica{{"n1", 7}}}}}) // I5
	f(Invalid, &Place{[]Placement{{0, []Replica{replica(1), replica(1)}}}})
	f(Invalid, &Place{[]Placement{{0, nil}}})
	f(Invalid, &Place{})
	f(Unknown, &Formed{[]uint32{0}})
	f(Unknown, &Begin{0, replica(2), replica(1)}) // I6: not formed
	apply(t, &d, &Place{[]Placement{{0, []Replica{replica(1)}}, {1, []Replica{replica(1), replica(2)}}}})
	f(Busy, &Place{[]Placement{{0, []Replica{replica(1)}}}})
	apply(t, &d, &Formed{[]uint32{0, 1}})
	f(Busy, &Forget{"n1"}) // I7
	f(Invalid, &Begin{0, Replica{}, Replica{}})
	f(Invalid, &Begin{0, Replica{}, replica(1)})
	f(Unknown, &Begin{0, replica(3), replica(2)})
	f(Unknown, &Begin{0, Replica{"n3", 8}, replica(1)})
	f(Invalid, &Begin{1, replica(2), replica(1)})
	f(Unknown, &Advance{0, Joined})
	f(Unknown, &Abandon{0})
	apply(t, &d, &Begin{0, replica(3), Replica{}})
	f(Busy, &Begin{0, replica(2), Replica{}})
	f(Busy, &Forget{"n3"})
	f(Invalid, &Advance{0, Voting})
	apply(t, &d, &Advance{0, Joined})
	apply(t, &d, &Advance{0, Voting}) // it only adds: that was the end
	f(Unknown, &Advance{0, Left})
	apply(t, &d, &Begin{0, Replica{}, replica(1)})
	apply(t, &d, &Advance{0, Left})
	f(Invalid, &Prefer{[]Placement{{1, []Replica{replica(1)}}}})
	f(Invalid, &Prefer{[]Placement{{1, []Replica{replica(1), replica(1)}}}})
	f(Unknown, &Prefer{[]Placement{{7, nil}}})
	f(Invalid, &PutCookbook{})
	f(Invalid, &PutCookbook{Sources: []Source{{"a", bytes.Repeat([]byte("x"), MaxCookbookBytes)}}})
	f(Invalid, &PutCookbook{Sources: []Source{{"a", nil}}, Refused: "it is in force"})
	f(Unknown, &CookbookSwitched{9})
	f(Invalid, &SetReplicas{0})

	stale := Append(nil, d.State().Epoch-1, 0, &SetReplicas{1}) // I1
	if r := d.Apply(stale); r.Rejected == nil || r.Rejected.Reason != Stale {
		t.Errorf("a stale command: %v", r.Rejected)
	}
	long := append(Append(nil, d.State().Epoch, 0, &SetReplicas{1}), 0)
	for _, entry := range [][]byte{nil, {99}, long, long[:len(long)-2]} {
		if r := d.Apply(entry); r.Rejected == nil || r.Rejected.Reason != Malformed {
			t.Errorf("%x: %v", entry, r.Rejected)
		}
	}
}

// draw makes a command that may fit.
func draw(t *rapid.T) Command {
	i := func(label string) int { return rapid.IntRange(1, 4).Draw(t, label) }
	r := func(label string) Replica {
		if n := rapid.IntRange(0, 4).Draw(t, label); n > 0 {
			return replica(n)
		}
		return Replica{}
	}
	shard := uint32(rapid.IntRange(0, 2).Draw(t, "shard"))
	placement := []Placement{{shard, rapid.SliceOfN(rapid.Map(rapid.IntRange(1, 4), replica), 1, 3).Draw(t, "replicas")}}
	switch rapid.IntRange(0, 11).Draw(t, "kind") {
	case 0:
		return &Join{member(i("member"))}
	case 1:
		return &Forget{replica(i("member")).Member}
	case 2:
		return &Drain{replica(i("member")).Member, rapid.Bool().Draw(t, "draining")}
	case 3:
		return &Place{placement}
	case 4:
		return &Formed{[]uint32{shard}}
	case 5, 6:
		return &Begin{shard, r("add"), r("remove")}
	case 7, 8, 9:
		return &Advance{shard, Step(rapid.IntRange(1, 4).Draw(t, "step"))}
	case 10:
		return rapid.SampledFrom([]Command{&Abandon{shard}, &Prefer{placement}, &SetReplicas{i("n")}}).Draw(t, "other")
	}
	if i("switched")%2 == 0 {
		return &CookbookSwitched{uint64(i("version"))}
	}
	return &PutCookbook{Sources: []Source{{"a", []byte{byte(i("text"))}}}, Above: uint64(i("above"))}
}

func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d, twin Directory
		found := &Found{Cluster: "c", Settings: settings, Members: []Member{member(1), member(2)}}
		entry := Append(nil, 0, 0, found)
		d.Apply(entry)
		twin.Apply(entry)
		for range rapid.IntRange(0, 60).Draw(t, "length") {
			epoch := d.State().Epoch - uint64(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "late"))
			c := draw(t)
			entry := Append(nil, epoch, 5, c)
			before, was := d.Snapshot(), d.State()
			r := d.Apply(entry)
			clear(entry[9:]) // it is not kept
			switch accepted := r.Rejected == nil; {
			case accepted && (r.Epoch != was.Epoch+1 || epoch != was.Epoch):
				t.Fatalf("%T was accepted at %d with epoch %d", c, was.Epoch, r.Epoch)
			case !accepted && !bytes.Equal(before, d.Snapshot()):
				t.Fatalf("%T was rejected and changed the state", c)
			}
			twin.Apply(Append(nil, epoch, 5, c))
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 { // I9
				snapshot := twin.Snapshot()
				twin = Directory{}
				if err := twin.Restore(snapshot); err != nil {
					t.Fatal(err)
				}
			}
			checkState(t, d.State())
			if !bytes.Equal(d.Snapshot(), twin.Snapshot()) {
				t.Fatalf("the same entries gave\n%+v\nand\n%+v", d.State(), twin.State())
			}
		}
	})
}

func checkState(t *rapid.T, s *State) {
	if len(s.Shards) != settings.Shards || s.Cluster != "c" { // I3
		t.Fatalf("%+v", s)
	}
	for i, sh := range s.Shards {
		if sh.Formed && len(sh.Replicas) == 0 {
			t.Fatalf("shard %d has no replica left", i)
		}
		for k, r := range sh.Replicas {
			if _, ok := s.Member(r.Member); !ok || slices.Contains(sh.Replicas[:k], r) { // I7
				t.Fatalf("shard %d: %+v", i, sh.Replicas)
			}
		}
	}
	for i, m := range s.Moves {
		if i > 0 && s.Moves[i-1].Shard >= m.Shard { // I4
			t.Fatalf("moves: %+v", s.Moves)
		}
		have := s.Shards[m.Shard].Replicas
		if adds := m.Add != (Replica{}); adds && slices.Contains(have, m.Add) != (m.Step >= Voting) {
			t.Fatalf("move %+v with replicas %+v", m, have)
		}
		if m.Remove != (Replica{}) && !slices.Contains(have, m.Remove) {
			t.Fatalf("move %+v with replicas %+v", m, have)
		}
	}
	if len(s.Cookbooks) > KeepCookbooks {
		t.Fatalf("%d cookbooks", len(s.Cookbooks))
	}
	if !slices.IsSortedFunc(s.Members, func(a, b Member) int { return strings.Compare(a.ID, b.ID) }) {
		t.Fatalf("members: %+v", s.Members)
	}
}

// A move keeps the number of replicas at or above what it was, at every step.
func TestMoveNeverHasFewerReplicas(t *testing.T) {
	var d Directory
	for _, c := range life()[:4] {
		apply(t, &d, c)
	}
	for _, c := range []Command{&Begin{1, replica(3), replica(1)}, &Advance{1, Joined}, &Advance{1, Voting}, &Advance{1, Left}} {
		apply(t, &d, c)
		if n := len(d.State().Shards[1].Replicas); n < 2 {
			t.Errorf("after %+v: %d replicas", c, n)
		}
		if gone := !d.State().Holds(replica(1), 1); gone != (len(d.State().Moves) == 0) {
			t.Errorf("after %+v: the leaver may go: %v", c, gone)
		}
		if !d.State().Holds(replica(3), 1) {
			t.Errorf("after %+v: the newcomer may not hold it", c)
		}
	}
	if want := []Replica{replica(2), replica(3)}; !slices.Equal(d.State().Shards[1].Replicas, want) {
		t.Errorf("%+v", d.State().Shards[1].Replicas)
	}
}

// A member that comes back as another incarnation holds nothing, and its old replicas can only be removed (I5).
func TestNewIncarnationHoldsNothing(t *testing.T) {
	var d Directory
	for _, c := range life()[:4] {
		apply(t, &d, c)
	}
	again := member(1)
	again.Incarnation = 77
	apply(t, &d, &Join{again})
	s := d.State()
	if s.Holds(Replica{"n1", 77}, 0) || slices.Contains(s.Table()[0], "n1") {
		t.Errorf("it holds shard 0: %+v", s.Table())
	}
	apply(t, &d, &Begin{0, Replica{"n1", 77}, replica(1)})
	for _, step := range []Step{Joined, Voting, Left} {
		apply(t, &d, &Advance{0, step})
	}
	if want := []Replica{replica(2), {"n1", 77}}; !slices.Equal(d.State().Shards[0].Replicas, want) {
		t.Errorf("%+v", d.State().Shards[0].Replicas)
	}
}

func TestCookbooksAreKept(t *testing.T) {
	var d Directory
	apply(t, &d, life()[0])
	for i := range KeepCookbooks + 2 {
		apply(t, &d, &PutCookbook{Sources: []Source{{"a", []byte{byte(i)}}}})
		apply(t, &d, &CookbookSwitched{uint64(i + 1)})
	}
	s := d.State()
	if len(s.Cookbooks) != KeepCookbooks || s.Cookbook().Version != KeepCookbooks+2 || s.Cookbooks[0].Version != 3 {
		t.Errorf("%d cookbooks, %d to %d", len(s.Cookbooks), s.Cookbooks[0].Version, s.Cookbook().Version)
	}
}

// There is one cookbook on its way at a time. One that is refused gives its place to the one before, as a version of its own.
func TestCookbooksOneAfterAnother(t *testing.T) {
	var d Directory
	put := func(text, refused string, above uint64) *Rejection {
		return d.Apply(Append(nil, d.State().Epoch, 1, &PutCookbook{[]Source{{"a", []byte(text)}}, above, refused})).Rejected
	}
	apply(t, &d, life()[0])
	apply(t, &d, &PutCookbook{Sources: []Source{{"a", []byte("one")}}})
	if r := put("two", "", 0); r == nil || r.Reason != Busy {
		t.Errorf("two at a time: %v", r)
	}
	apply(t, &d, &CookbookSwitched{1})
	if r := put("two", "", 0); r != nil {
		t.Fatal(r)
	}
	if in := d.State().InForce(); in == nil || in.Version != 1 {
		t.Errorf("in force is %+v", in)
	}
	if r := put("one", "shard 3 says no", 0); r != nil {
		t.Fatal(r)
	}
	s := d.State()
	if s.Cookbook().Version != 3 || s.Refused != (Refusal{2, "shard 3 says no"}) || len(s.Cookbooks) != 2 {
		t.Errorf("%+v, refused %+v", s.Cookbooks, s.Refused)
	}
	if r := put("one", "", 7); r != nil || d.State().Cookbook().Version != 8 {
		t.Errorf("above 7 comes %d: %v", d.State().Cookbook().Version, r)
	}
}

func TestDamagedSnapshotsAreRefused(t *testing.T) {
	var d Directory
	for _, c := range life() {
		apply(t, &d, c)
	}
	good := d.Snapshot()
	before := d.State()
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 4
		if d.Restore(bad) == nil {
			t.Fatalf("byte %d may be anything", i)
		}
		if d.Restore(good[:i]) == nil {
			t.Fatalf("%d bytes are enough", i)
		}
	}
	if d.State() != before {
		t.Error("a failed Restore changed the state")
	}
}

func FuzzApply(f *testing.F) {
	var d Directory
	for _, c := range life() {
		f.Add(Append(nil, d.State().Epoch, 1, c))
		apply(f, &d, c)
	}
	f.Fuzz(func(t *testing.T, entry []byte) {
		var d Directory
		for _, c := range life()[:9] {
			apply(t, &d, c)
		}
		for _, e := range [][]byte{entry, slices.Concat(Append(nil, d.State().Epoch, 1, &Abandon{})[:17], entry)} {
			if d.Apply(e).Rejected == nil {
				var r Directory
				if err := r.Restore(d.Snapshot()); err != nil {
					t.Fatalf("%x: the state cannot be restored: %v", e, err)
				}
			}
		}
	})
}

// When a majority of a shard suspects its logs, all shards go back; else a member may be replaced.
func TestRecovery(t *testing.T) {
	var d Directory
	apply(t, &d, &Found{Cluster: "c", Settings: settings, Members: []Member{member(1), member(2), member(3)}})
	apply(t, &d, &Place{[]Placement{{0, []Replica{replica(1), replica(2), replica(3)}}, {1, []Replica{replica(1)}}}})
	apply(t, &d, &Formed{[]uint32{0, 1}})
	apply(t, &d, &Begin{1, replica(2), Replica{}})
	lost := func(want ...uint32) {
		t.Helper()
		if got := d.State().Lost(); !slices.Equal(got, want) {
			t.Errorf("lost %v, want %v", got, want)
		}
	}
	rejected := func(want Reason, c Command) {
		t.Helper()
		if r := d.Apply(Append(nil, d.State().Epoch, 7, c)); r.Rejected == nil || r.Rejected.Reason != want {
			t.Errorf("%T: %v, want %s", c, r.Rejected, want)
		}
	}
	cuts := []Cut{{Source: replica(3), Index: 7}, {Source: replica(1), Index: 9}}
	rejected(Unknown, &Suspect{Replica{"n1", 9}})
	rejected(Invalid, &Recover{})
	apply(t, &d, &Suspect{replica(2)})
	apply(t, &d, &Suspect{replica(2)})
	lost()
	rejected(Invalid, &Recover{})
	rejected(Invalid, &Reform{1, cuts})
	again := member(3)
	again.Incarnation = 33
	apply(t, &d, &Join{again}) // the replica of before is nobody's
	lost(0)
	apply(t, &d, &Suspect{replica(1)})
	lost(0, 1)
	apply(t, &d, &Recover{})
	rejected(Busy, &Recover{})
	rejected(Busy, &Begin{0, replica(2), replica(1)})
	rejected(Invalid, &Reform{1, cuts[:1]})
	rejected(Unknown, &Reform{1, cuts}) // n3 is another
	cuts[0].Source = replica(2)
	apply(t, &d, &Reform{1, cuts})
	rejected(Invalid, &Reform{1, cuts})
	if s := d.State(); !s.Recovering() || s.Generation != 1 || len(s.Moves) > 0 || len(s.Suspects) > 0 || s.Switched != 1 || s.Shards[0].Formed || !slices.Equal(s.Shards[0].Replicas, []Replica{replica(2)}) {
		t.Errorf("%+v", *s)
	}
	apply(t, &d, &Formed{[]uint32{1}})
	if !d.State().Recovering() {
		t.Error("it is over too early")
	}
	apply(t, &d, &Formed{[]uint32{0}})
	if s := d.State(); s.Recovering() || s.Recovery.Until == 0 || len(s.Recovery.Cuts) != 2 {
		t.Errorf("%+v", *s.Recovery)
	}
	lost()
}

// A snapshot of a version that knew no recovery is read.
func TestBeforeRecoveries(t *testing.T) {
	old, err := hex.DecodeString(beforeRecoveries)
	if err != nil {
		t.Fatal(err)
	}
	var d Directory
	if err := d.Restore(old); err != nil || len(d.State().Members) != 3 || d.State().Generation != 0 || d.State().Recovery != nil {
		t.Errorf("%v: %+v", err, d.State())
	}
}

const beforeRecoveries = "44415348494d455441025f0a1e60e3693e1f12000000000000000e000000000000000663306666656502010a7265706c6963617465640477616c6c8080800880dddb01e80703026e3101000000000000000d31302e302e302e313a373037310d31302e302e302e313a3730373001610100026e3202000000000000000d31302e302e302e323a373037310d31302e302e302e323a3730373001610101026e3303000000000000000d31302e302e302e333a373037310d31302e302e302e333a3730373001610100020103026e310100000000000000026e320200000000000000026e3303000000000000000102026e310100000000000000026e3202000000000000000200030068e5cf8b010000026e330300000000000000026e32020000000000000001010068e5cf8b010000026e330300000000000000026e32020000000000000001010068e5cf8b010000010873686f702e796d6c0e61756469656e6365733a205b5d0a010000"
