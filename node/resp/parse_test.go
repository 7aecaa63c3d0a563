package resp

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

var testBounds = bounds{arguments: 16, argumentBytes: 100, commandBytes: 400}

func TestParse(t *testing.T) {
	f := func(in string, n int, fault protocolError, want ...string) {
		t.Helper()
		var p parser
		got, err := p.next([]byte(in), &testBounds)
		if got != n || err != fault {
			t.Errorf("%q: n=%d err=%q, want n=%d err=%q", in, got, err, n, fault)
			return
		}
		if n == 0 {
			return
		}
		var args []string
		for _, s := range p.spans {
			args = append(args, in[s.from:s.to])
		}
		if fmt.Sprint(args) != fmt.Sprint(want) {
			t.Errorf("%q: %q, want %q", in, args, want)
		}
	}
	f("*1\r\n$4\r\nPING\r\n", 14, "", "PING")
	f("*1\r\n$4\r\nPING\r\nmore", 14, "", "PING")
	f("*2\r\n$0\r\n\r\n$2\r\n\r\n\r\n", 18, "", "", "\r\n")
	f("*0\r\n", 4, "")
	f("*-1\r\n", 5, "")
	f("*-9\r\n", 5, "")
	f("\r\n", 2, "")
	f("a b\n", 4, "", "a", "b")
	f("  a\t'b c' \"d e\"f \r\n", 19, "", "a", "b c", "d e", "f")
	f("", 0, "")
	f("*", 0, "")
	f("*1", 0, "")
	f("*1\r", 0, "")
	f("*1\r\n$4\r\nPING\r", 0, "")
	f("PING", 0, "")
	f("*\r\n", 0, errArguments)
	f("*x\r\n", 0, errArguments)
	f("*1\n", 0, errArguments)
	f("*1\rx", 0, errArguments)
	f("*17\r\n", 0, errArguments)
	f("*99999999999\r\n", 0, errArguments)
	f("*1\r\n:4\r\n", 0, errDollar)
	f("*1\r\n$-1\r\n", 0, errBulk)
	f("*1\r\n$101\r\n", 0, errBulk)
	f("*1\r\n$18446744073709551617\r\n", 0, errBulk)
	f("*1\r\n$+4\r\nPING\r\n", 0, errBulk)
	f("*1\r\n$4\r\nPINGxx", 0, errEnd)
	f("*5\r\n"+strings.Repeat("$100\r\n"+strings.Repeat("x", 100)+"\r\n", 5), 0, errCommand)
	f("'a\r\n", 0, errQuotes)
	f(strings.Repeat("x", 101), 0, errInline)
	f(strings.Repeat("x", 101)+"\n", 0, errInline)
	f(strings.Repeat("x ", 17)+"\n", 0, errArguments)
}

