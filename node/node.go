package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"dashi/node/cookbook"
	"dashi/node/hub"
	"dashi/node/metrics"
	"dashi/node/reread"
	"dashi/node/settings"
	"dashi/node/status"
	"dashi/pipeline/kafka"
	"dashi/pipeline/recipe"
	"dashi/pipeline/webhook"
	"dashi/ring"
	"dashi/ring/gossip"
	"dashi/shard/group"
	"dashi/shard/transport"
)

// Node is a running node. Open builds it, Close ends it.
type Node struct {
	settings settings.Settings
	version  string
	log      *slog.Logger
	started  time.Time

	identity dataIdentity
	given    given

	nodeListener net.Listener   // nil: no other nodes
	gossip       *gossip.Gossip // nil: no other nodes
	refused      bool           // another process is this member: see checkTwice
	transport    *transport.Transport
	heard        *heard
	moveWatch    status.MoveWatch
	places       places
	directory    *directory

	host     *group.Host
	recovery recovery
	shards   []*shardHost // by shard
	turns    *turns
	clock    clock

	cookbook   atomic.Pointer[cookbook.Cookbook]
	compile    func([]recipe.Source) (*recipe.Program, []recipe.Diagnostic)
	transition transition
	readers    readers
	asked      atomic.Uint64 // look-ups for other nodes
	levelling  sync.Mutex    // held by findLevels

	kafka       kafkaClients
	intake      *intake
	couriers    []*courier
	publishers  []*publisher
	unpublished atomic.Int32 // how many publishers cannot publish
	webhooks    []*webhook.Sink
	reread      *reread.Topics
	hub         *hub.Hub
	metrics     *metrics.Measures
	doors       doors

	running    context.Context // until Close
	stop       context.CancelFunc
	abort      context.CancelCauseFunc // ends Open
	stopSource context.CancelFunc      // ends reading events for good
	directed   atomic.Bool             // the directory is open: calls of other nodes about it are answered
	open       atomic.Bool             // the shards are open: all other calls are answered, too
	ready      atomic.Bool
	governs    atomic.Bool    // the node has been ready once: as leader of the directory it may move shards, even while it is drained
	retreated  bool           // lead has stopped serving, because the node is being drained
	emptied    time.Time      // when lead saw that a drained node holds nothing
	calling    sync.WaitGroup // goroutines that call other nodes
	movers     sync.WaitGroup // goroutines that move events
	serving    sync.WaitGroup // goroutines that answer clients
	failed     chan error     // errors that end the node
	closers    []func() error // in the order in which they were added; Close goes the other way
}

// Options are what Open is told besides the settings.
type Options struct {
	Version string
	Log     *slog.Logger
	// Recipes, when not nil, are used in place of the files that Settings.Recipes names.
	Recipes []recipe.Source
	// Forget has a node by itself switch to recipes that are not those of its last start even if something is forgotten by that.
	Forget bool

	// Appliers is how many shards may apply entries at the same time; 0 for GOMAXPROCS. The others wait: the Go scheduler knows no priorities, so a
	// look-up would have to wait for all of them. If GOMAXPROCS is larger there is always a thread for look-ups.
	Appliers int

	wall     func() time.Time // what time it is; nil: time.Now
	renounce error            // why this node must not go on as the incarnation that it was; nil: it may
}

// tickInterval is how often marks are levelled and offsets committed.
const tickInterval = 500 * time.Millisecond

// Open builds a node from the bottom to the top: cluster, log, shards, cookbook, Kafka, front doors. When a step fails, what was built before is closed
// again. A node that may have lost what it has acknowledged is opened as a new incarnation.
func Open(ctx context.Context, settings settings.Settings, o Options) (*Node, error) {
	for {
		n, err := open(ctx, settings, o)
		o.renounce = nil
		switch {
		case errors.Is(err, ErrReopen):
		case errors.Is(err, group.ErrDirty) && settings.Gossip.Listen != "":
			o.renounce = err
		default:
			return n, err
		}
	}
}

