package main_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// askers look people up at nodes, over HTTP and RESP, until they are stopped: no look-up may fail.
type askers struct {
	t      *testing.T
	people int
	client *http.Client
	stops  map[*node]func()
}

func newAskers(t *testing.T, people int) *askers {
	a := &askers{t: t, people: people, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}, stops: map[*node]func(){}}
	t.Cleanup(func() {
		for n := range a.stops {
			a.leave(n)
		}
		a.client.CloseIdleConnections()
	})
	return a
}

// ask begins to ask a node.
func (a *askers) ask(n *node) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	a.stops[n] = func() { stop(); running.Wait() }
	who := func() string { return fmt.Sprint("user_id:u", rand.IntN(a.people)) }
	loop := func(look func() error) {
		running.Go(func() {
			for ctx.Err() == nil {
				if err := look(); err != nil {
					a.t.Errorf("a look-up at http %s, resp %s: %v", n.http, n.resp, err)
					return
				}
				select {
				case <-ctx.Done():
				case <-time.After(2 * time.Millisecond): // a steady reader, not a load
				}
			}
		})
	}
	loop(func() error {
		answer, err := a.client.Get("http://" + n.http + "/v1/profiles/" + who())
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", answer.Status)
		}
		return nil
	})
	r := redis.NewClient(&redis.Options{Addr: n.resp, MaxRetries: -1})
	a.t.Cleanup(func() { r.Close() })
	loop(func() error {
		fields, err := r.HGetAll(context.Background(), who()).Result()
		if err == nil && len(fields) == 0 {
			err = errors.New("nobody is there")
		}
		return err
	})
}

// leave stops asking a node, and waits until nobody is asking it any more.
func (a *askers) leave(n *node) {
	a.stops[n]()
	delete(a.stops, n)
}

// shares are how many replicas each node holds, in the eyes of the first, when no move is under way.
func (f *fleet) shares() (map[string]int, error) {
	st := decode[struct {
		Directory struct{ Moves []any }
		Nodes     []struct {
			ID       string
			Replicas int
		}
	}](f.t, f.nodes[0].ask(http.StatusOK, "GET", "/v1/status", ""))
	if n := len(st.Directory.Moves); n > 0 {
		return nil, fmt.Errorf("%d moves are under way", n)
	}
	shares := map[string]int{}
	for _, n := range st.Nodes {
		shares[n.ID] = n.Replicas
	}
	return shares, nil
}

// A fourth node joins three while events come in and people are looked up at all of them, and is brought its share of the replicas; then one of the first three is
// drained. No look-up fails, nothing is lost or counted twice.
func TestClusterGrows(t *testing.T) {
	const replicas = 3
	shards, people := 16, 100
	if testing.Short() { // four processes under the race detector, each of which has every shard to move
		shards, people = 4, 30
	}
	recipe := filepath.Join(t.TempDir(), "cluster.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	tr := &trial{fleet: newFleetIn(t, nil, func(n *node) { n.shards = shards }, 3, recipe), people: people, pause: 20 * time.Millisecond}
	tr.begin()
	eventually(t, wait, "everybody is sent", func() error {
		if tr.sent.Load() == 0 {
			return errors.New("nobody yet")
		}
		return nil
	})
	tr.recovered("everybody has visited")
	a := newAskers(t, tr.people)
	for _, n := range tr.nodes {
		a.ask(n)
	}

	fourth := tr.join()
	fourth.start()
	a.ask(fourth)
	eventually(t, 2*wait, "the fourth has its share", func() error {
		shares, err := tr.shares()
		if err == nil && shares["n4"] < shards*replicas/4-1 {
			err = fmt.Errorf("%v", shares)
		}
		return err
	})
	tr.placed(replicas)
	tr.recovered("a fourth node has joined")

	leaver := tr.nodes[2]
	a.leave(leaver) // its clients go elsewhere: it answers no more
	tr.nodes[0].must("drain", "n3", "--timeout", "60s", "-o", "json")
	if code := leaver.code(stopWait); code != 0 {
		t.Errorf("the drained node ended with code %d: %s", code, leaver.stderr.String())
	}
	tr.nodes = slices.Delete(tr.nodes, 2, 3)
	tr.placed(replicas)
	tr.recovered("a node has been drained")
	if shares, err := tr.shares(); err != nil || shares["n3"] != 0 {
		t.Errorf("%v, %v", shares, err)
	}
	for _, n := range tr.nodes {
		a.leave(n)
	}
	tr.end(nil)
}
