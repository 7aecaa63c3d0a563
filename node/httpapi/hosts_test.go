package httpapi

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// I7: a page whose name has come to mean this machine (DNS rebinding) could read every profile of a node that listens there.
func TestOtherHostsAreRefused(t *testing.T) {
	f := func(listen string, names []string, host string, refused bool) {
		t.Helper()
		addr, err := net.ResolveTCPAddr("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		s := NewServer(newTestAPI(newFake(), nil), Door{Listen: addr, Names: names})
		r := httptest.NewRequest("GET", "/v1/audiences", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.Handler.ServeHTTP(w, r)
		if got := w.Code == http.StatusMisdirectedRequest; got != refused {
			t.Errorf("%s with %q, for %q: %d %s", listen, names, host, w.Code, w.Body)
		}
		if refused && !strings.Contains(w.Body.String(), "http.hosts") {
			t.Errorf("it does not say what to set: %s", w.Body)
		}
	}
	here := []string{"", "localhost", "LocalHost:7070", "localhost.:7070", "127.0.0.1", "127.0.0.1:7070", "[::1]:7070", "[::1]", "10.1.2.3:80", "a.localhost:7070"}
	for _, listen := range []string{"127.0.0.1:7070", "[::1]:7070", "127.0.0.2:7070"} {
		for _, host := range here {
			f(listen, nil, host, false)
		}
		f(listen, nil, "evil.example:7070", true)
		f(listen, nil, "127.0.0.1.evil.example", true)
		f(listen, nil, "localhost.evil.example", true)
		f(listen, nil, "evillocalhost", true)
		f(listen, []string{"Dashi.Example.com"}, "dashi.example.com:7070", false)
		f(listen, []string{"dashi.example.com"}, "evil.example", true)
		f(listen, []string{"*"}, "evil.example", false)
	}
	for _, listen := range []string{"0.0.0.0:7070", "10.1.2.3:7070"} { // others call it as they like
		f(listen, nil, "dashi-1:7070", false)
		f(listen, []string{"dashi-1"}, "dashi-1:7070", false)
		f(listen, []string{"dashi-1"}, "10.1.2.3:7070", false)
		f(listen, []string{"dashi-1"}, "evil.example", true)
	}
}
