package gossip

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// strangerShown is for how long somebody is a stranger after the last message: a node that looks for others sends one every second.
	strangerShown = time.Minute
	// strangersMost bounds those that are remembered: whoever can reach the port can send from many addresses.
	strangersMost = 64
)

// strangers are hosts that send what no key here decrypts, or that send in clear although there is a key, or the other way round. memberlist only logs that:
// to the others a node with a wrong key looks as if it had left, and to itself as if nobody answered.
type strangers struct {
	mu   sync.Mutex
	seen map[string]time.Time // when a host last did
}

// note takes in a line of memberlist's log that tells of a stranger. repeated says that it is not the first of its host in a while, and need not be logged.
func (s *strangers) note(line string, now time.Time) (host string, repeated bool) {
	if !strings.HasPrefix(line, "[ERR]") || !strings.Contains(line, "crypt") {
		return "", false
	}
	_, from, ok := strings.Cut(line, "from=")
	if !ok {
		return "", false
	}
	from = strings.TrimSpace(from)
	if host, _, _ = net.SplitHostPort(from); host == "" {
		host = from
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.seen, func(_ string, at time.Time) bool { return now.Sub(at) > strangerShown })
	if s.seen == nil {
		s.seen = map[string]time.Time{}
	}
	if _, repeated = s.seen[host]; !repeated && len(s.seen) == strangersMost {
		return host, true
	}
	s.seen[host] = now
	return host, repeated
}

// hosts are the strangers of the last minute.
func (s *strangers) hosts(now time.Time) (hosts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for host, at := range s.seen {
		if now.Sub(at) <= strangerShown {
			hosts = append(hosts, host)
		}
	}
	slices.SortFunc(hosts, cmp.Compare[string])
	return hosts
}

// Strangers are the hosts that have, in the last minute, sent something that the keys of this node do not decrypt: they have other keys.
func (g *Gossip) Strangers() []string { return g.strangers.hosts(time.Now()) }

// Write passes memberlist's lines on.
func (w logWriter) Write(line []byte) (int, error) {
	host, repeated := w.strangers.note(string(line), time.Now())
	switch {
	case repeated:
	case host != "":
		w.log.Warn("gossip: somebody uses another key: compare gossip.keys there and here", "host", host)
	default:
		level, text := parseLine(string(line))
		w.log.Log(context.Background(), level, text, "from", "memberlist")
	}
	return len(line), nil
}

// logWriter is memberlist's log: "[WARN] memberlist: text".
type logWriter struct {
	log       *slog.Logger
	strangers *strangers
}
