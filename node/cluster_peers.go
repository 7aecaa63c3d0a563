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
	callReach    = 17 // how far are your replicas?
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
	server, client, err := n.settings.Node.TLS.Configs(n.log)
	if err != nil {
		return err
	}
	n.heard = newHeard()
	n.transport, err = transport.Open(transport.Settings{
		ID: n.identity.member(), Cluster: n.identity.ClusterID, Listener: n.nodeListener, Resolve: n.resolve,
		ServerTLS: server, ClientTLS: client,
		SpoolDir: filepath.Join(n.settings.Data, "shards", "spool"), Log: n.log,
	})
	if err != nil {
		return err
	}
	n.onClose(func() error {
		err := n.transport.Close() // whoever waits for an answer has it, or an error
		n.calling.Wait()
		return err
	})
	open := &n.open
	n.transport.Take(callPropose, n.takeProposals)
	n.transport.Handle(callReach, calls{open, func(_ context.Context, c *transport.Call) ([]byte, error) {
		answer := appendReaches([]byte{bit(n.hub.Listening()) | bit(n.host.Stalled() > 0)<<1}, n.reaches())
		if len(c.Body) > 0 { // the other node is of a version that knows what to do with it
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
	n.transport.Handle(callAnnounce, calls{open, func(_ context.Context, c *transport.Call) ([]byte, error) { return nil, n.hub.Receive(c.Body) }})
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

// Codes of errors between nodes (transport.RemoteError), besides the transport's own. Those of one call differ; callWithin has its own meaning for 18.
const (
	codeRefused   = 16 // callJoin: for good
	codeNotLeader = 17 // callJoin, callChange, callEpoch: this node does not lead the directory
	codeElsewhere = 18 // callPropose: this node has no replica of the shard; the text is a route
	codeTooShort  = 18 // callWithin: errTooShort
)

var errStarting = errors.New("the node is starting")

// calls answers one type of call, once what it needs is there.
type calls struct {
	there *atomic.Bool // nil: from the start
	serve func(context.Context, *transport.Call) ([]byte, error)
}

func (c calls) Serve(ctx context.Context, call *transport.Call) ([]byte, error) {
	if c.there != nil && !c.there.Load() {
		return nil, errStarting
	}
	return c.serve(ctx, call)
}

// resolve finds the address of a member of groups: the one that the node gossips, else the one that the directory has.
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

// seekOthers brings members of the cluster back into the gossip. memberlist forgets a node that has been away for half a minute; after a longer network
// partition the two sides would never speak to each other again.
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

// every calls do once in each interval until ctx is done, for the first time an interval from now. Calls do not overlap.
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

// strays are the addresses at which members of the cluster that the gossip does not have may be found: where they were last, and gossip.join of the
// settings. There are none while all members are there.
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

// hears says whether a member of the cluster has answered within peerSilence, whatever the gossip says.
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

// reach is how far a replica is.
type reach struct {
	leads, answers   bool
	applied, durable uint64 // indices of the log: up to which all is applied, and would survive a power cut
	events, profiles uint64 // numbers of events applied, and of profiles held
}

// peerReach is what another node said last about its replicas.
type peerReach struct {
	at        time.Time
	listening bool // somebody there wants activations
	stalled   bool // its disk does not answer
	shards    []reach
}

// heard is what the other nodes said last, by member of groups.
type heard struct {
	mu  sync.Mutex
	by  map[string]*peerReach
	off map[string]time.Duration // how far their clocks are ahead of this node's
}

func newHeard() *heard { return &heard{by: map[string]*peerReach{}, off: map[string]time.Duration{}} }

// all is a copy of the map by; what it points to is never written to.
func (p *heard) all() map[string]*peerReach {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.by)
}

// reaches are those of this node's replicas, by shard.
func (n *Node) reaches() []reach {
	all := make([]reach, len(n.shards))
	for i, h := range n.shards {
		all[i] = h.reach()
	}
	return all
}

// reachBytes is the size of a reach in an answer to callReach.
const reachBytes = 1 + 4*8

// appendReaches appends a byte and four numbers for every shard. An answer to callReach has a byte before them, which says whether anybody listens to
// activations (bit 0) and whether the disk does not answer (bit 1); behind them, if the question was not empty, the time (appendTime).
func appendReaches(dst []byte, reaches []reach) []byte {
	for _, l := range reaches {
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

func readReaches(src []byte, shards int) (*peerReach, error) {
	if len(src) != 1+reachBytes*shards {
		return nil, errAnswer
	}
	p := &peerReach{at: time.Now(), listening: src[0]&1 != 0, stalled: src[0]&2 != 0, shards: make([]reach, shards)}
	for i := range p.shards {
		b := src[1+reachBytes*i:]
		u := binary.LittleEndian.Uint64
		p.shards[i] = reach{leads: b[0]&1 != 0, answers: b[0]&2 != 0, applied: u(b[1:]), durable: u(b[9:]), events: u(b[17:]), profiles: u(b[25:])}
	}
	return p, nil
}

// poll asks all other nodes how far they are, and returns when all have answered or failed to.
func (n *Node) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tickInterval)
	defer cancel()
	var wait sync.WaitGroup
	for _, member := range n.others() {
		wait.Go(func() {
			asked := n.clock.wall()
			answer, err := n.transport.Call(ctx, member, callReach, []byte{1})
			if err != nil {
				return // what it said last grows old
			}
			if size := 1 + reachBytes*len(n.shards); len(answer) > size {
				n.noteTime(member, answer[size:], asked)
				answer = answer[:size]
			}
			if p, err := readReaches(answer, len(n.shards)); err == nil {
				n.heard.mu.Lock()
				n.heard.by[member] = p
				n.heard.mu.Unlock()
				for i := range p.shards {
					if p.shards[i].leads {
						n.hint(n.shards[i], member)
					}
				}
			}
		})
	}
	wait.Wait()
	n.keepClock()
}

// durable is the index of a shard's log up to which nothing is lost in a power cut of its leader.
func (n *Node) durable(h *shardHost) uint64 { return n.ahead(h).durable }

// ahead is how far the leader of a shard is by its last word; zero when none is known.
func (n *Node) ahead(h *shardHost) reach {
	if l := h.reach(); l.leads {
		return l
	}
	leader := n.leaderOf(h)
	n.heard.mu.Lock()
	defer n.heard.mu.Unlock()
	if p := n.heard.by[leader]; p != nil && p.shards[h.id].leads {
		return p.shards[h.id]
	}
	return reach{}
}
