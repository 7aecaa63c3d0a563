package main_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dashi/pipeline/event/track"
	"dashi/pipeline/kafka"
)

var identitySeed = flag.Uint64("identity.seed", 0, "of TestClusterIdentity: the links of the run that a failure printed")

// Nothing but what was seen together decides, so what was one person stays one.
const unionRecipe = `
recipe: union
identity:
  max_identifiers: 10000
  namespaces:
    - {name: user_id, from: userId}
    - {name: email, from: traits.email}
    - {name: anonymous_id, from: anonymousId}
attributes:
  events: {kind: count, on: "*"}
`

// sets is union-find, the naive way.
type sets map[string]map[string]bool

func (s sets) of(id string) map[string]bool {
	if s[id] == nil {
		s[id] = map[string]bool{id: true}
	}
	return s[id]
}

func (s sets) join(a, b string) {
	to := s.of(a)
	for id := range s.of(b) {
		to[id] = true
		s[id] = to
	}
}

// sorted are the members of a set.
func sorted(set map[string]bool) string {
	var ids []string
	for id := range set {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// person is one profile as a look-up answers it.
type person struct {
	ID          string
	Identifiers []struct{ Namespace, Value string }
	Attributes  map[string]float64
}

func (p *person) set() map[string]bool {
	set := map[string]bool{}
	for _, id := range p.Identifiers {
		set[id.Namespace+":"+id.Value] = true
	}
	return set
}

// Links come in while the leaders of shards are killed in turn, and people are looked up all the time, linearizably: whoever was seen as one stays one, by
// each of the identifiers, nobody is lost, and in the end everybody is who union-find says, with every event counted once.
func TestClusterIdentity(t *testing.T) {
	const groups, size, each = 20, 9, 60
	rounds := 16
	if testing.Short() {
		rounds = 8
	}
	seed := *identitySeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-identity.seed=%d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	recipe := filepath.Join(t.TempDir(), "union.yml")
	check(t, os.WriteFile(recipe, []byte(unionRecipe), 0o600))
	f := newFleet(t, 3, recipe)

	namespaces := []string{"user_id", "email", "anonymous_id"}
	id := func(group, i int) string {
		value := fmt.Sprintf("g%d-%d", group, i)
		if i%3 == 1 {
			value += "@x.example"
		}
		return namespaces[i%3] + ":" + value
	}
	late := map[[3]int]int{} // by group and pair: the round from which on it is seen together
	oracle, counts := sets{}, map[string]int{}
	event := func(round, n int) kafka.Message {
		g, a, b := random.IntN(groups), random.IntN(size), random.IntN(size)
		if g%2 == 0 && a < 4 != (b < 4) { // two people
			b = a
		}
		pair := [3]int{g, min(a, b), max(a, b)}
		if _, known := late[pair]; !known {
			late[pair] = random.IntN(rounds)
		}
		if a%3 == b%3 || late[pair] > round {
			b = a
		}
		x, y := id(g, min(a, b)), id(g, max(a, b))
		oracle.join(x, y)
		strongest := x
		if slices.Index(namespaces, y[:strings.Index(y, ":")]) < slices.Index(namespaces, x[:strings.Index(x, ":")]) {
			strongest = y
		}
		counts[strongest]++
		at := time.Date(2026, 3, 1, 10, round, n%60, 0, time.UTC)
		text := track.Message(fmt.Sprintf("%d-%d", round, n), "Visit", at, nil, x, y)
		return kafka.Message{Key: []byte(x), Value: text}
	}

	watching, unwatch := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	var mu sync.Mutex
	known, reads := sets{}, 0
	for r := range 2 {
		random := rand.New(rand.NewPCG(seed, uint64(2+r)))
		readers.Go(func() {
			for watching.Err() == nil {
				who := id(random.IntN(groups), random.IntN(size))
				mu.Lock()
				before, seen := known[who]
				want := map[string]bool{}
				for id := range before {
					want[id] = true
				}
				mu.Unlock()
				// Of any node, in turn: who always asks one that is never behind itself would not see that it is behind others.
				asked := random.IntN(len(f.nodes))
				status, body, err := f.nodes[asked].try("GET", "/v1/profiles/"+who+"?read=linearizable", "")
				switch {
				case err != nil && asked > 0, // it is being killed
					err == nil && status == http.StatusServiceUnavailable, err == nil && status == http.StatusGatewayTimeout: // a leader is being replaced
					select {
					case <-watching.Done():
					case <-time.After(5 * time.Millisecond): // the step of the poll
					}
					continue
				case err == nil && status == http.StatusNotFound && !seen:
				case err != nil || status != http.StatusOK:
					t.Errorf("%s: %d %s %v; it was seen with %s", who, status, body, err, sorted(want))
				default:
					var p person
					if err := json.Unmarshal([]byte(body), &p); err != nil {
						t.Errorf("%s: %v in %s", who, err, body)
					}
					got := p.set()
					if !got[who] {
						t.Errorf("%s is %s with %s: not one of these", who, p.ID, sorted(got))
					}
					for id := range want {
						if !got[id] {
							t.Errorf("%s is %s with %s; before that it was one with %s", who, p.ID, sorted(got), sorted(want))
							break
						}
					}
					mu.Lock()
					reads++
					for id := range got {
						known.join(who, id)
					}
					mu.Unlock()
				}
				<-time.After(time.Millisecond) // steady readers, not a load
			}
		})
	}

	producer, sent := f.nodes[0].producer(), 0
	for round := range rounds {
		var messages []kafka.Message
		for n := range each {
			messages = append(messages, event(round, n))
		}
		check(t, producer.Produce(context.Background(), "", messages))
		if sent += each; round%4 != 1 {
			continue
		}
		victim := f.nodes[1+round/4%2]
		victim.kill()
		eventually(t, wait, "events arrive although a node is dead", func() error {
			if st := decode[status](t, f.nodes[0].ask(http.StatusOK, "GET", "/v1/status", "")); st.Events.Applied < uint64(sent-each) {
				return fmt.Errorf("%d of %d applied", st.Events.Applied, sent)
			}
			return nil
		})
		victim.start()
	}
	st := f.alike()
	unwatch()
	readers.Wait()
	if st.Events.Applied != uint64(sent) {
		t.Errorf("%d events applied, want %d", st.Events.Applied, sent)
	}
	if reads < rounds {
		t.Errorf("only %d look-ups", reads)
	}
	total := 0
	people := map[string]bool{}
	for who := range oracle {
		want, events := oracle.of(who), 0
		for id := range want {
			events += counts[id]
		}
		if events == 0 {
			continue
		}
		for i, n := range f.nodes {
			p := decode[person](t, n.ask(http.StatusOK, "GET", "/v1/profiles/"+who+"?read=linearizable", ""))
			if sorted(p.set()) != sorted(want) || int(p.Attributes["events"]) != events {
				t.Errorf("node %d: %s is %s with %s and %v events, want %s and %d", i+1, who, p.ID, sorted(p.set()), p.Attributes["events"], sorted(want), events)
			}
			if !people[p.ID] {
				people[p.ID] = true
				total += events
			}
		}
	}
	if total != sent {
		t.Errorf("%d events in all profiles, %d were sent", total, sent)
	}
	t.Logf("%d people of %d identifiers, %d look-ups", len(people), len(oracle), reads)
}
