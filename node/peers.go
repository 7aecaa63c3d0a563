package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dashi/ring/gossip"
	"dashi/shard/transport"
)

// The types of calls between nodes. A number is never reused; below 16 they are the transport's own.
const (
	callPropose  = 16 // entries for a shard that the other node leads
	callLevels   = 17 // how far are your replicas?
	callAnnounce = 18 // activations that were published
	callJoin     = 19 // let me in
	callChange   = 20 // a command for the directory
	callEpoch    = 21 // which epoch has the directory that you lead?
	callAsk      = 22 // questions about shards that you have: see question
	callSurvey   = 23 // what is left of your replicas?
	callWithin   = 24 // how far can your replica of a shard go back?
	callTime     = 25 // what time is it?
)

// openPeers listens for the other nodes and can call them. It comes after found: connections are within one cluster.
func (n *Node) openPeers() (err error) {
	n.heard = newHeard()
	n.transport, err = transport.Open(transport.Settings{
		ID: n.identity.member(), Cluster: n.identity.ClusterID, Listener: n.nodeListener, Resolve: n.resolve,
		SpoolDir: filepath.Join(n.settings.Data, "shards", "spool"), Log: n.log,
	})
	if err != nil {
		return err
	}
	n.onClose(func() error {
		n.calling.Wait()
		return n.transport.Close()
	})
	open := &n.open
	n.transport.Handle(callPropose, calls{open, func(_ context.Context, c *transport.Call) ([]byte, error) { return n.answerPropose(c.Body) }})
	n.transport.Handle(callLevels, calls{open, func(_ context.Context, c *transport.Call) ([]byte, error) {
		answer := appendLevels([]byte{bit(n.hub.listening()) | bit(n.host.Stalled() > 0)<<1}, n.levels())
		if len(c.Body) > 0 { // from one who knows what to do with it
			answer = n.appendTime(answer)
		}
		return answer, nil
	}})
	n.transport.Handle(callTime, calls{nil, func(context.Context, *transport.Call) ([]byte, error) { return n.appendTime(nil), nil }})
	n.transport.Handle(callEpoch, calls{&n.directed, n.answerEpoch})
	n.transport.Handle(callAsk, calls{open, n.answerAsk})
	n.transport.Handle(callJoin, calls{open, func(ctx context.Context, c *transport.Call) ([]byte, error) { return n.answerJoin(ctx, c.Body) }})
	n.transport.Handle(callChange, calls{&n.directed, func(_ context.Context, c *transport.Call) ([]byte, error) { return n.answerChange(c.Body) }})
	n.transport.Handle(callSurvey, calls{&n.directed, n.answerSurvey})
	n.transport.Handle(callWithin, calls{&n.directed, n.answerWithin})
	n.transport.Handle(callAnnounce, calls{open, func(_ context.Context, c *transport.Call) ([]byte, error) { return nil, n.hub.receive(c.Body) }})
	return nil
}

