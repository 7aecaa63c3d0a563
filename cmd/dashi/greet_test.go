package main

import (
	"strings"
	"testing"
)

// What a node says when it has opened can be copied and works: people who exist, addresses that can be gone to, ports that are open.
func TestGreet(t *testing.T) {
	f := func(text string, has []string, not ...string) {
		t.Helper()
		for _, want := range has {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in:\n%s", want, text)
			}
		}
		for _, no := range not {
			if strings.Contains(text, no) {
				t.Errorf("%q in:\n%s", no, text)
			}
		}
	}
	dev := func(http, resp string, demo float64) string {
		var out strings.Builder
		greet(&out, http, resp, "127.0.0.1:19092", demo)
		return out.String()
	}
	f(dev("127.0.0.1:7070", "127.0.0.1:6380", 200), []string{"dashi get user_id:u0", "HGETALL user_id:u0", "console   http://127.0.0.1:7070\n"}, "DASHI_ADDR", "u7")
	f(dev("127.0.0.1:7070", "127.0.0.1:6380", 0), []string{"dashi get user_id:u7", "HGETALL user_id:u7", "profiles/user_id:u7\n", `"userId":"u7"`}, "u0")
	f(dev("[::]:7071", "0.0.0.0:6380", 1), []string{"http://127.0.0.1:7071\n", "redis://127.0.0.1:6380", "DASHI_ADDR=http://127.0.0.1:7071\n"}, "[::]", "0.0.0.0")
	f(dev("[::1]:7070", "", 1), []string{"http://[::1]:7070\n"}, "redis")
	f(dev("10.1.2.3:7070", "", 1), []string{"http://10.1.2.3:7070\n"})

	cluster := func(nodes int, demo float64) string {
		var out strings.Builder
		(&trial{out: &out, nodes: nodes, brokers: []string{"127.0.0.1:19092"}, demo: demo}).greet()
		return out.String()
	}
	f(cluster(3, 0), []string{"get user_id:u7 --addr", "user_id:u7?read=", `"userId":"u7"`, "127.0.0.1:7070/v1/track\n"}, "u0")
	f(cluster(3, 200), []string{"--addr 127.0.0.1:7170 ", "127.0.0.1:7270/v1/"})
	f(cluster(2, 200), []string{"--addr 127.0.0.1:7170 ", "127.0.0.1:7170/v1/"}, "7270")
	f(cluster(1, 200), []string{"--addr 127.0.0.1:7070 ", "127.0.0.1:7070/v1/"}, "7170")
}
