package crowd

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

type message struct {
	Type, Event, MessageID, UserID, AnonymousID string
	Timestamp                                   time.Time
	Context                                     struct{ Traits struct{ Email string } }
	Properties                                  struct{ Total float64 }
}

func all(t *testing.T, s Settings) (messages []message, text []byte, g *Generator) {
	g = New(s)
	for {
		at := len(text)
		out, keyAt, more := g.Append(text)
		if !more {
			return messages, text, g
		}
		var m message
		if err := json.Unmarshal(out[at:keyAt], &m); err != nil {
			t.Fatalf("%v: %s", err, out[at:keyAt])
		}
		if key := string(out[keyAt:]); key != m.UserID && (m.UserID != "" || key != m.AnonymousID) {
			t.Fatalf("key %s of %+v", key, m)
		}
		messages, text = append(messages, m), out
	}
}

// Everybody has a user id and none to five other identifiers; about one device in twenty has several users.
func TestCrowd(t *testing.T) {
	const people = 4000
	messages, text, g := all(t, Settings{Seed: 1, People: people})
	extra, users, alone := map[string]map[string]bool{}, map[string]map[string]bool{}, map[string]int{}
	ids := map[string]bool{}
	for _, m := range messages {
		if ids[m.MessageID] || m.Timestamp.IsZero() || m.Properties.Total == 0 {
			t.Fatalf("%+v", m)
		}
		ids[m.MessageID] = true
		if m.UserID == "" {
			alone[m.AnonymousID]++
			continue
		}
		if extra[m.UserID] == nil {
			extra[m.UserID] = map[string]bool{}
		}
		for _, id := range []string{m.AnonymousID, m.Context.Traits.Email} {
			if id == "" {
				continue
			}
			extra[m.UserID][id] = true
			if users[id] == nil {
				users[id] = map[string]bool{}
			}
			users[id][m.UserID] = true
		}
	}
	if len(extra) != people {
		t.Errorf("%d people", len(extra))
	}
	var by [MostExtra + 1]int
	for _, e := range extra {
		by[len(e)]++
	}
	for n, count := range by {
		if share := float64(count) / people; share < 0.12 || share > 0.21 {
			t.Errorf("%d people have %d more identifiers", count, n)
		}
	}
	shared := 0
	for id, who := range users {
		if len(who) > household {
			t.Errorf("%s has %d users", id, len(who))
		}
		if len(who) > 1 {
			shared++
		}
	}
	if shared < people/household/10 {
		t.Errorf("%d identifiers are shared", shared)
	}
	if len(alone) < people || g.Extra() < 2*people || g.Extra() > 3*people {
		t.Errorf("%d devices were anonymous, %d identifiers", len(alone), g.Extra())
	}
	if _, again, _ := all(t, Settings{Seed: 1, People: people}); !bytes.Equal(text, again) {
		t.Error("I1: other messages")
	}
}

func TestQuietAndAlone(t *testing.T) {
	messages, _, _ := all(t, Settings{Seed: 1, People: 1000, Quiet: true})
	for _, m := range messages {
		if m.UserID == "" {
			t.Fatalf("%+v", m)
		}
	}
	if messages, _, g := all(t, Settings{Seed: 1, People: 1000, Alone: true}); len(messages) != 1000 || g.Extra() != 0 {
		t.Errorf("%d messages, %d identifiers", len(messages), g.Extra())
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	g, buf := New(Settings{Seed: 1, People: 100_000}), make([]byte, 0, 1<<10)
	if n := testing.AllocsPerRun(1000, func() { g.Append(buf) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
