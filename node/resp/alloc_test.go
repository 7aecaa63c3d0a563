package resp

import (
	"strings"
	"testing"
)

// I4: the whole way from a buffer of commands to a buffer of answers.
func TestNoAllocation(t *testing.T) {
	b := newFake(12)
	b.full("email", "ada@example.com", 0, 2)
	for _, command := range []string{
		"HGETALL|email:ada@example.com",
		"HGETALL|email:nobody@example.com",
		"HGET|email:ada@example.com|f2",
		"HMGET|email:ada@example.com|f2|f1|zzz",
		"HLEN|email:ada@example.com",
		"EXISTS|email:ada@example.com|email:x",
		"SISMEMBER|audience:vip|email:ada@example.com",
		"SMISMEMBER|audience:vip|email:ada@example.com|email:x",
		"SMEMBERS|audiences:email:ada@example.com",
		"PING",
	} {
		s := newTestSession(b, "")
		in := []byte(strings.Repeat(wire(strings.Split(command, "|")...), 16))
		out := make([]byte, 0, 64<<10)
		if n := testing.AllocsPerRun(200, func() {
			used, _, next := s.Handle(in, out)
			if used != len(in) || next != More {
				t.Fatal("not handled")
			}
		}); n != 0 {
			t.Errorf("%s: %g allocations for a pipeline of 16", command, n)
		}
	}
}
