package resp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// command writes a command as clients do.
func wire(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

func newTestSession(b Backend, password string) *Session {
	return newSession(newShared(b, passwords(password), Limits{}), 7, "192.0.2.1:5")
}

// say sends each command alone and returns all answers.
func say(t *testing.T, s *Session, commands ...string) string {
	t.Helper()
	var out []byte
	for _, c := range commands {
		in := []byte(wire(strings.Split(c, "|")...))
		used, o, _ := s.Handle(in, out)
		if used != len(in) {
			t.Fatalf("%q: used %d of %d bytes", c, used, len(in))
		}
		out = o
	}
	return string(out)
}

func TestAnswers(t *testing.T) {
	const (
		two   = 2
		three = 3
	)
	s := newTestSession(shop(), "")
	f := func(proto int, command, want string) {
		t.Helper()
		s.resp3 = proto == three
		if got := say(t, s, command); got != want {
			t.Errorf("RESP%d %s:\n got %q\nwant %q", proto, command, got, want)
		}
	}
	ada := bulk("f0") + bulk("12") + bulk("f1") + bulk("text of attribute 1") + bulk("f2") + bulk("2025-11-24T16:00:00.123Z") + bulk("f3") + bulk("1")
	bob := bulk("f0") + bulk("3.25") + bulk("f3") + bulk("0")

	f(two, "HGETALL|email:ada@example.com", "*8\r\n"+ada)
	f(three, "hgetall|email:ada@example.com", "%4\r\n"+ada)
	f(two, "HGETALL|user_id:bob", "*4\r\n"+bob)
	f(three, "HGETALL|user_id:bob", "%2\r\n"+bob)
	f(two, "HGETALL|user_id:nobody", "*0\r\n")
	f(three, "HGETALL|user_id:nobody", "%0\r\n")
	f(two, "HGETALL|url:http://a/b:c d", "*8\r\n"+ada)

	f(two, "HGET|user_id:bob|f0", bulk("3.25"))
	f(two, "HGET|user_id:bob|f1", "$-1\r\n")
	f(three, "HGET|user_id:bob|f1", "_\r\n")
	f(two, "HGET|user_id:bob|nothing", "$-1\r\n")
	f(two, "HGET|user_id:nobody|f0", "$-1\r\n")
	f(two, "HMGET|user_id:bob|f3|f1|f0|x|f0", "*5\r\n"+bulk("0")+"$-1\r\n"+bulk("3.25")+"$-1\r\n"+bulk("3.25"))
	f(three, "HMGET|user_id:nobody|f3|f1", "*2\r\n_\r\n_\r\n")
	f(two, "HEXISTS|user_id:bob|f0", ":1\r\n")
	f(two, "HEXISTS|user_id:bob|f1", ":0\r\n")
	f(two, "HEXISTS|user_id:nobody|f1", ":0\r\n")
	f(two, "HLEN|user_id:bob", ":2\r\n")
	f(two, "HLEN|user_id:nobody", ":0\r\n")
	f(two, "EXISTS|user_id:bob|user_id:nobody|user_id:bob|audience:vip|audience:x|audiences:user_id:bob|audiences:user_id:x", ":4\r\n")
	f(two, "TYPE|user_id:bob", "+hash\r\n")
	f(two, "TYPE|audience:vip", "+set\r\n")
	f(two, "TYPE|audiences:user_id:bob", "+set\r\n")
	f(two, "TYPE|user_id:nobody", "+none\r\n")
	for _, ttl := range []string{"TTL", "pttl"} {
		f(two, ttl+"|user_id:bob", ":-1\r\n")
		f(two, ttl+"|audience:vip", ":-1\r\n")
		f(two, ttl+"|audiences:user_id:bob", ":-1\r\n")
		f(two, ttl+"|user_id:nobody", ":-2\r\n")
		f(two, ttl+"|audience:unknown", ":-2\r\n")
		f(two, ttl+"|audiences:user_id:nobody", ":-2\r\n")
	}

	f(two, "SMEMBERS|audiences:email:ada@example.com", "*2\r\n"+bulk("vip")+bulk("new:comers"))
	f(three, "SMEMBERS|audiences:email:ada@example.com", "~2\r\n"+bulk("vip")+bulk("new:comers"))
	f(three, "SMEMBERS|audiences:user_id:nobody", "~0\r\n")
	f(two, "SISMEMBER|audience:vip|email:ada@example.com", ":1\r\n")
	f(two, "SISMEMBER|audience:new:comers|email:ada@example.com", ":1\r\n")
	f(two, "SISMEMBER|audience:lapsed|email:ada@example.com", ":0\r\n")
	f(two, "SISMEMBER|audience:unknown|email:ada@example.com", ":0\r\n")
	f(two, "SISMEMBER|audience:vip|user_id:nobody", ":0\r\n")
	f(two, "SISMEMBER|audiences:user_id:bob|lapsed", ":1\r\n")
	f(two, "SISMEMBER|audiences:user_id:bob|vip", ":0\r\n")
	f(two, "SMISMEMBER|audience:vip|user_id:bob|email:ada@example.com|user_id:x", "*3\r\n:0\r\n:1\r\n:0\r\n")
	f(two, "SMISMEMBER|audiences:user_id:bob|lapsed|vip", "*2\r\n:1\r\n:0\r\n")
	f(two, "SCARD|audience:vip", ":2\r\n")
	f(two, "SCARD|audience:unknown", ":0\r\n")
	f(two, "SCARD|audiences:email:ada@example.com", ":2\r\n")

	f(two, "PING", "+PONG\r\n")
	f(two, "ping|hello", bulk("hello"))
	f(two, "ECHO|a\r\nb", bulk("a\r\nb"))
	f(two, "SELECT|0", "+OK\r\n")
	f(two, "READONLY", "+OK\r\n")
	f(two, "READWRITE", "+OK\r\n")
	f(two, "ROLE", "*3\r\n"+bulk("master")+":0\r\n*0\r\n")
	f(two, "DBSIZE", ":3\r\n")
	f(two, "CLIENT|ID", ":7\r\n")
	f(two, "CLIENT|GETNAME", "$-1\r\n")
	f(two, "CLIENT|SETNAME|me", "+OK\r\n")
	f(two, "CLIENT|GETNAME", bulk("me"))
	f(two, "CLIENT|SETINFO|LIB-NAME|x", "+OK\r\n")
	f(two, "CLIENT|SETINFO|lib-ver|1.2", "+OK\r\n")
	f(two, "CLIENT|INFO", bulk("id=7 addr=192.0.2.1:5 name=me db=0 sub=0 psub=0 user=default resp=2 lib-name=x lib-ver=1.2\n"))
	f(two, "CLIENT|NO-EVICT|on", "+OK\r\n")
	f(two, "CLIENT|NO-TOUCH|off", "+OK\r\n")
	f(two, "COMMAND|COUNT", fmt.Sprintf(":%d\r\n", len(commandList())))
	f(three, "COMMAND|DOCS|get", "%0\r\n")
	f(two, "COMMAND|DOCS", "*0\r\n")
	f(two, "COMMAND|INFO|hgetall|nope", "*2\r\n*6\r\n"+bulk("hgetall")+":2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*-1\r\n")
	f(two, "CONFIG|GET|save", "*2\r\n"+bulk("save")+bulk(""))
	f(three, "CONFIG|GET|nope", "%0\r\n")
	f(two, "RESET", "+RESET\r\n")
	f(two, "CLIENT|GETNAME", "$-1\r\n")
	f(three, "HELLO", "%7\r\n"+bulk("server")+bulk("redis")+bulk("version")+bulk(speaks)+bulk("proto")+":3\r\n"+
		bulk("id")+":7\r\n"+bulk("mode")+bulk("standalone")+bulk("role")+bulk("master")+bulk("modules")+"*0\r\n")
	f(three, "HELLO|2", "*14\r\n"+bulk("server")+bulk("redis")+bulk("version")+bulk(speaks)+bulk("proto")+":2\r\n"+
		bulk("id")+":7\r\n"+bulk("mode")+bulk("standalone")+bulk("role")+bulk("master")+bulk("modules")+"*0\r\n")
	f(two, "HELLO|3|AUTH|default|whatever|SETNAME|joe", "%7\r\n"+bulk("server")+bulk("redis")+bulk("version")+bulk(speaks)+bulk("proto")+":3\r\n"+
		bulk("id")+":7\r\n"+bulk("mode")+bulk("standalone")+bulk("role")+bulk("master")+bulk("modules")+"*0\r\n")
	f(two, "CLIENT|GETNAME", bulk("joe"))
}

// Drivers read from COMMAND where the keys of a command are, before they send it.
func TestCommand(t *testing.T) {
	all := say(t, newTestSession(shop(), ""), "COMMAND")
	head := fmt.Sprintf("*%d\r\n*6\r\n", len(commandList())) + bulk("hgetall") + ":2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
	if !strings.HasPrefix(all, head) {
		t.Errorf("COMMAND: %.200q, want %q...", all, head)
	}
	for _, c := range commandList() {
		keys := fmt.Sprintf(":%d\r\n:%d\r\n:%d\r\n", c.keys[0], c.keys[1], c.keys[2])
		_, rest, named := strings.Cut(all, "*6\r\n"+bulk(c.name)+fmt.Sprintf(":%d\r\n", c.arity))
		if rest, _, _ = strings.Cut(rest, "*6\r\n"); !named || !strings.HasSuffix(rest, "+fast\r\n"+keys) {
			t.Errorf("COMMAND of %s: %q, want the keys %q", c.name, rest, keys)
		}
	}
}

func TestErrors(t *testing.T) {
	s := newTestSession(shop(), "")
	f := func(command, want string) {
		t.Helper()
		got := say(t, s, command)
		if !strings.HasPrefix(got, "-"+want) || strings.Count(got, "\r\n") != 1 || !strings.HasSuffix(got, "\r\n") {
			t.Errorf("%q:\n got %q\nwant -%s...", command, got, want)
		}
	}
	f("HGETALL|bob", "ERR the key 'bob' is not namespace:value")
	f("HGETALL|:bob", "ERR the key ':bob' is not")
	f("HGETALL|user_id:", "ERR the key 'user_id:' is not")
	f("HGETALL|a\r\n+OK\r\nb", "ERR the key 'a??+OK??b' is not")
	f("HGETALL|"+strings.Repeat("x", 200), "ERR the key '"+strings.Repeat("x", 64)+"...' is not")
	f("HGETALL|audience:vip", "WRONGTYPE ")
	f("EXISTS|user_id:bob|bob", "ERR the key 'bob'")
	f("TTL|bob", "ERR the key 'bob'")
	f("PTTL", "ERR wrong number of arguments for 'pttl' command")
	f("SMEMBERS|user_id:bob", "ERR the key 'user_id:bob' is no set")
	f("SMEMBERS|audience:vip", "ERR the members of the audience 'vip' are not listed")
	f("SMEMBERS|audiences:bob", "ERR the key 'bob' is not namespace:value")
	f("SISMEMBER|audience:vip|bob", "ERR the key 'bob' is not namespace:value")
	f("SISMEMBER|audience:|user_id:bob", "ERR the key 'audience:' is no set")
	f("SMISMEMBER|audience:vip|user_id:bob|bob", "ERR the key 'bob'")
	f("SMISMEMBER|audiences:bob|vip", "ERR the key 'bob'")
	f("HGETALL", "ERR wrong number of arguments for 'hgetall' command")
	f("HGET|a:b", "ERR wrong number of arguments for 'hget' command")
	f("PING|a|b", "ERR wrong number of arguments for 'ping' command")
	f("SELECT|1", "ERR DB index is out of range")
	f("SET|a|b", "READONLY ")
	f("del|a", "READONLY ")
	f("FLUSHALL", "READONLY ")
	f("MULTI", "ERR 'MULTI': dashi has no transactions")
	f("EVAL|x|0", "ERR 'EVAL'")
	f("GET|user_id:bob", "WRONGTYPE ")
	f("HSCAN|user_id:bob|0", "ERR 'HSCAN': HGETALL reads all of a profile")
	f("hkeys|user_id:bob", "ERR 'hkeys': HGETALL reads all of a profile")
	f("SSCAN|audiences:user_id:bob|0", "ERR 'SSCAN': SMEMBERS audiences:namespace:value lists")
	f("SCAN|0", "ERR 'SCAN': dashi lists no keys over RESP")
	f("NOPE", "ERR unknown command 'NOPE'")
	f(strings.Repeat("HGETALL", 10), "ERR unknown command ")
	f("", "ERR unknown command ''")
	f("CLUSTER|INFO", "ERR This instance has cluster support disabled")
	f("CLIENT|TRACKING|ON", "ERR unknown subcommand 'TRACKING'")
	f("CLIENT|SETNAME|a b", "ERR Client names cannot contain spaces")
	f("CLIENT|SETNAME", "ERR wrong arguments")
	f("CLIENT|SETINFO|x|y", "ERR Unrecognized option 'x'")
	f("CONFIG|SET|a|b", "ERR CONFIG 'SET'")
	f("COMMAND|X", "ERR unknown subcommand 'X'")
	f("HELLO|4", "NOPROTO ")
	f("HELLO|3|SETNAME", "ERR Syntax error in HELLO option 'SETNAME'")
	f("HELLO|3|AUTH|someone|x", "WRONGPASS ")
	f("AUTH|x", "ERR AUTH <password> called without any password configured")
	f("AUTH|a|b|c", "ERR syntax error")
	f("PSUBSCRIBE|*", "ERR there are no patterns")
	f("SUBSCRIBE|news", "ERR there is no channel 'news'")
	f("SUBSCRIBE|activations|activations.nope", "ERR there is no channel 'activations.nope': nothing leaves under that name")
	f("SUBSCRIBE|activations|activations.", "ERR there is no channel 'activations.'")
	if s.channels != nil {
		t.Error("a refused SUBSCRIBE left channels")
	}
}

func TestPassword(t *testing.T) {
	s := newTestSession(shop(), "s3cret")
	f := func(command, want string) {
		t.Helper()
		if got := say(t, s, command); !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n got %q\nwant %q...", command, got, want)
		}
	}
	f("HGETALL|user_id:bob", "-NOAUTH Authentication required.\r\n")
	f("SET|a|b", "-NOAUTH ")
	f("PING", "-NOAUTH ")
	f("HELLO|3", "-NOAUTH HELLO must be called")
	f("AUTH|wrong", "-WRONGPASS ")
	f("AUTH|joe|s3cret", "-WRONGPASS ")
	f("HELLO|3|AUTH|default|wrong", "-WRONGPASS ")
	f("PING", "-NOAUTH ")
	f("HELLO|3|AUTH|default|s3cret", "%7\r\n")
	f("PING", "+PONG")
	f("RESET", "+RESET")
	f("PING", "-NOAUTH ")
	f("AUTH|s3cret", "+OK")
	f("AUTH|default|s3cret", "+OK")
	f("DBSIZE", ":3")
}