// naive reads one command by splitting lines: the oracle of parser. ok is false when in is not a whole "*N" command.
func naive(in []byte) (args [][]byte, n int, ok bool) {
	line := func() (string, bool) {
		i := bytes.Index(in[n:], []byte("\r\n"))
		if i < 0 {
			return "", false
		}
		s := string(in[n : n+i])
		n += i + 2
		return s, true
	}
	plain := func(s string, max int) (int, bool) {
		v, err := strconv.Atoi(s)
		return v, err == nil && v >= 0 && v <= max && strings.Trim(s, "0123456789") == "" && len(s) <= maxDigits
	}
	s, ok := line()
	if !ok || s == "" || s[0] != '*' {
		return nil, 0, false
	}
	count, ok := plain(s[1:], testBounds.arguments)
	if !ok {
		return nil, 0, false
	}
	for range count {
		s, ok := line()
		if !ok || s == "" || s[0] != '$' {
			return nil, 0, false
		}
		size, ok := plain(s[1:], testBounds.argumentBytes)
		if !ok || n+size+2 > testBounds.commandBytes || n+size+2 > len(in) || string(in[n+size:n+size+2]) != "\r\n" {
			return nil, 0, false
		}
		args = append(args, in[n:n+size])
		n += size + 2
	}
	return args, n, true
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"*1\r\n$4\r\nPING\r\n", "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "PING\r\n", "*0\r\n", "'a b' c\n", "*1\r\n$99\r\n"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		var p parser
		n, fault := p.next(in, &testBounds)
		if n < 0 || n > len(in) || (fault != "" && n != 0) {
			t.Fatalf("n=%d of %d, fault %q", n, len(in), fault)
		}
		args, want, ok := naive(in)
		if ok && (n != want || fault != "" || len(args) != len(p.spans)) {
			t.Fatalf("n=%d fault=%q, naive n=%d", n, fault, want)
		}
		if !ok && n > 0 && in[0] == '*' && len(p.spans) > 0 {
			t.Fatalf("read %d arguments where naive reads none", len(p.spans))
		}
		for i, s := range p.spans {
			if n > 0 && ok && !bytes.Equal(in[s.from:s.to], args[i]) {
				t.Fatalf("argument %d: %q, naive %q", i, in[s.from:s.to], args[i])
			}
		}
		// Byte by byte gives the same.
		var q parser
		at := 0
		for {
			at = min(at+int(step)+1, len(in))
			m, fault2 := q.next(in[:at], &testBounds)
			if m != 0 || fault2 != "" {
				if m != n || fault2 != fault {
					t.Fatalf("in steps: n=%d %q, at once: n=%d %q", m, fault2, n, fault)
				}
				break
			}
			if at == len(in) {
				if n != 0 || fault != "" {
					t.Fatalf("in steps: nothing, at once: n=%d %q", n, fault)
				}
				break
			}
		}
	})
}

// FuzzSession gives a session anything and checks that it stays inside its input, that what it answers is RESP, and
// that how the bytes were split does not matter.
func FuzzSession(f *testing.F) {
	b := shop()
	for _, c := range commandList() {
		f.Add([]byte(wire(c.name)), uint8(1))
		f.Add([]byte(wire(c.name, "user_id:bob")), uint8(2))
		f.Add([]byte(wire(c.name, "audiences:user_id:bob", "f0", "x")), uint8(5))
		f.Add([]byte(c.name+" audience:vip email:ada@example.com\r\n"), uint8(9))
	}
	f.Add([]byte(wire("HELLO", "3")+wire("SUBSCRIBE", "activations")+wire("PING")), uint8(4))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		s := newTestSession(b, "")
		whole := feedInSteps(t, s, string(in), len(in)+1)
		if rest := skipReplies(t, whole); rest != "" {
			t.Fatalf("answers end in the middle: %q of %q", rest, whole)
		}
		// INFO counts commands, so only its presence is compared.
		if bytes.Contains(bytes.ToLower(in), []byte("info")) {
			return
		}
		s = newTestSession(b, "")
		if parts := feedInSteps(t, s, string(in), int(step)+1); parts != whole {
			t.Fatalf("in steps of %d:\n got %q\nwant %q", step+1, parts, whole)
		}
	})
}

// skipReplies reads whole replies and returns what is left.
func skipReplies(t *testing.T, s string) string {
	for s != "" {
		s = skipReply(t, s)
	}
	return s
}

func skipReply(t *testing.T, s string) string {
	line, rest, ok := strings.Cut(s, "\r\n")
	if !ok || line == "" {
		t.Fatalf("no line in %q", s)
	}
	n, err := strconv.Atoi(line[1:])
	switch line[0] {
	case '+', '-':
		return rest
	case '_':
		if line != "_" {
			t.Fatalf("null %q", line)
		}
		return rest
	}
	if err != nil {
		t.Fatalf("no number in %q", line)
	}
	switch line[0] {
	case ':':
		return rest
	case '$':
		if n == -1 {
			return rest
		}
		if len(rest) < n+2 || rest[n:n+2] != "\r\n" {
			t.Fatalf("a bulk string of %d bytes in %q", n, rest)
		}
		return rest[n+2:]
	case '%':
		n *= 2
		fallthrough
	case '*', '~', '>':
		for range n {
			rest = skipReply(t, rest)
		}
		return rest
	}
	t.Fatalf("reply %q", line)
	return ""
}
