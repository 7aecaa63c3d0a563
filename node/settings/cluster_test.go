package settings

import (
	"strings"
	"testing"
)

func TestClusterSettingsAreChecked(t *testing.T) {
	f := func(change func(*Settings), want string) {
		t.Helper()
		s := Default()
		change(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(func(s *Settings) { s.Gossip.Expect = 0 }, "gossip.expect")
	f(func(s *Settings) { s.Gossip.Expect = 6 }, "gossip.expect")
	f(func(s *Settings) { s.Gossip.Expect = 3 }, "need node.listen")
	f(func(s *Settings) { s.Node.Listen = "127.0.0.1:1" }, "set both")
	f(func(s *Settings) { s.Node.Weight = 0 }, "node.weight")
	f(func(s *Settings) { s.Gossip.Join = []string{"host"} }, "gossip.join[0]")
	f(func(s *Settings) { s.Gossip.Keys = []string{"!"} }, "base64")
	f(func(s *Settings) { s.Gossip.Keys = []string{"AAAA"} }, "openssl")
	f(func(s *Settings) {
		s.Node.Listen, s.Gossip.Listen, s.Gossip.Expect, s.Kafka.Embedded.Listen = "a:1", "a:2", 3, "a:3"
	}, "one Kafka for all")
}
