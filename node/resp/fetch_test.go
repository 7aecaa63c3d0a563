package resp

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

// What another node has is answered as what is here, to the byte, and the profiles of a whole pipeline are asked for at once.
func TestFetchedIsTheSame(t *testing.T) {
	var pipeline strings.Builder
	for _, c := range []string{
		"HGETALL|email:ada@example.com", "HGETALL|user_id:nobody", "HGET|user_id:bob|f0", "HMGET|user_id:bob|f3|f1|f0|x|f0", "HEXISTS|user_id:bob|f0",
		"HLEN|user_id:bob", "TYPE|user_id:bob", "SMEMBERS|audiences:email:ada@example.com", "HGETALL|what", "HGETALL|email:ada@example.com",
		"EXISTS|user_id:bob|user_id:nobody|user_id:bob|audience:vip|audience:x|audiences:user_id:bob|audiences:user_id:x", "PING", "TYPE|audience:vip", "TYPE|audiences:user_id:bob",
		"SISMEMBER|audience:vip|email:ada@example.com", "SMISMEMBER|audience:vip|email:ada@example.com|user_id:bob|user_id:x", "SMISMEMBER|audiences:user_id:bob|vip|lapsed",
		"SCARD|audience:vip", "SCARD|audience:x", "SCARD|audiences:email:ada@example.com", "HGETALL|audience:vip", "TTL|user_id:bob", "PTTL|audience:vip", "TTL|user_id:x",
	} {
		pipeline.WriteString(wire(strings.Split(c, "|")...))
	}
	want, _ := handleAll(t, newTestSession(shop(), ""), []byte(pipeline.String()))
	f := shop()
	f.away.Store(true)
	got, _ := handleAll(t, newTestSession(f, ""), []byte(pipeline.String()))
	if string(got) != string(want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	first := "LOCAL[email:ada@example.com user_id:nobody user_id:bob] []"
	if f.fetches[0] != first || len(f.fetches) > 12 {
		t.Errorf("%d fetches: %q", len(f.fetches), f.fetches)
	}
	for level, word := range levels {
		near := shop() // it has everything, but not so fresh
		s := newTestSession(near, "")
		if got, _ := handleAll(t, s, []byte(wire("DASHI", "READ", strings.ToLower(word))+wire("DASHI", "READ"))); string(got) != "+OK\r\n"+bulk(word) {
			t.Errorf("%q", got)
		}
		got, _ := handleAll(t, s, []byte(pipeline.String()))
		if string(got) != string(want) {
			t.Errorf("%s: got\n%q\nwant\n%q", word, got, want)
		}
		if fetched := len(near.fetches) > 0; fetched != (Level(level) != Local) || fetched && !strings.HasPrefix(near.fetches[0], word) {
			t.Errorf("%s: %q", word, near.fetches)
		}
	}
}

// Many keys take few fetches; an answer is never older than its command.
func TestFetches(t *testing.T) {
	f := shop()
	f.away.Store(true)
	s := newTestSession(f, "")
	got, _ := handleAll(t, s, []byte(wire(slices.Concat([]string{"EXISTS"}, many(3000))...)))
	if string(got) != ":0\r\n" || len(f.fetches) != 3 {
		t.Errorf("%q in %d fetches", got, len(f.fetches))
	}
	f.fetches = nil
	for range 2 {
		if got, _ := handleAll(t, s, []byte(wire("HLEN", "user_id:bob")+wire("HLEN", "user_id:bob"))); string(got) != ":2\r\n:2\r\n" {
			t.Errorf("%q", got)
		}
	}
	if len(f.fetches) != 2 || s.fetch != nil && s.next < s.fetch.upTo {
		t.Errorf("%q", f.fetches)
	}
	say := func(want string, words ...string) {
		t.Helper()
		if got, _ := handleAll(t, s, []byte(wire(words...)+wire("PING"))); string(got) != want+"+PONG\r\n" {
			t.Errorf("%v: %q, want %q", words, got, want)
		}
	}
	lost := "-TRYAGAIN shard 3: node n2 does not answer\r\n"
	say(lost, "HGETALL", "user_id:lost")
	say(lost, "EXISTS", "user_id:bob", "user_id:lost")
	say("*2\r\n:0\r\n"+lost, "SMISMEMBER", "audience:vip", "user_id:bob", "user_id:lost")
	say("-TRYAGAIN shard 5: node n3 does not answer\r\n", "SCARD", "audience:lapsed")
	say("-ERR DASHI READ takes LOCAL, LEADER or LINEARIZABLE\r\n", "DASHI", "READ", "NEW")
	say("-ERR unknown subcommand 'X': DASHI READ [LOCAL | LEADER | LINEARIZABLE], DASHI BEHIND\r\n", "DASHI", "X")
	say(":7\r\n", "DASHI", "BEHIND")
	say("+OK\r\n", "READWRITE")
	say(bulk("LEADER"), "DASHI", "READ")
	say("+OK\r\n", "READONLY")
	say("+OK\r\n", "READWRITE")
	say("+RESET\r\n", "RESET")
	say(bulk("LOCAL"), "DASHI", "READ")
}

func many(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprint("user_id:", i))
	}
	return keys
}

// While one client waits for another node, the others are served, and what it sends meanwhile keeps its place.
func TestOthersAreServedMeanwhile(t *testing.T) {
	bothWays(t, func(t *testing.T, w way) {
		f := shop()
		f.gate = make(chan struct{})
		_, addr := start(t, w, f, "", Limits{})
		dial := func() net.Conn {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return c
		}
		say := func(c net.Conn, words ...string) {
			t.Helper()
			if _, err := c.Write([]byte(wire(words...))); err != nil {
				t.Fatal(err)
			}
		}
		hear := func(c net.Conn, want string) {
			t.Helper()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
				t.Fatalf("%q (%v), want %q", got, err, want)
			}
		}
		waits, other := dial(), dial()
		say(waits, "DASHI", "READ", "LEADER")
		hear(waits, "+OK\r\n")
		say(waits, "HLEN", "user_id:bob")
		until(t, "it asks", func() bool { f.subMu.Lock(); defer f.subMu.Unlock(); return len(f.fetches) == 1 })
		say(waits, "PING")
		say(waits, "HLEN", "user_id:bob")
		for range 100 {
			say(other, "HLEN", "user_id:bob")
			hear(other, ":2\r\n")
		}
		close(f.gate)
		hear(waits, ":2\r\n+PONG\r\n:2\r\n")
		f.subMu.Lock()
		defer f.subMu.Unlock()
		if len(f.fetches) != 2 { // the second HLEN came later
			t.Errorf("%q", f.fetches)
		}
	})
}
