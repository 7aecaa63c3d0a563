package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"dashi/shard/wal/vfs"
)

// Errors that callers test for.
var (
	ErrClosed     = errors.New("transport is closed")
	ErrDown       = errors.New("peer cannot be reached")
	ErrBusy       = errors.New("too much is waiting already")
	ErrTooLarge   = errors.New("too large for one frame")
	ErrNoGroup    = errors.New("peer has no such group")
	ErrNoHandler  = errors.New("peer does not answer calls of this type")
	ErrDisconnect = errors.New("connection was lost: the outcome is unknown")
)

// Settings of a transport. Zero fields have their defaults.
type Settings struct {
	// ID is this node as others know it: "node/incarnation".
	ID string
	// Cluster must be the same at both ends of every connection.
	Cluster string
	// Listener takes the connections of peers; the transport closes it. Nil for a node that has no peers.
	Listener net.Listener
	// Resolve finds the address of a node by its id. It is called for every dial.
	Resolve func(id string) (addr string, err error)
	// Dial dials. Default: TCP. It is for tests, and for networks of another kind.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// ServerTLS and ClientTLS encrypt and authenticate the connections that are accepted and dialled. Nil: neither.
	ServerTLS, ClientTLS *tls.Config
	// FS and SpoolDir are where snapshots from a leader are kept until they are complete.
	FS       vfs.FS
	SpoolDir string
	// SnapshotRate bounds how fast this node sends snapshots, in bytes a second. Default 128 MiB.
	SnapshotRate int64
	Log          *slog.Logger // default: discards

	// For tests; the defaults are the constants in detect.go.
	pingEvery, silence, standstill, confirmTimeout time.Duration
}

// Transport is one node's end of all connections to its peers.
type Transport struct {
	s        Settings
	opened   time.Time
	instance uint64 // of this process, so that peers notice a restart
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
	muted    atomic.Bool

	mu       sync.Mutex
	groups   map[uint32]*Group
	links    map[linkKey]*link
	peers    map[string]*peer
	accepted map[*conn]struct{}
	handlers map[uint16]Handler
	takers   map[uint16]func(*Call)
	onDown   []func(id, why string)
	onUp     []func(id string)
	closed   bool

	spooled  atomic.Uint64 // snapshots, for their names
	spooling chan struct{} // has room for the snapshots that are received at a time
	sending  bucket
	stats    counters
}

// Open starts a transport.
func Open(s Settings) (*Transport, error) {
	if s.ID == "" {
		return nil, errors.New("cannot open transport without an id")
	}
	if s.Resolve == nil {
		s.Resolve = func(id string) (string, error) { return "", fmt.Errorf("nobody knows %q", id) }
	}
	if s.Dial == nil {
		var d net.Dialer
		s.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }
	}
	if s.FS == nil {
		s.FS = vfs.OS{}
	}
	if s.SnapshotRate == 0 {
		s.SnapshotRate = 128 << 20
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	s.detectDefaults()
	t := &Transport{s: s, opened: time.Now(), instance: rand.Uint64(), groups: map[uint32]*Group{}, links: map[linkKey]*link{}, peers: map[string]*peer{},
		accepted: map[*conn]struct{}{}, handlers: map[uint16]Handler{}, takers: map[uint16]func(*Call){}, spooling: make(chan struct{}, maxSpooling), sending: bucket{rate: s.SnapshotRate}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.handlers[typeHeard] = heardHandler{t}
	if s.Listener == nil {
		return t, nil
	}
	if err := t.cleanSpool(); err != nil {
		return nil, err
	}
	t.running.Go(t.accept)
	t.running.Go(t.detect)
	return t, nil
}

// ID is this node's.
func (t *Transport) ID() string { return t.s.ID }

// OnDown has f called once, on a goroutine of its own, when a peer that Watch names is found dead, or has been started anew and so leads nothing any more.
func (t *Transport) OnDown(f func(id, why string)) {
	t.mu.Lock()
	t.onDown = append(t.onDown, f)
	t.mu.Unlock()
}

// OnUp has f called when a connection to a peer that Watch names has been made, again or for the first time, on a goroutine of its own.
func (t *Transport) OnUp(f func(id string)) {
	t.mu.Lock()
	t.onUp = append(t.onUp, f)
	t.mu.Unlock()
}

// Mute stops answering what peers ask to see whether this node lives, so that they take over its groups: a node whose disk hangs looks alive and serves
// nobody. Mute(false) ends that.
func (t *Transport) Mute(on bool) {
	if t.muted.Swap(on) == on || !on {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.accepted {
		if c.class == classRaft {
			go c.close(errMuted)
		}
	}
	for _, l := range t.links {
		if l.key.class == classRaft {
			go l.drop(errMuted)
		}
	}
}

// Close ends all connections and waits for what runs on them. Groups must have been closed.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	t.cancel()
	var err error
	if t.s.Listener != nil {
		err = t.s.Listener.Close()
	}
	for c := range t.accepted {
		go c.close(ErrClosed)
	}
	for _, l := range t.links {
		go l.drop(ErrClosed)
	}
	t.mu.Unlock()
	t.running.Wait()
	return err
}

// run starts a goroutine that Close waits for.
func (t *Transport) run(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.running.Go(f)
	return true
}
