package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// other serves something that is not HTTP: it answers a connection with says, if anything, and leaves it open unless it is to be closed.
func other(t *testing.T, says string, closes bool) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			_, _ = c.Read(make([]byte, 1024))
			fmt.Fprint(c, says)
			if closes {
				c.Close()
			}
		}
	}()
	return "http://" + l.Addr().String()
}

// An address at which nobody speaks HTTP is an error that says so, and no wait without end.
func TestAddressThatIsNotHTTP(t *testing.T) {
	f := func(addr, want string) {
		t.Helper()
		c := &client{addr: addr, out: io.Discard, patience: 20 * time.Millisecond}
		_, err := c.open(t.Context(), "GET", "/v1/status", nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cannot ask node "+addr+": ") {
			t.Errorf("%v, want %s", err, want)
		}
		if err != nil && !strings.HasSuffix(err.Error(), " (is this the HTTP address of a node? Kafka and RESP have others)") {
			t.Errorf("no hint in: %v", err)
		}
	}
	f(other(t, "", false), ": it takes connections and does not answer")
	f(other(t, "", true), ": EOF")
	f(other(t, "-ERR unknown command 'GET'\r\n", false), "malformed HTTP")
}

// A node that takes its time is waited for, whatever takes it: the head of the answer, or what comes behind.
func TestNodeThatTakesItsTime(t *testing.T) {
	asked, goOn := make(chan struct{}, 100), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			asked <- struct{}{}
			http.NotFound(w, r) // it is HTTP, if not ours
		case "/late":
			<-asked // whoever waits for this has lost patience, and asked whether anybody is there
			fmt.Fprint(w, "head")
		case "/stream":
			fmt.Fprint(w, "first ")
			w.(http.Flusher).Flush()
			<-goOn
			fmt.Fprint(w, "last")
		}
	}))
	defer s.Close()
	c := &client{addr: s.URL, out: io.Discard, patience: 20 * time.Millisecond}
	open := func(path string) io.ReadCloser {
		t.Helper()
		rc, err := c.open(t.Context(), "GET", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return rc
	}
	rest := func(rc io.ReadCloser, want string) {
		t.Helper()
		defer rc.Close()
		if got, err := io.ReadAll(rc); err != nil || string(got) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	stream := open("/stream")
	rest(open("/late"), "head") // which takes longer than patience: the stream has been open for as long
	close(goOn)
	rest(stream, "first last")
}

// What to do is said in flags, not in the words of the interface.
func TestHintsAreFlags(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusGatewayTimeout)
		fmt.Fprint(w, `{"error":{"code":"timeout","message":"it takes too long","hint":"wait longer with ?timeout=, or look at less, with ?scan="}}`)
	}))
	defer s.Close()
	f := func(c *cobra.Command, want string, args ...string) {
		t.Helper()
		c.SetArgs(append(args, "--addr", s.URL))
		c.SilenceErrors, c.SilenceUsage, c.GroupID = true, true, ""
		if err := c.Execute(); err == nil || err.Error() != "it takes too long ("+want+")" {
			t.Errorf("%s: %v", c.Name(), err)
		}
	}
	f(statusCommand(), "wait longer with --timeout, or see what is behind: dashi status without --wait-idle", "--wait-idle")
	f(eventsCommand(), "look at less, with --scan or --since", "user_id:ada")
}
