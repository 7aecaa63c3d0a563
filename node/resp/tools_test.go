package resp

import (
	"net"
	"os/exec"
	"strings"
	"testing"
)

func tool(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: %v", name, err)
	}
	return path
}

func TestRedisCLI(t *testing.T) { bothWays(t, testRedisCLI) }

func testRedisCLI(t *testing.T, w way) {
	cli := tool(t, "redis-cli")
	_, addr := start(t, w, shop(), "s3cret", Limits{})
	_, port, _ := net.SplitHostPort(addr)
	f := func(want string, args ...string) {
		t.Helper()
		out, err := exec.Command(cli, append([]string{"-p", port, "--no-auth-warning", "-a", "s3cret"}, args...)...).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("redis-cli %v: %v\n got %q\nwant %q", args, err, out, want)
		}
	}
	f("f0\n3.25\nf3\n0", "HGETALL", "user_id:bob")
	f(`{"f0":"3.25","f3":"0"}`, "--json", "HGETALL", "user_id:bob")
	f("1", "-3", "SISMEMBER", "audience:vip", "email:ada@example.com")
	f("vip\nnew:comers", "-3", "SMEMBERS", "audiences:email:ada@example.com")
	f("READONLY 'SET': dashi takes no writes over RESP; events come in over Kafka or HTTP", "SET", "a", "b")
}

func TestRedisBenchmark(t *testing.T) { bothWays(t, testRedisBenchmark) }

func testRedisBenchmark(t *testing.T, w way) {
	bench := tool(t, "redis-benchmark")
	s, addr := start(t, w, shop(), "", Limits{})
	_, port, _ := net.SplitHostPort(addr)
	out, err := exec.Command(bench, "-p", port, "-n", "2000", "-c", "20", "-P", "16", "-q", "HGETALL", "user_id:bob").CombinedOutput()
	if err != nil || strings.Contains(strings.ToLower(string(out)), "error") {
		t.Errorf("%v: %s", err, out)
	}
	if st := s.Stats(); st.Hits < 2000 || st.Failures != 0 {
		t.Errorf("%+v", st)
	}
}