// While clients change their password, the one before lets in as well.
func TestPasswords(t *testing.T) {
	f := func(password, want string) {
		t.Helper()
		if got := say(t, newTestSession(shop(), "new old"), "AUTH|"+password); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", password, got, want)
		}
	}
	f("new", "+OK")
	f("old", "+OK")
	f("older", "-WRONGPASS ")
	f("", "-WRONGPASS ")
}

// What a browser sends that was led to this address ends with its first words: the body behind them may be commands of whoever wrote the page.
func TestHTTPIsNoRESP(t *testing.T) {
	for _, password := range []string{"", "pw"} {
		for _, in := range []string{"POST / HTTP/1.1\r\nHost: x\r\n\r\nPING\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\nPING\r\n", "post / HTTP/1.1\r\n"} {
			_, out, next := newTestSession(shop(), password).Handle([]byte(in), nil)
			if next != Close || !bytes.HasSuffix(out, []byte("-ERR this is HTTP, which has another address here (http.listen): Redis clients ask this one\r\n")) {
				t.Errorf("%q: next %d, %q", in, next, out)
			}
		}
	}
}

// The smaller limits hold before AUTH only.
func TestAnonymousLimits(t *testing.T) {
	big := wire("PING", strings.Repeat("x", 20<<10))
	s := newTestSession(shop(), "pw")
	used, out, next := s.Handle([]byte(big), nil)
	if next != Close || used != len(big) || string(out) != "-ERR Protocol error: invalid bulk length\r\n" {
		t.Errorf("a large argument before AUTH: used %d, next %d, %q", used, next, out)
	}
	s = newTestSession(shop(), "pw")
	if _, out, next = s.Handle([]byte("*11\r\n"), nil); next != Close {
		t.Errorf("many arguments before AUTH: %d %q", next, out)
	}
	s = newTestSession(shop(), "pw")
	_, out, next = s.Handle([]byte(wire("AUTH", "pw")+big), nil)
	if next != More || !bytes.HasPrefix(out, []byte("+OK\r\n$20480\r\n")) {
		t.Errorf("a large argument after AUTH in the same batch: %d %.40q", next, out)
	}
}