// listenForPeers opens the port, before anybody is told of it.
func (n *Node) listenForPeers() (err error) {
	if n.settings.Node.Listen == "" {
		return nil
	}
	if n.nodeListener, err = net.Listen("tcp", n.settings.Node.Listen); err != nil {
		return fmt.Errorf("cannot listen on %s: %w (choose another address with node.listen in the settings)", n.settings.Node.Listen, err)
	}
	n.onClose(func() error { // the transport does it, once there is one
		if err := n.nodeListener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// calls answers one type of call, once what it needs is there.
type calls struct {
	there *atomic.Bool // nil: from the start
	serve func(context.Context, *transport.Call) ([]byte, error)
}

func (c calls) Serve(ctx context.Context, call *transport.Call) ([]byte, error) {
	if c.there != nil && !c.there.Load() {
		return nil, errors.New("the node is starting")
	}
	return c.serve(ctx, call)
}

// resolve finds the address of a member of groups: what the node says of itself by gossip, or what the directory remembers.
func (n *Node) resolve(member string) (string, error) {
	id, _, _ := strings.Cut(member, "/")
	if m, ok := n.gossiped(id); ok && m.Meta.Node != "" {
		return m.Meta.Node, nil
	}
	if n.directory != nil {
		if m, ok := n.directory.State().Member(id); ok {
			return m.Node, nil
		}
	}
	return "", fmt.Errorf("nobody knows the address of node %q", id)
}

// gossiped is what gossip tells of a node.
func (n *Node) gossiped(id string) (m gossip.Member, ok bool) {
	if n.gossip == nil {
		return m, false
	}
	all := n.gossip.Members()
	i := slices.IndexFunc(all, func(m gossip.Member) bool { return m.ID == id })
	if i < 0 {
		return m, false
	}
	return all[i], true
}

// seekInterval is how often a node looks for members that the gossip has lost.
const seekInterval = 5 * time.Second

// seekOthers brings members of the cluster back into the gossip. memberlist forgets who has been away for half a minute; after a longer cut neither side would
// speak to the other ever again.
func (n *Node) seekOthers(ctx context.Context) {
	if n.gossip == nil {
		return
	}
	every(ctx, seekInterval, func() {
		if addrs := n.strays(); len(addrs) > 0 {
			if _, err := n.gossip.Join(addrs); err != nil {
				n.log.Debug("no lost member of the gossip answers yet", "at", addrs, "error", err)
			}
		}
	})
}

// every calls do again and again until ctx is done, an interval from now first. Calls do not overlap.
func every(ctx context.Context, interval time.Duration, do func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// strays are the addresses at which members of the cluster may be found that are not in the gossip: where they were last, and where the settings say that there is somebody.
func (n *Node) strays() (addrs []string) {
	missing := false
	for _, m := range n.directory.State().Members {
		g, ok := n.gossiped(m.ID)
		if m.ID == n.identity.Node || ok && g.State == gossip.Alive {
			continue
		}
		if missing = true; ok {
			addrs = append(addrs, g.Addr)
		}
	}
	if !missing {
		return nil
	}
	addrs = append(addrs, n.settings.Gossip.Join...)
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

// hears says whether a member of the cluster has answered a moment ago, whatever the gossip says.
func (n *Node) hears(id string) bool {
	m, ok := n.directory.State().Member(id)
	if !ok {
		return false
	}
	n.heard.mu.Lock()
	defer n.heard.mu.Unlock()
	p := n.heard.by[groupMember(m.ID, m.Incarnation)]
	return p != nil && time.Since(p.at) < peerSilence
}

// others are the other members of the cluster.
func (n *Node) others() (members []string) {
	for _, m := range n.directory.State().Members {
		if m.ID != n.identity.Node {
			members = append(members, groupMember(m.ID, m.Incarnation))
		}
	}
	return members
}

// peerSilence is how old an answer may be before the node counts as silent.
const peerSilence = 4 * tickInterval

// level is how far a replica is.
type level struct {
	leads, answers   bool
	applied, durable uint64
	events, profiles uint64 // applied, and held
}

// peer is what another node said last about its replicas.
type peerLevels struct {
	at        time.Time
	listening bool // somebody there wants activations
	stalled   bool // its disk does not answer
	shards    []level
}

// heard is what the other nodes said last, by member of groups.
type heard struct {
	mu  sync.Mutex
	by  map[string]*peerLevels
	off map[string]time.Duration // their clocks are so far ahead of that of this node
}

func newHeard() *heard { return &heard{by: map[string]*peerLevels{}, off: map[string]time.Duration{}} }

// all is a copy of the map; what it holds is not written to.
func (p *heard) all() map[string]*peerLevels {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.by)
}

// levels are those of this node's replicas.
func (n *Node) levels() []level {
	all := make([]level, len(n.members))
	for i, m := range n.members {
		all[i] = m.level()
	}
	return all
}

// levelBytes are those of one level.
const levelBytes = 1 + 4*8

// appendLevels appends a byte and four numbers for every shard. An answer has a byte before them that says whether anybody listens to activations, and whether the
// disk does not answer; to a question that is not empty it ends with the time (appendTime).
func appendLevels(dst []byte, levels []level) []byte {
	for _, l := range levels {
		dst = append(dst, bit(l.leads)|bit(l.answers)<<1)
		for _, v := range []uint64{l.applied, l.durable, l.events, l.profiles} {
			dst = binary.LittleEndian.AppendUint64(dst, v)
		}
	}
	return dst
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func readLevels(src []byte, shards int) (*peerLevels, error) {
	if len(src) != 1+levelBytes*shards {
		return nil, errAnswer
	}
	p := &peerLevels{at: time.Now(), listening: src[0]&1 != 0, stalled: src[0]&2 != 0, shards: make([]level, shards)}
	for i := range p.shards {
		b := src[1+levelBytes*i:]
		u := binary.LittleEndian.Uint64
		p.shards[i] = level{leads: b[0]&1 != 0, answers: b[0]&2 != 0, applied: u(b[1:]), durable: u(b[9:]), events: u(b[17:]), profiles: u(b[25:])}
	}
	return p, nil
}

// poll asks all other nodes for their levels, and returns when all have answered or failed to.
func (n *Node) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tickInterval)
	defer cancel()
	var wait sync.WaitGroup
	for _, member := range n.others() {
		wait.Go(func() {
			asked := n.wall()
			answer, err := n.transport.Call(ctx, member, callLevels, []byte{1})
			if err != nil {
				return // its levels grow old
			}
			if size := 1 + levelBytes*len(n.members); len(answer) > size {
				n.noteTime(member, answer[size:], asked)
				answer = answer[:size]
			}
			if p, err := readLevels(answer, len(n.members)); err == nil {
				n.heard.mu.Lock()
				n.heard.by[member] = p
				n.heard.mu.Unlock()
				for i := range p.shards {
					if p.shards[i].leads {
						n.hint(n.members[i], member)
					}
				}
			}
		})
	}
	wait.Wait()
	n.keepClock()
}

// durable is up to which index nothing of a shard is lost in a power cut of its leader.
func (n *Node) durable(m *member) uint64 { return n.ahead(m).durable }

// ahead is how far the leader of a shard is by its last word; zero when none is known.
func (n *Node) ahead(m *member) level {
	if l := m.level(); l.leads {
		return l
	}
	leader := n.leaderOf(m)
	n.heard.mu.Lock()
	defer n.heard.mu.Unlock()
	if p := n.heard.by[leader]; p != nil && p.shards[m.id].leads {
		return p.shards[m.id]
	}
	return level{}
}
