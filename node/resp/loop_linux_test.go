package resp

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// I4 in a loop: the whole way from the kernel and back.
func TestLoopDoesNotAllocate(t *testing.T) {
	b := newFake(12)
	b.full("email", "ada@example.com", 0, 2)
	s := NewServer(Settings{}, b)
	l, err := newLoop(s.shared)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	carry := &socket{fd: pair[0], loop: l}
	s.enter(carry, "test", func(c *client) { carry.client = c })
	carry.posted.Store(true)
	carry.attend()
	defer carry.end()

	in := []byte(strings.Repeat(wire("HGETALL", "email:ada@example.com")+wire("SISMEMBER", "audience:vip", "email:ada@example.com"), 16))
	out := make([]byte, 64<<10)
	answer := []byte(":1\r\n")
	turn := func() {
		if _, err := unix.Write(pair[1], in); err != nil {
			t.Fatal(err)
		}
		l.event(carry, unix.EPOLLIN)
		l.turn()
		if n, err := unix.Read(pair[1], out); err != nil || bytes.Count(out[:n], answer) != 16 {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	turn()
	if n := testing.AllocsPerRun(200, turn); n > 0 {
		t.Errorf("%g allocations a turn", n)
	}
}