func TestPipelineSplitAnywhere(t *testing.T) {
	in := wire("HGETALL", "email:ada@example.com") + "PING\r\n" + wire("SISMEMBER", "audience:vip", "user_id:bob") +
		"*0\r\n\r\n*-1\r\necho 'two words'\r\n" + wire("HGET", "user_id:bob", "f0") + wire("NOPE")
	s := newTestSession(shop(), "")
	used, want, next := s.Handle([]byte(in), nil)
	if used != len(in) || next != More {
		t.Fatalf("used %d of %d, next %d", used, len(in), next)
	}
	if !bytes.Contains(want, []byte("+PONG\r\n:0\r\n"+bulk("two words")+bulk("3.25")+"-ERR unknown")) {
		t.Fatalf("answers: %q", want)
	}
	for step := 1; step < 40; step++ {
		s := newTestSession(shop(), "")
		if got := feedInSteps(t, s, in, step); got != string(want) {
			t.Errorf("in steps of %d bytes:\n got %q\nwant %q", step, got, want)
		}
	}
}

// feedInSteps does what a connection does: the unused rest is given again with more behind it.
func feedInSteps(t *testing.T, s *Session, in string, step int) string {
	t.Helper()
	var buf, out []byte
	for len(in) > 0 {
		n := min(step, len(in))
		buf, in = append(buf, in[:n]...), in[n:]
		for {
			used, o, next := s.Handle(buf, out)
			out = o
			buf = append([]byte(nil), buf[used:]...) // elsewhere, so that nothing may alias the old one
			if next == Close {
				return string(out)
			}
			if next == More {
				break
			}
		}
	}
	return string(out)
}

