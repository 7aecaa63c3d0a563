package status

import (
	"errors"
	"slices"
	"testing"
	"time"

	"dashi/ring/gossip"
	"dashi/ring/meta"
)

func TestSnapshotTrouble(t *testing.T) {
	const directory = 1 << 20
	f := func(groups []uint32, want string) {
		t.Helper()
		if got := SnapshotTrouble(groups, directory); got != "the last snapshot of "+want+" failed, and the log grows until one succeeds: see the log of the process" {
			t.Errorf("%d: %s", groups, got)
		}
	}
	f([]uint32{3}, "shard 3")
	f([]uint32{directory}, "the directory")
	f([]uint32{0, 2 + 7*meta.MaxShards, directory}, "the directory and shards 0, 2")
	f([]uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, "shards 0, 1, 2, 3, 4, 5, 6, 7 and 2 more")
}

// With a node or two away the status had a line for each shard.
func TestLeaderTrouble(t *testing.T) {
	shard := func(leader string, silent ...string) Shard {
		s := Shard{Leader: leader}
		for _, node := range []string{"n1", "n2", "n3"} {
			s.Replicas = append(s.Replicas, Replica{Node: node, Silent: slices.Contains(silent, node)})
		}
		return s
	}
	f := func(shards []Shard, want ...string) {
		t.Helper()
		if got := LeaderTrouble(shards); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f([]Shard{shard("n1"), shard("n1", "n2")})
	f([]Shard{shard("n1"), shard("", "n2")}, "no leader known for 1 of 2 shards: shard 1, of which a majority was heard of a moment ago")
	many := slices.Repeat([]Shard{shard("", "n3", "n2")}, 21)
	many = append(many, slices.Repeat([]Shard{shard("n1")}, 10)...)
	f(append(many, shard("")),
		"no majority for 21 of 32 shards: shards 0, 1, 2, 3, 4, 5, 6, 7 and 13 more wait for more of n2, n3",
		"no leader known for 1 of 32 shards: shard 31, of which a majority was heard of a moment ago")
}

// A node with a wrong key was only "left" to the others.
func TestStrangerTrouble(t *testing.T) {
	members := []gossip.Member{{ID: "n1", Addr: "10.0.0.1:7072", State: gossip.Alive}, {ID: "n2", Addr: "10.0.0.2:7072", State: gossip.Left}, {ID: "n3", Addr: "10.0.0.1:7073", State: gossip.Failed}}
	f := func(host, want string) {
		t.Helper()
		if got := StrangerTrouble([]string{host}, members); !slices.Equal(got, []string{want}) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f("10.0.0.2", "what gossips from 10.0.0.2 has another key than this node: compare gossip.keys (it may be n2)")
	f("10.0.0.1", "what gossips from 10.0.0.1 has another key than this node: compare gossip.keys (it may be n3)")
	f("10.0.0.9", "what gossips from 10.0.0.9 has another key than this node: compare gossip.keys")
}

func TestMovesThatStandStill(t *testing.T) {
	var w MoveWatch
	start := time.Unix(1000, 0)
	move := meta.Move{Shard: 5, Step: meta.Joined, Add: meta.Replica{Member: "n4"}, Remove: meta.Replica{Member: "n1"}}
	applied := uint64(0)
	at := func(seconds int, m meta.Move, want ...string) {
		t.Helper()
		now := start.Add(time.Duration(seconds) * time.Second)
		w.Look([]meta.Move{m}, func(meta.Move) uint64 { return applied }, now)
		if got := w.Trouble([]meta.Move{m}, now); !slices.Equal(got, want) {
			t.Errorf("at %d: got %q, want %q", seconds, got, want)
		}
	}
	at(0, move)
	at(59, move)
	at(61, move, `the move of shard 5 from n1 to n4 has stood at "catching up" for 1m1s`)
	w.Tried(move, errors.New("no answer"))
	at(90, move, `the move of shard 5 from n1 to n4 has stood at "catching up" for 1m30s: no answer`)
	applied = 7 // it gets on
	at(100, move)
	at(161, move, `the move of shard 5 from n1 to n4 has stood at "catching up" for 1m1s`)
	move.Step = meta.Voting
	at(162, move)
	applied = 9 // as every replica does
	at(222, move, `the move of shard 5 from n1 to n4 has stood at "voting" for 1m`)
	w.Look(nil, nil, start)
	if len(w.moves) > 0 {
		t.Error("moves that have ended are kept")
	}
}

// What Kafka deleted showed for the life of the process.
func TestLostShowsForAnHour(t *testing.T) {
	at := time.Unix(1000, 0)
	f := func(lost uint64, after time.Duration, want string) {
		t.Helper()
		if got := LostTrouble(lost, at, at.Add(after)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f(0, 0, "")
	f(5, time.Minute, "Kafka deleted 5 records before they were read, the last 1m ago: its retention is too short")
	f(5, time.Hour+time.Second, "")
}
