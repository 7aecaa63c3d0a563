package redisbench

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const names = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"` + "\n"
	f := func(in string, want Result, ok bool) {
		t.Helper()
		got, err := Parse(strings.NewReader(in))
		if got != want || (err == nil) != ok {
			t.Errorf("Parse(%q) = %+v, %v", in, got, err)
		}
	}
	f(names+`"HGETALL user_id:u__rand_int__","76923.08","0.044","0.008","0.039","0.119","0.175","0.215"`+"\n", Result{76923.08, 0.039, 0.175}, true)
	f(names, Result{}, false) // what it prints when the server answers with an error
	f("", Result{}, false)
	f(names+`"x","fast","0","0","0","0","0","0"`+"\n", Result{}, false)
	f(names+`"x","1"`+"\n", Result{}, false)
	f(`"test","rps"`+"\n"+`"HGETALL k","76923.08"`+"\n", Result{}, false) // before 7.0
}

func FuzzParse(f *testing.F) {
	f.Add("\"test\",\"rps\"\n\"a\",\"1\"\n")
	f.Fuzz(func(_ *testing.T, in string) { _, _ = Parse(strings.NewReader(in)) })
}

func TestArgs(t *testing.T) {
	r := Request{Addr: "127.0.0.1:7", Connections: 50, Pipeline: 16, Requests: 1000, Keys: 9, Command: []string{"HGETALL", "k"}}
	args, err := r.Args()
	if want := "-h 127.0.0.1 -p 7 -c 50 -n 1000 -P 16 -r 9 --csv HGETALL k"; err != nil || strings.Join(args, " ") != want {
		t.Errorf("%v, %v", args, err)
	}
	if _, err := (&Request{Addr: "x"}).Args(); err == nil {
		t.Error("x is an address")
	}
}