func TestOutputIsWrittenInParts(t *testing.T) {
	s := newSession(newShared(shop(), nil, Limits{OutputBytes: 100}), 1, "")
	one := wire("HGETALL", "email:ada@example.com")
	in := []byte(strings.Repeat(one, 5))
	for i := range 5 {
		used, out, next := s.Handle(in, nil)
		if want := Again; used != len(one) || next != want || len(out) < 100 {
			t.Fatalf("batch %d: used %d, next %d, %d bytes", i, used, next, len(out))
		}
		in = in[used:]
	}
	if used, out, next := s.Handle(in, nil); used != 0 || len(out) != 0 || next != More {
		t.Errorf("at the end: %d %d %d", used, len(out), next)
	}
}

func TestQuit(t *testing.T) {
	s := newTestSession(shop(), "")
	_, out, next := s.Handle([]byte(wire("PING")+wire("QUIT")+wire("PING")), nil)
	if next != Close || string(out) != "+PONG\r\n+OK\r\n" {
		t.Errorf("%d %q", next, out)
	}
}

func TestInfo(t *testing.T) {
	s := newTestSession(shop(), "")
	all := say(t, s, "INFO")
	for _, want := range []string{"# Server\r\nredis_version:" + speaks, "dashi_version:0.1.0\r\n", "uptime_in_seconds:90\r\n", "loading:0\r\n",
		"role:master\r\n", "cluster_enabled:0\r\n", "db0:keys=3,", "dashi_events_applied:7\r\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("INFO has no %q:\n%s", want, all)
		}
	}
	if got := say(t, s, "INFO|replication"); got != bulk("# Replication\r\nrole:master\r\nconnected_slaves:0\r\ndashi_behind_entries:7\r\n") {
		t.Errorf("INFO replication: %q", got)
	}
}

// A cookbook that is replaced between FieldIndex and Lookup must not turn one attribute into another (I6).
func TestIndexOfAnotherProgram(t *testing.T) {
	b := shop()
	b.fields = map[string]int{"f0": 3, "f1": 99, "f3": -0}
	b.indices = map[string]int{"vip": 2, "lapsed": 50}
	s := newTestSession(b, "")
	if got, want := say(t, s, "HMGET|user_id:bob|f0|f3|f1"), "*3\r\n"+bulk("3.25")+bulk("0")+"$-1\r\n"; got != want {
		t.Errorf("HMGET: %q, want %q", got, want)
	}
	if got := say(t, s, "SMISMEMBER|audiences:user_id:bob|vip|lapsed"); got != "*2\r\n:0\r\n:1\r\n" {
		t.Errorf("SMISMEMBER: %q", got)
	}
}
