package settings

import (
	"encoding/base64"
	"fmt"
	"net"

	"dashi/ring"
	"dashi/ring/meta"
)

// MaxVoters is how many members vote in the directory: two of them may fail. All others follow it without a vote.
const MaxVoters = 5

// maxFounders is how many nodes may found a cluster: all of them vote in the directory. Any number may join.
const maxFounders = MaxVoters

// maxReplicas is how many replicas a shard may have: with five of them two nodes may fail at once.
const maxReplicas = 5

// checkCluster says what is wrong with the settings of the cluster.
func (s *Settings) checkCluster() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, at := range []entry[string]{{"node.listen", s.Node.Listen}, {"node.advertise", s.Node.Advertise}, {"gossip.listen", s.Gossip.Listen}, {"gossip.advertise", s.Gossip.Advertise}} {
		if _, _, err := net.SplitHostPort(at.value); at.value != "" && err != nil {
			bad("%s: %q is not host:port", at.name, at.value)
		}
	}
	for i, addr := range s.Gossip.Join {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			bad("gossip.join[%d]: %q is not host:port", i, addr)
		}
	}
	if len(s.Node.ID) > meta.MaxText/2 || len(s.Node.Zone) > meta.MaxText/2 {
		bad("node.id, node.zone: longer than %d bytes", meta.MaxText/2)
	}
	if s.Node.Weight < 1 || s.Node.Weight > ring.MaxWeight {
		bad("node.weight: %d is not between 1 and %d", s.Node.Weight, ring.MaxWeight)
	}
	switch e := s.Gossip.Expect; {
	case e < 1 || e > maxFounders:
		bad("gossip.expect: %d is not between 1 and %d", e, maxFounders)
	case e > 1 && (s.Node.Listen == "" || s.Gossip.Listen == ""):
		bad("gossip.expect: %d nodes need node.listen and gossip.listen", e)
	case e > 1 && s.Kafka.Embedded.Listen != "":
		bad("gossip.expect: several nodes need one Kafka for all of them: set kafka.brokers, not kafka.embedded")
	}
	if host, _, err := net.SplitHostPort(s.Node.Listen); err == nil && s.Node.Advertise == "" && unspecified(host) {
		bad("node.advertise: node.listen is %q, which the other nodes cannot dial: say what they shall", s.Node.Listen)
	}
	if (s.Node.Listen == "") != (s.Gossip.Listen == "") {
		bad("node.listen, gossip.listen: set both, or none for a node by itself")
	}
	if s.Replicas < 1 || s.Replicas > maxReplicas {
		bad("replicas: %d is not between 1 and %d", s.Replicas, maxReplicas)
	}
	if s.ReplaceAfter <= 0 {
		bad("replace_after: must be positive")
	}
	if _, err := s.Gossip.DecodedKeys(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// unspecified says whether a host stands for all addresses of the machine.
func unspecified(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// DecodedKeys are the gossip keys as bytes.
func (g *Gossip) DecodedKeys() (keys [][]byte, err error) {
	for i, text := range g.Keys {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("gossip.keys[%d]: it is not base64: %w", i, err)
		}
		if n := len(key); n != 16 && n != 24 && n != 32 {
			return nil, fmt.Errorf("gossip.keys[%d]: %d bytes: make one of 32 with: openssl rand -base64 32", i, n)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
