package shard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
	"dashi/shard/group"
	"dashi/shard/transport"
	"dashi/shard/wal/vfs"
)

// replica is a shard as a group hosts it.
type replica struct {
	mu       sync.Mutex
	shard    *Shard
	settings Settings
	index    uint64
}

func (r *replica) Apply(index uint64, entry []byte) any {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.index = index
	result := *r.shard.Apply(entry)
	return &result
}

func (r *replica) Snapshot() (group.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return frozen{r.shard.Snapshot()}, nil
}

func (r *replica) Restore(from io.Reader) error {
	s, err := Restore(from, r.settings)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shard.Close()
	r.shard = s
	return nil
}

type frozen struct{ *Snapshot }

func (f frozen) Persist(w io.Writer) error {
	_, err := f.WriteTo(w)
	return err
}

// seat is one of the places at which a replica runs, or has been killed.
type seat struct {
	id      string
	disk    *vfs.Mem
	net     *transport.Transport
	host    *group.Host // nil: it is dead
	group   *group.Group
	replica *replica
}

// trio is one shard on three nodes in this process: a group of three replicas on loopback, each with a disk in memory.
type trio struct {
	t     *testing.T
	seats [3]seat
	mu    sync.Mutex
	addrs map[string]string
	// programs are by the hash of their sources: each is compiled once for all replicas.
	programs map[string]*recipe.Program
	ending   sync.WaitGroup

	program *recipe.Program // in force
	decoder *event.Decoder
}

func newTrio(t *testing.T) *trio {
	c := &trio{t: t, addrs: map[string]string{}, programs: map[string]*recipe.Program{}}
	for i := range c.seats {
		c.seats[i].id, c.seats[i].disk = fmt.Sprintf("n%d/1", i), vfs.NewMem()
	}
	for i := range c.seats {
		c.start(&c.seats[i])
	}
	t.Cleanup(func() {
		for i := range c.seats {
			if s := &c.seats[i]; s.host != nil {
				c.must(s.host.Close())
				c.must(s.net.Close())
				s.replica.shard.Close()
			}
		}
		c.ending.Wait()
	})
	return c
}

func (c *trio) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *trio) compile(sources []recipe.Source) (*recipe.Program, []recipe.Diagnostic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := string(sources[0].Text)
	if p := c.programs[text]; p != nil {
		return p, nil
	}
	p, found := recipe.Compile(sources)
	c.programs[text] = p
	return p, found
}

func (c *trio) resolve(id string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if addr := c.addrs[id]; addr != "" {
		return addr, nil
	}
	return "", fmt.Errorf("nobody knows %q", id)
}

// start opens the replica of a seat with what its disk has.
func (c *trio) start(s *seat) {
	c.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	c.must(err)
	c.mu.Lock()
	c.addrs[s.id] = l.Addr().String()
	c.mu.Unlock()
	s.net, err = transport.Open(transport.Settings{ID: s.id, Cluster: "exact", Listener: l, FS: s.disk, SpoolDir: "data/spool", Resolve: c.resolve})
	c.must(err)
	s.host, err = group.OpenHost(group.Settings{Dir: "data", FS: s.disk, ID: s.id, Transport: s.net, SnapshotBytes: 32 << 10})
	c.must(err)
	s.replica = &replica{settings: testSettings()}
	s.replica.settings.Compile = c.compile
	s.replica.shard = New(s.replica.settings)
	var members []group.Member
	for i := range c.seats {
		members = append(members, group.Member{ID: c.seats[i].id, Voter: true})
	}
	s.group, err = s.host.OpenReplica(1, s.replica, group.Replica{Members: members, Prefer: s == &c.seats[0]})
	c.must(err)
}

// kill ends a replica as kill -9 does: nothing reaches its disk from here on.
func (c *trio) kill(s *seat) {
	s.disk = s.disk.Kill()
	host, r := s.host, s.replica
	s.host = nil
	c.must(s.net.Close())
	c.ending.Go(func() { _ = host.Close(); r.shard.Close() })
}

func (c *trio) revive() {
	for i := range c.seats {
		if c.seats[i].host == nil {
			c.start(&c.seats[i])
		}
	}
}

// eventually polls; nothing relies on how fast it is.
func (c *trio) eventually(what string, f func() bool) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); !f(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("not so after a minute: %s", what)
		}
	}
}

func (c *trio) leader() (leader *seat) {
	c.eventually("somebody leads", func() bool {
		for i := range c.seats {
			if s := &c.seats[i]; s.host != nil {
				if _, here := s.group.Leader(); here {
					leader = s
					return true
				}
			}
		}
		return false
	})
	return leader
}

// propose has an entry applied by whoever leads. With a meanwhile that happens to the leader which has just been given it, and it is said again.
func (c *trio) propose(entry []byte, meanwhile func(leader *seat)) (r *Result) {
	c.t.Helper()
	c.eventually("an entry is applied", func() bool {
		type answer struct {
			result any
			err    error
		}
		s, answers := c.leader(), make(chan answer, 1)
		if s.group.Propose(bytes.Clone(entry), func(_ uint64, result any, err error) { answers <- answer{result, err} }) != nil {
			return false
		}
		if kill := meanwhile; kill != nil {
			kill(s)
			meanwhile = nil
			return false // whatever becomes of it
		}
		a := <-answers
		r, _ = a.result.(*Result)
		return a.err == nil
	})
	return r
}

// agree waits until all replicas have applied the same, and says that it is the same.
func (c *trio) agree() {
	c.t.Helper()
	c.eventually("the replicas have applied the same", func() bool {
		var at [3]uint64
		for i := range c.seats {
			at[i] = c.seats[i].group.Applied()
		}
		return at[0] == at[1] && at[1] == at[2]
	})
	var prints []uint64
	for i := range c.seats {
		r := c.seats[i].replica
		r.mu.Lock()
		prints = append(prints, r.shard.Fingerprint())
		if err := r.shard.Check(); err != nil {
			c.t.Error(err)
		}
		r.mu.Unlock()
	}
	if slices.Min(prints) != slices.Max(prints) {
		c.t.Fatalf("the replicas differ: %x", prints)
	}
}

// handOver makes another replica the leader, if it lives.
func (c *trio) handOver(heir int) {
	s, to := c.leader(), &c.seats[heir]
	if to == s || to.host == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.group.Transfer(ctx, to.id); err != nil && !errors.Is(err, group.ErrNotLeader) {
		c.t.Logf("%s does not hand over: %v", s.id, err) // it tries again, or not, by itself
	}
}

// cookbook puts a cookbook into force.
func (c *trio) cookbook(b *book, now int64) {
	c.t.Helper()
	sources := readInline("random.yml", b.recipe())
	program, found := c.compile(sources)
	if program == nil {
		c.t.Fatalf("%v\n%s", found, b.recipe())
	}
	c.program, c.decoder = program, event.NewDecoder(program.Schema, event.DefaultLimits)
	mustAccept(c.t, c.propose(AppendCookbook(nil, now, sources), nil))
}
