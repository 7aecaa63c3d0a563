package node

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dashi/node/cookbook"
	"dashi/pipeline/say"
	"dashi/ring"
	"dashi/ring/gossip"
	"dashi/ring/meta"
)

// founder is one of the nodes that found the cluster together.
type founder struct {
	Node        string `json:"node"`
	Incarnation uint64 `json:"incarnation"`
}

// clusterID is the id that these founders give their cluster. All of them work it out alike, so nobody has to decide.
func clusterID(name string, founders []founder) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q", name)
	for _, f := range founders {
		fmt.Fprintf(h, " %q %d", f.Node, f.Incarnation)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// openGossip begins to gossip, if the settings say so.
func (n *Node) openGossip() error {
	g := &n.settings.Gossip
	if g.Listen == "" {
		return nil
	}
	keys, err := g.DecodedKeys()
	if err != nil {
		return err
	}
	n.gossip, err = gossip.Open(gossip.Settings{
		ID: n.identity.Node, Label: "dashi:" + n.settings.Cluster, Listen: g.Listen, Advertise: g.Advertise,
		Keys: keys, Meta: n.gossipMeta(), Log: n.log,
	})
	if err != nil {
		return err
	}
	n.onClose(func() error {
		if incarnation, _, twice := n.gossip.Rival(); !n.refused && (!twice || incarnation != n.identity.Incarnation && n.letIn()) {
			n.gossip.Leave(leaveWait)
		} // else another process has this id, and would be taken to have left
		return n.gossip.Close()
	})
	return nil
}

// ErrTwice says that another process is the same member of the cluster. Both would vote.
var ErrTwice = errors.New("another process has a copy of this data directory")

// checkTwice returns ErrTwice if another process is the same member of the cluster.
func (n *Node) checkTwice() error {
	incarnation, addr, twice := n.gossip.Rival()
	if n.refused = twice && incarnation == n.identity.Incarnation; n.refused {
		return fmt.Errorf("node %q runs already, its gossip is at %s: %w: end one of them, and give this one an empty directory and another node.id if it is to be a node of its own",
			n.identity.Node, addr, ErrTwice)
	}
	return nil
}

// letIn says whether the directory, as far as it is known here, has this node among its members.
func (n *Node) letIn() bool {
	if n.directory == nil {
		return false
	}
	m, ok := n.directory.State().Member(n.identity.Node)
	return ok && m.Incarnation == n.identity.Incarnation
}

// leaveWait is how long a node that closes waits for the others to hear that it leaves.
const leaveWait = 2 * time.Second

// gossipMeta is what this node says about itself.
func (n *Node) gossipMeta() gossip.Meta {
	return gossip.Meta{
		Cluster: n.identity.ClusterID, Incarnation: n.identity.Incarnation,
		Node: n.nodeAddr(), HTTP: n.doors.httpAddr.String(), Zone: n.settings.Node.Zone,
		Weight: uint16(n.settings.Node.Weight), Expect: n.expects(),
	}
}

// expects is how many nodes this one would found a cluster with; 0 when it has one.
func (n *Node) expects() uint16 {
	if n.identity.Founded {
		return 0
	}
	return uint16(n.settings.Gossip.Expect)
}

// nodeAddr is what the others dial.
func (n *Node) nodeAddr() string {
	if n.nodeListener == nil {
		return ""
	}
	return cmp.Or(n.settings.Node.Advertise, n.nodeListener.Addr().String())
}

// found makes sure that the node belongs to a cluster: the one of its data directory, or one that it founds with as many others as the settings
// expect. It returns when the directory may be opened with the founders as its members.
//
// There is no first node. Each node that sees enough others works out who the founders are, writes that down for good, and announces the cluster id that
// follows from it; it goes on when all founders announce the same id. So of two sets of founders that share a node at most one can found a cluster.
func (n *Node) found(ctx context.Context) error {
	id := &n.identity
	if n.gossip == nil {
		if id.Founded {
			if len(id.Founders) > 1 {
				return fmt.Errorf("data directory %q belongs to a cluster of several nodes: set node.listen and gossip.listen", n.settings.Data)
			}
			return nil
		}
		id.Founders = []founder{{id.Node, id.Incarnation}}
		id.ClusterID, id.Founded = clusterID(n.settings.Cluster, id.Founders), true
		return n.saveIdentity()
	}
	said := ""
	retry := time.NewTicker(joinInterval)
	defer retry.Stop()
	for {
		if len(n.settings.Gossip.Join) > 0 && len(n.gossip.Members()) < n.settings.Gossip.Expect {
			if _, err := n.gossip.Join(n.settings.Gossip.Join); err != nil {
				n.log.Debug("nobody to join answers yet", "error", err)
			}
		}
		if err := n.checkTwice(); err != nil {
			return err
		}
		if id.Founded {
			n.announceCluster()
			return nil
		}
		if cluster := existing(n.gossip.Members()); cluster != "" && id.ClusterID == "" {
			id.ClusterID, id.Founded = cluster, true
			if err := n.saveIdentity(); err != nil {
				return err
			}
			continue
		}
		waits, err := n.agree(n.gossip.Members())
		if err != nil {
			return err
		}
		if waits == "" {
			n.awaits("")
			continue
		}
		if waits != said {
			n.awaits(foundingNote(waits))
			said = waits
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no cluster: waiting for %s: %w", waits, ctx.Err())
		case <-n.gossip.Changed():
		case <-retry.C:
		}
	}
}

// foundingNote is what a node says while it waits for others to found a cluster with.
func foundingNote(waits string) string {
	return "for " + waits + " (cluster and gossip.keys have to be the same there)"
}

// joinInterval is how often a node that does not see enough others looks for them.
const joinInterval = time.Second

// agree takes one step towards the founding, and says what is waited for; nothing when all founders have agreed.
func (n *Node) agree(members []gossip.Member) (waits string, err error) {
	id := &n.identity
	if id.ClusterID == "" {
		founders, waits, err := n.founders(members)
		if err != nil || waits != "" {
			return waits, err
		}
		id.Founders, id.ClusterID = founders, clusterID(n.settings.Cluster, founders)
		if err := n.saveIdentity(); err != nil {
			return "", err
		}
		n.announceCluster()
	}
	var missing []string
	for _, f := range id.Founders {
		i := slices.IndexFunc(members, func(m gossip.Member) bool {
			return m.ID == f.Node && m.Meta.Incarnation == f.Incarnation && m.Meta.Cluster == id.ClusterID
		})
		if i < 0 && f.Node != id.Node {
			missing = append(missing, f.Node)
		}
	}
	if len(missing) > 0 {
		return strings.Join(missing, ", ") + " to agree to found the cluster", nil
	}
	id.Founded = true
	return "", n.saveIdentity()
}

// announceCluster tells the others which cluster this node belongs to.
func (n *Node) announceCluster() {
	if err := n.gossip.SetMeta(n.gossipMeta()); err != nil {
		n.log.Debug("not everybody has heard yet", "error", err) // they hear it later
	}
}

// founders are the nodes that this one would found a cluster with: the first, by id, of those that wait to found one. waits says what is missing, if
// anything is.
func (n *Node) founders(members []gossip.Member) (founders []founder, waits string, err error) {
	expect := n.settings.Gossip.Expect
	for _, m := range members {
		if m.State != gossip.Alive && m.ID != n.identity.Node || m.Meta.Expect == 0 {
			continue
		}
		if int(m.Meta.Expect) != expect {
			return nil, "", fmt.Errorf("node %q expects a cluster of %s, this one of %d: set gossip.expect to the same number", m.ID, say.Count(m.Meta.Expect, "node"), expect)
		}
		founders = append(founders, founder{m.ID, m.Meta.Incarnation})
	}
	if len(founders) < expect {
		return nil, fmt.Sprintf("%d more nodes of the %d that gossip.expect says, to found the cluster with", expect-len(founders), expect), nil
	}
	founders = founders[:expect]
	for _, m := range members {
		if m.Meta.Cluster != "" && m.Meta.Cluster != clusterID(n.settings.Cluster, founders) {
			return nil, "others to found cluster " + m.Meta.Cluster, nil
		}
	}
	if !slices.Contains(founders, founder{n.identity.Node, n.identity.Incarnation}) {
		return nil, "others to found the cluster", nil
	}
	return founders, "", nil
}

// govern does what only the node that leads the directory does: it founds the cluster, places its shards and gives it its first cookbook; after that, each
// time, it begins the recovery, the changes of members and the moves that are called for.
func (n *Node) govern(ctx context.Context) error {
	s := n.directory.State()
	if s.Cluster == "" {
		return n.change(ctx, n.foundCluster)
	}
	if len(s.Shards) > 0 && len(s.Shards[0].Replicas) == 0 {
		return n.change(ctx, placeAll)
	}
	if s.Cookbook() == nil {
		return n.putFirstCookbook(ctx)
	}
	if err := n.change(ctx, beginRecovery); err != nil || n.outdated() {
		return err
	}
	if err := n.form(ctx, s); err != nil {
		return err
	}
	if !n.governs.Load() {
		return nil
	}
	if err := n.tendDirectory(ctx, s); err != nil {
		return err
	}
	if err := n.change(ctx, n.abandon); err != nil {
		return err
	}
	if err := n.change(ctx, n.plan); err != nil {
		return err
	}
	return n.change(ctx, n.prefer)
}

// foundCluster is the command that founds the cluster, with the settings of this node.
func (n *Node) foundCluster(s *meta.State) (meta.Command, error) {
	if s.Cluster != "" {
		return nil, errNoCommand
	}
	c := &meta.Found{Cluster: n.identity.ClusterID, Settings: meta.Settings{
		Shards: n.settings.Shards, Replicas: n.settings.Replicas, Durability: n.settings.Log.Durability, Clock: n.settings.Clock,
		OutboxBytes: uint64(n.settings.Limits.OutboxBytes), RecentMillis: uint64(n.settings.Limits.RecentTime.Milliseconds()), RecentIDs: uint64(n.settings.Limits.RecentIDs),
	}}
	for _, f := range n.identity.Founders {
		c.Members = append(c.Members, n.introduce(f))
	}
	return c, nil
}

// putFirstCookbook commits the recipes of this node as the first cookbook of the cluster.
func (n *Node) putFirstCookbook(ctx context.Context) error {
	if n.given.recipes == nil {
		return cookbook.ErrNoRecipes
	}
	if p, _ := n.compile(n.given.recipes); p != nil && p.Oversize != nil {
		return &cookbook.CheckError{Diagnostics: cookbook.Oversize(p)}
	}
	return n.change(ctx, func(s *meta.State) (meta.Command, error) {
		if s.Cookbook() != nil {
			return nil, errNoCommand
		}
		return cookbook.Put(n.given.recipes), nil
	})
}

// form commits that the groups of all shards have been formed, once this node knows a leader of each.
func (n *Node) form(ctx context.Context, s *meta.State) error {
	var formed []uint32
	for i := range s.Shards {
		if i >= len(n.shards) || !n.led(n.shards[i]) {
			return nil
		}
		if !s.Shards[i].Formed {
			formed = append(formed, uint32(i))
		}
	}
	if len(formed) == 0 {
		return nil
	}
	return n.change(ctx, func(*meta.State) (meta.Command, error) { return &meta.Formed{Shards: formed}, nil })
}

// led says whether a shard has a leader: as the replica here knows, or, if there is none, as the nodes that have one say.
func (n *Node) led(h *shardHost) bool {
	if g := h.group.Load(); g != nil {
		return leaderOf(g) != ""
	}
	for _, p := range n.heard.all() {
		if p.shards[h.id].leads {
			return true
		}
	}
	return false
}

// introduce is a node, a founder or this one, as the directory is to know it: what it gossips of itself, or what the settings here say.
func (n *Node) introduce(f founder) meta.Member {
	m := meta.Member{ID: f.Node, Incarnation: f.Incarnation, Node: n.nodeAddr(), HTTP: n.doors.httpAddr.String(), Zone: n.settings.Node.Zone, Weight: n.settings.Node.Weight}
	if g, ok := n.gossiped(f.Node); ok {
		m.Node, m.HTTP, m.Zone, m.Weight = g.Meta.Node, g.Meta.HTTP, g.Meta.Zone, int(g.Meta.Weight)
	}
	m.Node = cmp.Or(m.Node, "none") // a node by itself is not dialled
	return m
}

// placeAll gives every shard its first replicas.
func placeAll(s *meta.State) (meta.Command, error) {
	c := &meta.Place{}
	for shard, ids := range ring.Place(s.Table(), len(s.Shards), s.Settings.Replicas, placeable(s.Members)) {
		if len(s.Shards[shard].Replicas) > 0 {
			continue
		}
		p := meta.Placement{Shard: uint32(shard)}
		for _, id := range ids {
			m, _ := s.Member(id)
			p.Replicas = append(p.Replicas, meta.Replica{Member: id, Incarnation: m.Incarnation})
		}
		c.Shards = append(c.Shards, p)
	}
	if len(c.Shards) == 0 {
		return nil, errNoCommand
	}
	return c, nil
}