func open(ctx context.Context, settings settings.Settings, o Options) (n *Node, err error) {
	if err := settings.Check(); err != nil {
		return nil, fmt.Errorf("the settings are wrong: %w", err)
	}
	n = &Node{
		settings:   settings,
		version:    o.Version,
		given:      given{forget: o.Forget},
		log:        o.Log,
		started:    time.Now(),
		turns:      newTurns(cmp.Or(o.Appliers, runtime.GOMAXPROCS(0))),
		clock:      clock{sooner: make(chan struct{}, 1)},
		transition: transition{turned: make(chan struct{}, 1)},
		compile:    new(cookbook.Compiler).Compile,
		hub:        hub.New(),
		metrics:    new(metrics.Measures),
		failed:     make(chan error, 8),
	}
	if n.clock.wall = o.wall; n.clock.wall == nil {
		n.clock.wall = time.Now
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	n.running, n.stop = context.WithCancel(context.Background())
	ctx, n.abort = context.WithCancelCause(ctx)
	defer func() {
		if err != nil {
			if why := context.Cause(ctx); errors.Is(why, ErrReopen) {
				err = why
			}
			err = errors.Join(err, n.Close())
			n = nil
		}
	}()

	// The data directory is ours alone, and was made for this cluster and number of shards.
	if err := n.claim(); err != nil {
		return n, err
	}
	if err := n.checkLog(o.renounce); err != nil {
		return n, err
	}
	if err := n.readRecipes(o.Recipes); err != nil {
		return n, err
	}
	// Ports, before anybody is told of them.
	if err := n.listen(); err != nil {
		return n, err
	}
	// The cluster: who is there, which one it is, who holds what.
	if err := n.openGossip(); err != nil {
		return n, err
	}
	if err := n.found(ctx); err != nil {
		return n, err
	}
	if err := n.openPeers(); err != nil {
		return n, err
	}
	if err := n.openHost(); err != nil {
		return n, err
	}
	if err := n.openDirectory(ctx); err != nil {
		return n, err
	}
	n.hearClocks(ctx)
	// After a power loss the logs may have lost their ends.
	if err := n.prepareShards(); err != nil {
		return n, err
	}
	if err := n.recoverShards(ctx); err != nil {
		return n, err
	}
	// The shards that are here: newest snapshot, then the log.
	if err := n.openShards(ctx); err != nil {
		return n, err
	}
	n.open.Store(true)
	if err := n.awaitMembership(ctx); err != nil {
		return n, err
	}
	// The cookbook, on every shard.
	if err := n.openCookbook(ctx); err != nil {
		return n, err
	}
	// The clock that the shards follow.
	if err := n.openClock(); err != nil {
		return n, err
	}
	// Kafka: the embedded broker or a real one, then everything that writes.
	if err := n.openKafka(ctx); err != nil {
		return n, err
	}
	n.poll(ctx)
	// Look-ups are answered before events are consumed.
	if err := n.openDoors(); err != nil {
		return n, err
	}
	// Activations leave, events come in.
	n.start(n.running)
	if err := n.awaitSwitch(ctx); err != nil {
		return n, err
	}
	n.governs.Store(true)
	n.ready.Store(true)
	return n, nil
}

func (n *Node) onClose(f func() error) { n.closers = append(n.closers, f) }

// openHost opens the log and the snapshots.
func (n *Node) openHost() error {
	settings := n.hostSettings()
	host, err := group.OpenHost(settings)
	if err != nil {
		return n.inUse(err)
	}
	n.host = host
	n.onClose(host.Close)
	return nil
}

// home is the shard of an identifier's hash.
func (n *Node) home(hash uint64) int { return ring.Shard(hash, n.settings.Shards) }

// start sets the goroutines going that move events.
func (n *Node) start(ctx context.Context) {
	for _, c := range n.couriers {
		wake(c.h.talks)
		n.movers.Go(func() { c.run(ctx) })
	}
	for _, p := range n.publishers {
		wake(p.h.grew)
		n.movers.Go(func() { p.run(ctx) })
	}
	if n.kafka.trouble.Load() != nil {
		n.movers.Go(func() { n.awaitBrokers(ctx) })
	}
	n.movers.Go(func() { n.tellLeaders(ctx) })
	reading, stop := context.WithCancel(ctx)
	n.stopSource = stop
	n.movers.Go(func() {
		if err := n.read(reading); err != nil {
			n.fail(err)
		}
	})
	n.movers.Go(func() {
		every(ctx, tickInterval, func() {
			n.poll(ctx)
			n.intake.tick()
		})
	})
	n.movers.Go(func() { every(ctx, endsInterval, func() { n.lookAtEnds(ctx) }) })
	for _, w := range n.webhooks {
		n.movers.Go(func() { w.Run(ctx) })
	}
	n.movers.Go(func() { n.followCookbook(ctx) })
	n.movers.Go(func() { n.tendCookbook(ctx) })
	n.movers.Go(func() { n.keepTime(ctx) })
	n.movers.Go(func() { n.keepLevels(ctx) })
	n.movers.Go(func() { n.metrics.Run(ctx, n.applications) })
	n.movers.Go(func() { n.lead(ctx) })
	n.movers.Go(func() { n.seekOthers(ctx) })
	n.movers.Go(func() { n.tellChanges(ctx) })
	n.movers.Go(func() { n.keepSettled(ctx) })
}

// fail reports an error that the node cannot live with.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// Wait returns when ctx is done, or with the error that ended the node.
func (n *Node) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.failed:
		return err
	}
}

// Close ends the node: it takes no more events, sends no more activations and answers no more requests; then it takes a snapshot of every shard, so that
// the next start is quick.
func (n *Node) Close() error {
	n.ready.Store(false)
	n.stop()
	if n.host != nil {
		n.host.Closing() // movers may wait for a disk that is full
	}
	n.movers.Wait()
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	n.closers = nil
	n.serving.Wait()
	for _, h := range n.shards { // somebody may still be at work on an answer that was cut off, and finds empty shards then
		h.mu.Lock()
		h.shard.Close()
		h.mu.Unlock()
	}
	return errors.Join(errs...)
}

// HTTPAddr is the address that the node listens on: useful with port 0.
func (n *Node) HTTPAddr() string { return n.doors.httpAddr.String() }

// RESPAddr is the address of the RESP server; empty when the settings want none.
func (n *Node) RESPAddr() string {
	if n.doors.respAddr == nil {
		return ""
	}
	return n.doors.respAddr.String()
}

// KafkaSettings are the settings with which a client reaches the node's brokers.
func (n *Node) KafkaSettings() kafka.Settings { return n.kafka.settings }

// Ready says why the node is not ready for traffic; nil if it is. A node whose disk takes nothing can only answer look-ups, and its answers grow old. That
// Kafka is away does not count: it is away for all nodes, and to turn look-ups away would help nobody.
func (n *Node) Ready() error {
	if !n.ready.Load() {
		return errors.New("starting or stopping")
	}
	if err := n.host.Err(); err != nil {
		return fmt.Errorf("the log takes nothing more: %w", err)
	}
	if why := n.diskTrouble(); why != "" {
		return errors.New(why)
	}
	return nil
}
