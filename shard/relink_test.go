package shard

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"dashi/pipeline/identity"
)

// quarter is several shards whose messages arrive when the test says so.
type quarter struct {
	t      *testing.T
	towns  []*town
	homes  map[uint64]int // by hash of an identifier
	passed map[[2]int]uint64
}

func newQuarter(t *testing.T, shards int) *quarter {
	q := &quarter{t: t, homes: map[uint64]int{}, passed: map[[2]int]uint64{}}
	for i := range shards {
		w := newTown(t, linkedRecipe)
		w.s.settings.Self = i
		w.s.settings.Home = func(hash uint64) int { return q.homes[hash] }
		q.towns = append(q.towns, w)
	}
	return q
}

// lives makes a shard the home of an identifier.
func (q *quarter) lives(shard int, namespace, value string) {
	q.homes[identity.Hash(namespace, []byte(value))] = shard
}

// pass brings what one shard has for another there, and says how many messages that were.
func (q *quarter) pass(from, to int) (n int) {
	q.t.Helper()
	stream := [2]int{from, to}
	var m Messages
	m.Begin(from, q.towns[from].s.Dialect(), q.passed[stream])
	q.towns[from].s.EachMessage(to, q.passed[stream], func(_ uint64, message []byte) bool {
		m.Add(bytes.Clone(message))
		n++
		return true
	})
	if n > 0 {
		mustAccept(q.t, q.towns[to].s.Apply(m.Seal(q.towns[to].s.now)))
		q.passed[stream] = m.Next()
	}
	return n
}

// settle passes everything on until nothing is left.
func (q *quarter) settle() {
	q.t.Helper()
	for range 100 {
		n := 0
		for from := range q.towns {
			for to := range q.towns {
				if from != to {
					n += q.pass(from, to)
				}
			}
		}
		if n == 0 {
			return
		}
	}
	q.t.Fatal("messages go in circles")
}

// A device lay with a, then with y, where it was erased, and is seen again with b. What a's shard had said of it before all that arrives last, and would lead to
// where the device is no more: messages would go there, back to its home, and there again, without end.
func TestRelinkFromBeforeErasure(t *testing.T) {
	const home, shardA, shardY, shardZ, shardB = 0, 1, 2, 3, 4
	q := newQuarter(t, 5)
	h := q.towns[home]
	var users []string // in the order of ids
	for i := 0; len(users) < 4; i++ {
		user := fmt.Sprint("u", i)
		at := 0
		for at < len(users) && h.s.compare(h.key("user_id", users[at]), h.key("user_id", user)) < 0 {
			at++
		}
		users = append(users[:at], append([]string{user}, users[at:]...)...)
	}
	y, a, b, z := users[0], users[1], users[2], users[3]
	q.lives(home, "anonymous_id", "device")
	for user, shard := range map[string]int{y: shardY, a: shardA, b: shardB, z: shardZ} {
		q.lives(shard, "user_id", user)
	}
	seen := func(shard, minute int, user string) {
		q.towns[shard].event(fmt.Sprintf("%d look p 0 user_id:%s anonymous_id:device", minute, user))
		q.pass(shard, home)
	}
	seen(shardZ, 1, z)
	q.pass(home, shardZ)
	seen(shardA, 2, a)
	q.pass(home, shardZ)
	q.pass(shardZ, shardA) // the device and z are with a now, whose shard tells the home of the device: that is late
	seen(shardY, 3, y)
	q.pass(home, shardZ)
	q.pass(shardZ, shardA)
	q.pass(shardA, shardY) // and now with y
	q.pass(shardY, home)
	mustAccept(t, h.s.Apply(AppendErase(nil, fallback+10*60_000, "anonymous_id", []byte("device"))))
	q.pass(home, shardY)
	q.pass(shardY, home)
	if h.s.pointers.has(h.key("anonymous_id", "device")) {
		t.Fatal("the device is not erased")
	}
	seen(shardB, 20, b)
	q.pass(home, shardB)
	if q.pass(shardA, home) != 1 {
		t.Fatal("a's shard did not say where the device lay")
	}
	h.event("21 look p 0 anonymous_id:device")
	q.settle()
	root, _, _ := h.s.place(h.key("anonymous_id", "device"), &h.s.apply.scratch.place)
	if string(root.value) != b {
		t.Errorf("the device is with %s, want %s", root.value, b)
	}
	if got := q.towns[shardB].profile("user_id:" + b); !strings.Contains(got, `"events":2`) {
		t.Errorf("b is %s, want two events", got)
	}
}
