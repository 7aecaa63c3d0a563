package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Settings of a Gossip.
type Settings struct {
	ID    string // of this node, unique in the cluster
	Label string // name of the cluster: messages with another are dropped
	// Listen is host:port, for UDP and TCP. Advertise is what others shall use; empty: Listen.
	Listen    string
	Advertise string
	// Keys encrypt (AES, 16, 24 or 32 bytes each): the first encrypts, all decrypt. None: everything is in clear.
	Keys [][]byte
	Meta Meta
	Log  *slog.Logger // nil: discards
	// Probe is how often a node is probed, default 500 ms: a dead one is known after about four times that. For tests.
	Probe time.Duration
}

// State is how a member is.
type State string

// The states.
const (
	Alive  State = "alive"
	Failed State = "failed" // it has not answered for some probes
	Left   State = "left"   // it has said that it goes
)

// Member is what is known of a node.
type Member struct {
	ID    string
	Addr  string // of its gossip
	State State
	Since time.Time // when it came to that state, by this node's clock
	Meta  Meta
}

// Gossip is this node's part in the gossip.
type Gossip struct {
	list     *memberlist.Memberlist
	keyring  *memberlist.Keyring
	delegate *delegate
	closing  sync.Once

	strangers strangers
}

// Open listens. Nobody is known yet: see Join.
func Open(s Settings) (*Gossip, error) {
	host, port, err := splitHostPort(s.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot gossip on %q: %w", s.Listen, err)
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	d := &delegate{self: s.ID, log: s.Log, changed: make(chan struct{}, 1), members: map[string]Member{}, leaving: map[string]bool{},
		rivals: rivals{number: rand.Uint64(), answers: make(chan uint64, 1), self: make(chan struct{}, 1)}}
	if err := d.set(s.Meta); err != nil {
		return nil, err
	}
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label = s.ID, s.Label
	c.BindAddr, c.BindPort = host, port
	c.AdvertisePort = port
	if s.Advertise != "" {
		if c.AdvertiseAddr, c.AdvertisePort, err = advertised(s.Advertise); err != nil {
			return nil, err
		}
	}
	g := &Gossip{delegate: d}
	if len(s.Keys) > 0 {
		if g.keyring, err = memberlist.NewKeyring(s.Keys, s.Keys[0]); err != nil {
			return nil, fmt.Errorf("cannot use the gossip key: %w", err)
		}
		c.Keyring = g.keyring
	}
	tune(c, s.Probe)
	c.Logger = log.New(logWriter{s.Log, &g.strangers}, "", 0)
	c.LogOutput = nil
	c.Delegate, c.Events, c.Alive, c.Merge, c.Conflict = d, d, d, d, d
	if g.list, err = memberlist.Create(c); err != nil {
		return nil, fmt.Errorf("cannot gossip on %q: %w", s.Listen, err)
	}
	d.list.Store(g.list)
	return g, nil
}

// tune sets the periods. They find a dead node in about four probes; the reclaim time lets a restarted node have its name back
// under another address.
func tune(c *memberlist.Config, probe time.Duration) {
	if probe == 0 {
		probe = 500 * time.Millisecond
	}
	c.ProbeInterval, c.ProbeTimeout = probe, probe*2/5
	c.GossipInterval = min(c.GossipInterval, probe)
	c.SuspicionMult = 4
	c.PushPullInterval = 30 * probe
	c.DeadNodeReclaimTime = 60 * probe
	c.EnableCompression = false
	c.UDPBufferSize = 1400
}

func splitHostPort(addr string) (string, int, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port %q is no number of a port", text)
	}
	return cmp.Or(host, "0.0.0.0"), int(port), nil
}

// advertised is an address as memberlist wants it: it does not resolve names.
func advertised(addr string) (string, int, error) {
	host, port, err := splitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("cannot advertise %q: %w", addr, err)
	}
	if net.ParseIP(host) != nil {
		return host, port, nil
	}
	ips, err := net.DefaultResolver.LookupIP(context.Background(), "ip", host)
	if err != nil || len(ips) == 0 {
		return "", 0, fmt.Errorf("cannot advertise %q: %w", addr, cmp.Or(err, errors.New("the name has no address")))
	}
	return ips[0].String(), port, nil
}

// Addr is the address that the gossip listens on: useful with port 0.
func (g *Gossip) Addr() string { return g.list.LocalNode().Address() }

// Join contacts the addresses and returns how many answered. It is an error when none did.
func (g *Gossip) Join(addrs []string) (int, error) {
	n, err := g.list.Join(addrs)
	if n > 0 {
		err = nil // those that did not answer may come later, and will be told by those that did
	}
	return n, err
}

// Changed has a token when Members may give another answer than before.
func (g *Gossip) Changed() <-chan struct{} { return g.delegate.changed }

// Members are all nodes that have been heard of lately, this one among them, by id.
func (g *Gossip) Members() []Member {
	g.delegate.mu.Lock()
	defer g.delegate.mu.Unlock()
	all := make([]Member, 0, len(g.delegate.members))
	for _, m := range g.delegate.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// SetMeta changes what this node says about itself, and tells the others.
func (g *Gossip) SetMeta(m Meta) error {
	if err := g.delegate.set(m); err != nil {
		return err
	}
	return g.list.UpdateNode(time.Second)
}

// UseKeys replaces the keys of an encrypted gossip: add the new one everywhere (after the old), then put it first everywhere, then
// leave the old one out.
func (g *Gossip) UseKeys(keys [][]byte) error {
	if g.keyring == nil || len(keys) == 0 {
		return errors.New("cannot change keys: gossip is encrypted from its start or not at all")
	}
	for _, k := range keys {
		if err := g.keyring.AddKey(k); err != nil {
			return fmt.Errorf("cannot add a gossip key: %w", err)
		}
	}
	if err := g.keyring.UseKey(keys[0]); err != nil {
		return err
	}
	for _, k := range g.keyring.GetKeys() {
		if !slices.ContainsFunc(keys, func(want []byte) bool { return slices.Equal(want, k) }) {
			if err := g.keyring.RemoveKey(k); err != nil {
				return err
			}
		}
	}
	return nil
}

// Leave tells the others that this node goes, and waits until one has heard it, or for the time given. See Rival.
//
// memberlist knows whether a node left or failed, but does not tell (its Node.State is never set), so every member is told directly first.
func (g *Gossip) Leave(wait time.Duration) {
	goodbye := append([]byte{messageLeave}, g.delegate.self...)
	var told sync.WaitGroup
	for _, n := range g.list.Members() {
		if n.Name != g.delegate.self {
			told.Go(func() { _ = g.list.SendReliable(n, goodbye) }) // to a member that does not hear it, this node will have failed
		}
	}
	told.Wait()
	_ = g.list.Leave(wait) // its only error is that nobody has heard it: all may be leaving at once
}

// Close ends the gossip silently: to the others the node has failed, unless it left before.
func (g *Gossip) Close() (err error) {
	g.closing.Do(func() { err = g.list.Shutdown() })
	return err
}
