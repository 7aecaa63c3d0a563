package shard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/event"

	"pgregory.net/rapid"
)

// interrupted is a history and what happens to the leaders meanwhile.
type interrupted struct {
	books []*book // by deed; nil: the one before stays in force
	deeds []deed
	fates []int
	heirs []int
}

// The fates of a leader at a deed: from spared on nothing happens.
const (
	handsOver = iota
	isKilled
	isKilledInTheAct
	ticks
	spared
)

var interruptions = rapid.Custom(func(rt *rapid.T) (h interrupted) {
	h.deeds = drawHistory(rt, true, true)
	for i := range h.deeds {
		var b *book
		if i == 0 || rapid.IntRange(0, 9).Draw(rt, "switch") == 0 {
			b = drawBook(rt)
		}
		h.books = append(h.books, b)
		h.fates = append(h.fates, rapid.IntRange(handsOver, 2*spared).Draw(rt, "fate"))
		h.heirs = append(h.heirs, rapid.IntRange(0, 2).Draw(rt, "heir"))
	}
	return h
})

// Exactness in a cluster: in a dozen histories on three replicas, whose leaders hand over, are killed between entries and in the midst of them
// and come back, what has been emitted is what the oracle says, and all replicas are the same. Each history has an hour and people of its own.
func TestTimeAgainstOracleInACluster(t *testing.T) {
	c := newTrio(t)
	histories := 12
	if testing.Short() {
		histories = 2
	}
	seed, offset, fates := int(time.Now().UnixNano()>>10), int64(0), [2*spared + 1]int{}
	for round := range histories {
		h := interruptions.Example(seed + round)
		shift := int64(round) * 3600 * second
		people := fmt.Sprint("r", round, "-")
		o := newOracle(h.books[0])
		now := begin + shift
		c.cookbook(h.books[0], now)
		for i, d := range h.deeds {
			d.at, d.now = d.at+shift, d.now+shift
			o.pass(now, d.now)
			now = d.now
			if b := h.books[i]; b != nil && i > 0 {
				c.cookbook(b, now)
				o.change(b, now)
			}
			fates[h.fates[i]]++
			var inTheAct func(*seat)
			switch h.fates[i] {
			case handsOver:
				c.handOver(h.heirs[i])
			case isKilled:
				c.revive()
				c.kill(c.leader())
			case isKilledInTheAct:
				c.revive()
				inTheAct = c.kill
			case ticks:
				c.propose(AppendTick(nil, now), nil)
			}
			var e event.Event
			if err := decodeDeed(c.decoder, d, people, &e); err != nil {
				t.Fatal(err)
			}
			var b Batch
			b.Begin(c.program.Hash, Stream{Topic: [16]byte{9}}, offset-1)
			b.Add(offset, &e)
			mustAccept(t, c.propose(b.Seal(offset, now), inTheAct))
			offset++
			o.apply(d)
		}
		end := now + 150*second
		o.pass(now, end)
		mustAccept(t, c.propose(AppendTick(nil, end), nil))
		c.revive()
		c.agree()
		got := transitionsOf(t, c.seats[0].replica.shard, people)
		slices.Sort(got)
		slices.Sort(o.seen)
		if !slices.Equal(got, o.seen) {
			t.Fatalf("seed %d: transitions\n%s\nwant\n%s\nof\n%s", seed+round, strings.Join(got, "\n"), strings.Join(o.seen, "\n"), o.book.recipe())
		}
		mustAccept(t, c.propose(AppendAck(nil, end, c.seats[0].replica.shard.Stats().OutboxNext), nil))
	}
	t.Logf("%d leaders handed over, %d were killed, %d in the act", fates[handsOver], fates[isKilled], fates[isKilledInTheAct])
}
