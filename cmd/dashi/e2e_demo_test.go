package main_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"testing"
	"time"
)

var greeting = regexp.MustCompile(`(?s)console +(http://127\.0\.0\.1:\d+)\n.*redis://127\.0\.0\.1:\d+ .*kafka +127\.0\.0\.1:\d+\n.*Ctrl-C stops it\.`)

// Within a minute of the command a newcomer watches profiles change, audiences fill and activations leave.
func TestDemo(t *testing.T) {
	const minute = 60 * time.Second
	started := time.Now()
	p := launch(t, nil, "dev", "--demo", "500", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--resp", "127.0.0.1:0", "--kafka", "127.0.0.1:0")
	var env []string
	eventually(t, minute, "the greeting", func() error {
		m := greeting.FindStringSubmatch(p.stdout.String())
		if m == nil {
			return fmt.Errorf("%q %q", p.stdout.String(), p.stderr.String())
		}
		env = []string{"DASHI_ADDR=" + m[1]}
		resp, err := http.Get(m[1] + "/v1/profiles/user_id:u7")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 && resp.StatusCode != 404 {
			return fmt.Errorf("look-up: %s %s", resp.Status, body)
		}
		return nil
	})
	t.Logf("first look-up answered after %s", time.Since(started).Round(time.Millisecond))
	ask := func(args ...string) string {
		t.Helper()
		r := command(t, env, append(args, "-o", "json")...)
		if r.code != 0 {
			t.Fatalf("dashi %q: %+v", args, r)
		}
		return r.stdout
	}
	eventually(t, minute-time.Since(started), "profiles, five audiences and activations", func() error {
		filled := 0
		for _, a := range decode[struct{ Audiences []struct{ Size int } }](t, ask("audiences")).Audiences {
			if a.Size > 0 {
				filled++
			}
		}
		st := decode[status](t, ask("status"))
		if filled < 5 || st.Profiles < 100 || st.Activations.Made == 0 || len(st.Trouble) > 0 || len(st.Events.Rejected) > 0 {
			return fmt.Errorf("%d audiences filled, %+v", filled, *st)
		}
		return nil
	})
	first := decode[status](t, ask("status"))
	tail := launch(t, env, "tail", "-o", "json")
	eventually(t, wait, "activations and events that go on", func() error {
		st := decode[status](t, ask("status"))
		if tail.stdout.String() == "" || st.Events.Applied <= first.Events.Applied {
			return fmt.Errorf("%d applied, tail %q %q", st.Events.Applied, tail.stdout.String(), tail.stderr.String())
		}
		return nil
	})
	if code := tail.interrupt(); code != 0 {
		t.Errorf("tail ended with code %d", code)
	}
	if code := p.interrupt(); code != 0 || p.stderr.String() != "" {
		t.Errorf("the demo ended with code %d: %s", code, p.stderr.String())
	}
}
