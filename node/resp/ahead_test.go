package resp

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// handleAll calls Handle until nothing complete is left, and says how often it returned Again.
func handleAll(t *testing.T, s *Session, in []byte) (answers []byte, agains int) {
	t.Helper()
	for {
		used, out, next := s.Handle(in, answers)
		in, answers = in[used:], out
		if next != Again {
			if len(in) > 0 && next == More {
				t.Fatalf("%d bytes are left", len(in))
			}
			return answers, agains
		}
		agains++
	}
}

// I8: a command with many keys takes many Handles, and its answer is that of one.
func TestManyKeys(t *testing.T) {
	f := func(command, one string, n int, want string) {
		t.Helper()
		s := newTestSession(shop(), "")
		words := strings.Split(command, "|")
		for range n {
			words = append(words, one)
		}
		got, agains := handleAll(t, s, []byte(wire("PING")+wire(words...)+wire("PING")))
		if string(got) != "+PONG\r\n"+want+"+PONG\r\n" {
			t.Errorf("%s with %d of %s: %d bytes, want %d", command, n, one, len(got), len(want)+14)
		}
		if agains < n/turnWork {
			t.Errorf("%s: Handle did more than its share: it returned Again %d times", command, agains)
		}
		if c := s.shared.stats().Commands; c != 3 {
			t.Errorf("%s: %d commands were counted, want 3", command, c)
		}
	}
	f("EXISTS", "user_id:bob", 5000, ":5000\r\n")
	f("EXISTS", "audience:vip", 500, ":500\r\n")
	f("EXISTS", "user_id:nobody", 5000, ":0\r\n")
	f("SMISMEMBER|audience:vip", "email:ada@example.com", 5000, "*5000\r\n"+strings.Repeat(":1\r\n", 5000))
	f("SMISMEMBER|audiences:user_id:bob", "lapsed", 5000, "*5000\r\n"+strings.Repeat(":1\r\n", 5000))
	f("HMGET|user_id:bob", "f0", 5000, "*5000\r\n"+strings.Repeat(bulk("3.25"), 5000))
	f("HMGET|user_id:bob", "f1", 5000, "*5000\r\n"+strings.Repeat("$-1\r\n", 5000))

	s := newTestSession(shop(), "")
	got, _ := handleAll(t, s, []byte(wire("EXISTS", "user_id:bob", "nothing", "user_id:bob")+wire("EXISTS", "user_id:bob")))
	if want := "-ERR the key 'nothing' is not namespace:value, as in user_id:42\r\n:1\r\n"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A profile that goes away while a long HMGET is under way has no more values, and the answer keeps its length.
func TestManyFieldsOfOneThatGoes(t *testing.T) {
	b := shop()
	s := newTestSession(b, "")
	words := append([]string{"HMGET", "user_id:bob"}, strings.Split(strings.Repeat("f0 ", 1000), " ")[:1000]...)
	in := []byte(wire(words...))
	used, out, next := s.Handle(in, nil)
	if used != 0 || next != Again {
		t.Fatalf("used %d, %v", used, next)
	}
	delete(b.profiles["user_id"], "bob")
	rest, _ := handleAll(t, s, in)
	got := string(out) + string(rest)
	if n := strings.Count(got, "3.25"); n != fieldStep || strings.Count(got, "$-1\r\n") != 1000-fieldStep {
		t.Errorf("%d values, %d nulls", n, strings.Count(got, "$-1\r\n"))
	}
}

// A profile that moves is waited for, by its own client only, and not for ever.
func TestMovingProfile(t *testing.T) {
	for _, c := range []struct{ command, want, never string }{
		{"HGETALL|user_id:moving", "*4\r\n" + bulk("f0") + bulk("3.25") + bulk("f3") + bulk("0"), "*0\r\n"},
		{"HMGET|user_id:moving|f0", "*1\r\n" + bulk("3.25"), "*1\r\n$-1\r\n"},
		{"EXISTS|user_id:bob|user_id:moving|user_id:bob", ":3\r\n", ":2\r\n"},
		{"SISMEMBER|audience:lapsed|user_id:moving", ":1\r\n", ":0\r\n"},
		{"SMISMEMBER|audience:lapsed|user_id:bob|user_id:moving|user_id:bob", "*3\r\n:1\r\n:1\r\n:1\r\n", "*3\r\n:1\r\n:0\r\n:1\r\n"},
		{"SMEMBERS|audiences:user_id:moving", "*1\r\n" + bulk("lapsed"), "*0\r\n"},
		{"SCARD|audiences:user_id:moving", ":1\r\n", ":0\r\n"},
		{"TYPE|user_id:moving", "+hash\r\n", "+none\r\n"},
		{"TTL|user_id:moving", ":-1\r\n", ":-2\r\n"},
	} {
		for _, times := range []int64{0, 1, 5, math.MaxInt64} {
			b := shop()
			b.put("user_id", "moving", []int{2}, math.Float64bits(3.25), 0, 0, 2)
			b.moving.Store(times)
			s := newTestSession(b, "")
			got, agains := handleAll(t, s, []byte(wire("PING")+wire(strings.Split(c.command, "|")...)+wire("PING")))
			want := c.want
			if times == math.MaxInt64 {
				want = c.never
			} else if agains != int(times) {
				t.Errorf("%s: %d times Again, want %d", c.command, agains, times)
			}
			if string(got) != "+PONG\r\n"+want+"+PONG\r\n" {
				t.Errorf("%s, moving %d times: %q, want %q", c.command, times, got, want)
			}
			if st := s.shared.stats(); st.Commands != 3 {
				t.Errorf("%s: %d commands were counted", c.command, st.Commands)
			}
		}
	}
}

// Whatever is ahead, the answers are those of the commands one by one: also around commands that change how the rest is read.
func TestAheadChangesNothing(t *testing.T) {
	commands := []string{"HGETALL|user_id:bob", "HGET|email:ada@example.com|f1", "SISMEMBER|audience:vip|email:ada@example.com", "SISMEMBER|audiences:user_id:bob|lapsed",
		"SMEMBERS|audiences:user_id:bob", "PING", "AUTH|pw", "AUTH|wrong", "RESET", "HELLO|3", "HELLO|2", "NOTHING", "HGET|x", "EXISTS|user_id:bob|user_id:x", "HGETALL|nokey",
		"SELECT|1", "ECHO|" + strings.Repeat("x", 17<<10), "HGETALL|audience:vip", "QUIT"}
	rapid.Check(t, func(t *rapid.T) {
		chosen := rapid.SliceOfN(rapid.SampledFrom(commands), 1, 40).Draw(t, "commands")
		together, alone := newTestSession(shop(), "pw"), newTestSession(shop(), "pw")
		var in, want []byte
		open := true
		for _, c := range chosen {
			raw := []byte(wire(strings.Split(c, "|")...))
			in = append(in, raw...)
			if open {
				var next Next
				_, want, next = alone.Handle(raw, want)
				open = next != Close
			}
		}
		cut := rapid.IntRange(0, len(in)).Draw(t, "cut")
		var got []byte
		next := More
		for from, to := 0, cut; next != Close; {
			var used int
			used, got, next = together.Handle(in[from:to], got)
			if from += used; next == More {
				if to == len(in) {
					break
				}
				to = len(in)
			}
		}
		if string(got) != string(want) {
			t.Fatalf("%q\n got %.300q\nwant %.300q", chosen, got, want)
		}
	})
}

func TestTouches(t *testing.T) {
	f := func(want int64, commands ...string) {
		t.Helper()
		b := shop()
		s := newTestSession(b, "")
		var in string
		for _, c := range commands {
			in += wire(strings.Split(c, "|")...)
		}
		handleAll(t, s, []byte(in))
		if n := b.touched.Load(); n != want {
			t.Errorf("%v: %d keys were touched, want %d", commands, n, want)
		}
	}
	f(0, "HGETALL|user_id:bob")
	f(2, "HGETALL|user_id:bob", "SISMEMBER|audience:vip|user_id:x")
	f(3, "HGET|user_id:bob|f0", "SMEMBERS|audiences:user_id:bob", "HGETALL|user_id:bob", "PING")
	f(100, strings.Split(strings.TrimSuffix(strings.Repeat("HLEN|user_id:bob ", 100), " "), " ")...)
	f(3, "EXISTS|user_id:bob|user_id:x|user_id:y")
	f(2, "SMISMEMBER|audience:vip|user_id:x|user_id:y")
	f(0, "PING", "PING", "HGETALL", "NOTHING|x:y")
}

func BenchmarkAhead(b *testing.B) {
	for _, depth := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("pipeline=%d", depth), func(b *testing.B) {
			s := newTestSession(shop(), "")
			in := []byte(strings.Repeat(wire("HGETALL", "user_id:bob"), depth))
			b.ReportAllocs()
			for b.Loop() {
				s.ahead(in)
				s.keys = s.appendKeys(s.keys[:0], in)
				s.next, s.fault = len(s.ready), ""
			}
		})
	}
}
