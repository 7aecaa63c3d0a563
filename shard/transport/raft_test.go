package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func appendRequests(first, last uint64, size int) *raft.AppendEntriesRequest {
	r := &raft.AppendEntriesRequest{RPCHeader: identity(id(0)), Term: 3, PrevLogEntry: first - 1, PrevLogTerm: 2, LeaderCommitIndex: first}
	for i := first; i <= last; i++ {
		r.Entries = append(r.Entries, &raft.Log{Index: i, Term: 3, Type: raft.LogCommand, Data: bytes.Repeat([]byte{byte(i)}, size), AppendedAt: time.Unix(0, int64(i))})
	}
	return r
}

// TestRequests: each of Raft's requests arrives as it was sent, and the answer too.
func TestRequests(t *testing.T) {
	c := newCluster(t, 2, nil)
	var got raft.RPC
	serve(t, c.nodes[1], 7, func(r raft.RPC) {
		got = r
		switch q := r.Command.(type) {
		case *raft.AppendEntriesRequest:
			r.Respond(&raft.AppendEntriesResponse{Term: 9, LastLog: q.PrevLogEntry + uint64(len(q.Entries)), Success: true}, nil)
		case *raft.RequestVoteRequest:
			r.Respond(&raft.RequestVoteResponse{Term: 9, Granted: q.LeadershipTransfer}, nil)
		case *raft.RequestPreVoteRequest:
			r.Respond(&raft.RequestPreVoteResponse{Term: 9, Granted: true}, nil)
		case *raft.TimeoutNowRequest:
			r.Respond(nil, errors.New("not now"))
		}
	})
	g := serve(t, c.nodes[0], 7, func(raft.RPC) {})
	to := raft.ServerAddress(id(1))
	for _, n := range []uint64{0, 1, 40} {
		sent := appendRequests(11, 10+n, 300)
		var a raft.AppendEntriesResponse
		must(t, g.AppendEntries("", to, sent, &a))
		if fmt.Sprintf("%+v", *got.Command.(*raft.AppendEntriesRequest)) == "" || a.LastLog != 10+n || !a.Success || a.Term != 9 || string(a.ID) != id(1) {
			t.Fatalf("%+v", a)
		}
		r := got.Command.(*raft.AppendEntriesRequest)
		if r.Term != 3 || r.PrevLogEntry != 10 || r.PrevLogTerm != 2 || r.LeaderCommitIndex != 11 || string(r.Addr) != id(0) || string(r.ID) != id(0) || uint64(len(r.Entries)) != n {
			t.Fatalf("%+v", r)
		}
		for i, e := range r.Entries {
			if s := sent.Entries[i]; e.Index != s.Index || e.Term != s.Term || e.Type != s.Type || !bytes.Equal(e.Data, s.Data) || !e.AppendedAt.Equal(s.AppendedAt) || e.Extensions != nil {
				t.Fatalf("entry %d is %+v", i, e)
			}
		}
	}
	for _, transfer := range []bool{false, true} {
		var v raft.RequestVoteResponse
		must(t, g.RequestVote("", to, &raft.RequestVoteRequest{Term: 4, LastLogIndex: 5, LastLogTerm: 6, LeadershipTransfer: transfer}, &v))
		if r := got.Command.(*raft.RequestVoteRequest); v.Granted != transfer || r.Term != 4 || r.LastLogIndex != 5 || r.LastLogTerm != 6 || string(r.Addr) != id(0) {
			t.Fatalf("%+v, %+v", r, v)
		}
	}
	var p raft.RequestPreVoteResponse
	must(t, g.RequestPreVote("", to, &raft.RequestPreVoteRequest{Term: 4, LastLogIndex: 5, LastLogTerm: 6}, &p))
	if r := got.Command.(*raft.RequestPreVoteRequest); !p.Granted || p.Term != 9 || r.Term != 4 || r.LastLogIndex != 5 || r.LastLogTerm != 6 {
		t.Fatalf("%+v, %+v", r, p)
	}
	if err := g.TimeoutNow("", to, &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{}); err == nil || !strings.Contains(err.Error(), "not now") {
		t.Fatal(err)
	}
	if _, ok := got.Command.(*raft.TimeoutNowRequest); !ok {
		t.Fatalf("%+v", got)
	}
	other := serve(t, c.nodes[0], 8, func(raft.RPC) {})
	if err := other.TimeoutNow("", to, &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{}); err == nil || !strings.Contains(err.Error(), ErrNoGroup.Error()) {
		t.Fatal(err)
	}
	if err := g.TimeoutNow("", "n9/1", &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{}); !errors.Is(err, ErrDown) {
		t.Fatal(err)
	}
}

// TestFit: what does not fit into a frame is left for the next, and Raft sees that.
func TestFit(t *testing.T) {
	r := appendRequests(1, 64, 100<<10)
	fit(r)
	if n := len(r.Entries); n != 20 {
		t.Fatal(n)
	}
	r = appendRequests(1, 3, 5<<20)
	fit(r)
	if len(r.Entries) != 1 {
		t.Fatal("the first goes in any case")
	}
}

// TestPipeline: responses come in order; after the first that is no success nothing is taken, and nobody waits.
func TestPipeline(t *testing.T) {
	c := newCluster(t, 2, nil)
	serve(t, c.nodes[1], 1, func(r raft.RPC) {
		q := r.Command.(*raft.AppendEntriesRequest)
		r.Respond(&raft.AppendEntriesResponse{Term: 3, LastLog: q.Entries[0].Index, Success: q.Entries[0].Index < 50}, nil)
	})
	g := serve(t, c.nodes[0], 1, func(raft.RPC) {})
	p, err := g.AppendEntriesPipeline("", raft.ServerAddress(id(1)))
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := uint64(1); ; i++ {
			if _, err := p.AppendEntries(appendRequests(i, i, 1000), new(raft.AppendEntriesResponse)); err != nil {
				if i <= 50 || !errors.Is(err, errBroken) {
					t.Errorf("entry %d: %v", i, err)
				}
				return
			}
		}
	}()
	for i := uint64(1); i <= 50; i++ {
		f := <-p.Consumer()
		must(t, f.Error())
		if f.Request().Entries[0].Index != i || f.Response().LastLog != i || f.Response().Success != (i < 50) {
			t.Fatalf("response %d is %+v", i, f.Response())
		}
	}
	<-done
	must(t, p.Close())
	if _, err := p.AppendEntries(appendRequests(1, 1, 1), new(raft.AppendEntriesResponse)); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
}

// TestPipelineLosesConnection: the requests that are under way fail at once, and so do all that follow.
func TestPipelineLosesConnection(t *testing.T) {
	c := newCluster(t, 2, nil)
	arrived := make(chan struct{}, 8)
	serve(t, c.nodes[1], 1, func(raft.RPC) { arrived <- struct{}{} }) // and does not answer
	g := serve(t, c.nodes[0], 1, func(raft.RPC) {})
	p, err := g.AppendEntriesPipeline("", raft.ServerAddress(id(1)))
	must(t, err)
	var futures []raft.AppendFuture
	for i := range uint64(inFlight) {
		f, err := p.AppendEntries(appendRequests(i+1, i+1, 10), new(raft.AppendEntriesResponse))
		must(t, err)
		futures = append(futures, f)
		<-arrived
	}
	c.net.Reset(id(0), id(1))
	for _, f := range futures {
		if err := f.Error(); !errors.Is(err, ErrDisconnect) {
			t.Fatal(err)
		}
	}
	if f := <-p.Consumer(); f.Response().Success {
		t.Fatal("Raft was told of a success")
	}
	if _, err := p.AppendEntries(appendRequests(9, 9, 10), new(raft.AppendEntriesResponse)); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
}

// TestPipelineAtRest: Raft is told that the connection is lost although nothing was on its way.
func TestPipelineAtRest(t *testing.T) {
	c := newCluster(t, 2, nil)
	g := serve(t, c.nodes[0], 1, func(raft.RPC) {})
	p, err := g.AppendEntriesPipeline("", raft.ServerAddress(id(1)))
	must(t, err)
	c.net.Reset(id(0), id(1))
	f := <-p.Consumer()
	if f.Error() == nil || f.Response().Success || f.Request() == nil {
		t.Fatal("it was told of a success")
	}
	if _, err := p.AppendEntries(appendRequests(9, 9, 10), new(raft.AppendEntriesResponse)); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	must(t, p.Close())
	if n := len(c.nodes[0].link(id(1), classRaft).requests); n > 0 {
		t.Fatalf("%d requests are left", n)
	}
}

// TestGroupHeldUp: a group whose Raft takes nothing fills its queue; more is rejected, and other groups on the same connection are served.
func TestGroupHeldUp(t *testing.T) {
	c := newCluster(t, 2, nil)
	gate := make(chan struct{})
	serve(t, c.nodes[1], 1, func(r raft.RPC) {
		<-gate
		r.Respond(&raft.RequestVoteResponse{Granted: true}, nil)
	})
	serve(t, c.nodes[1], 2, func(r raft.RPC) { r.Respond(&raft.RequestVoteResponse{Granted: true}, nil) })
	slow, quick := serve(t, c.nodes[0], 1, func(raft.RPC) {}), serve(t, c.nodes[0], 2, func(raft.RPC) {})
	ask := func(g *Group) error {
		return g.RequestVote("", raft.ServerAddress(id(1)), &raft.RequestVoteRequest{}, &raft.RequestVoteResponse{})
	}
	must(t, ask(quick))
	var wg sync.WaitGroup
	for range queueLen + 20 {
		wg.Go(func() { _ = ask(slow) })
	}
	eventually(t, "some are rejected", func() bool { return c.nodes[1].Stats().Rejected >= 10 })
	must(t, ask(quick))
	close(gate)
	wg.Wait()
	must(t, ask(slow))
}

// TestLazy: heartbeats wait for company, longer than other appends without entries, which do not wait for them; and not when somebody verifies.
func TestLazy(t *testing.T) {
	c := newCluster(t, 2, nil)
	serve(t, c.nodes[1], 1, func(r raft.RPC) { r.Respond(&raft.AppendEntriesResponse{Success: true}, nil) })
	g := serve(t, c.nodes[0], 1, func(raft.RPC) {})
	beat := func() time.Duration {
		start := time.Now()
		must(t, g.AppendEntries("", raft.ServerAddress(id(1)), &raft.AppendEntriesRequest{Term: 1}, &raft.AppendEntriesResponse{}))
		return time.Since(start)
	}
	beat()
	if d := beat(); d < idleAfter {
		t.Fatalf("a heartbeat took %v", d)
	}
	empty := func() time.Duration {
		start := time.Now()
		must(t, g.AppendEntries("", raft.ServerAddress(id(1)), &raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 1}, &raft.AppendEntriesResponse{}))
		return time.Since(start)
	}
	quickest := time.Hour
	for range 20 {
		var beating sync.WaitGroup
		beating.Go(func() { beat() })
		quickest = min(quickest, empty())
		beating.Wait()
	}
	if quickest < lazyAfter || quickest >= idleAfter+lazyAfter { // there and back
		t.Fatalf("the quickest append that waited with a heartbeat took %v", quickest)
	}
	g.Verifying(true)
	best := time.Hour
	for range 20 {
		best = min(best, beat())
	}
	if best >= lazyAfter {
		t.Fatalf("the quickest heartbeat that was waited for took %v", best)
	}
	g.Verifying(false)
}

// TestSnapshot: a snapshot arrives whole, is on disk before Raft reads it, and leaves nothing behind.
func TestSnapshot(t *testing.T) {
	c := newCluster(t, 2, nil)
	var sizes []int
	serve(t, c.nodes[1], 1, func(r raft.RPC) {
		q := r.Command.(*raft.InstallSnapshotRequest)
		b, err := io.ReadAll(r.Reader)
		if err != nil || int64(len(b)) != q.Size || q.LastLogIndex != 5 || q.LastLogTerm != 6 || string(q.Configuration) != "who" || q.ConfigurationIndex != 4 || q.SnapshotVersion != 1 {
			t.Errorf("%d bytes, %v, %+v", len(b), err, q)
		}
		for i, x := range b {
			if x != byte(i%251) {
				t.Errorf("byte %d is %d", i, x)
				break
			}
		}
		sizes = append(sizes, len(b))
		if names, _ := c.mems[1].List("spool"); len(names) != 1 {
			t.Errorf("spooled: %v", names)
		}
		r.Respond(&raft.InstallSnapshotResponse{Term: 3, Success: true}, nil)
	})
	g := serve(t, c.nodes[0], 1, func(raft.RPC) {})
	send := func(size int, data io.Reader) error {
		var resp raft.InstallSnapshotResponse
		err := g.InstallSnapshot("", raft.ServerAddress(id(1)), &raft.InstallSnapshotRequest{SnapshotVersion: 1, Term: 3, LastLogIndex: 5, LastLogTerm: 6,
			Configuration: []byte("who"), ConfigurationIndex: 4, Size: int64(size)}, &resp, data)
		if err == nil && (!resp.Success || resp.Term != 3) {
			t.Errorf("%+v", resp)
		}
		return err
	}
	content := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i % 251)
		}
		return b
	}
	for _, n := range []int{0, 1, snapshotPart, 3*snapshotPart + 7} {
		must(t, send(n, bytes.NewReader(content(n))))
	}
	if len(sizes) != 4 {
		t.Fatal(sizes)
	}
	for _, n := range []int{-1, 1} { // another length than was announced
		if err := send(1000, bytes.NewReader(content(1000+n))); err == nil {
			t.Fatal("a snapshot of another length was installed")
		}
	}
	if err := send(1000, io.MultiReader(bytes.NewReader(content(10)), broken{})); err == nil {
		t.Fatal("a snapshot that cannot be read was installed")
	}
	if len(sizes) != 4 {
		t.Fatal(sizes)
	}
	eventually(t, "nothing is left", func() bool { names, _ := c.mems[1].List("spool"); return len(names) == 0 })
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("cannot read") }

func appendFrame(dst []byte, h header, body []byte) []byte {
	n := len(dst)
	dst = append(dst, make([]byte, headerSize)...)
	dst = append(dst, body...)
	seal(dst[n:], h)
	return dst
}

// FuzzFrames: whatever comes over the wire is a message or an error.
func FuzzFrames(f *testing.F) {
	f.Add(byte(0), uint16(typeAppend), appendRequest(nil, appendRequests(3, 5, 20)))
	f.Add(byte(0), uint16(typeVote), appendRequest(nil, &raft.RequestVoteRequest{Term: 3, LeadershipTransfer: true}))
	f.Add(byte(0), uint16(typePreVote), appendRequest(nil, &raft.RequestPreVoteRequest{Term: 3}))
	f.Add(byte(1), uint16(0), appendRequest(nil, &raft.InstallSnapshotRequest{Term: 3, Configuration: []byte("x")}))
	f.Add(byte(2), uint16(0), greeting{classRaft, "c", "a/1", "b/1", 7}.append(nil))
	f.Add(byte(3), uint16(0), appendFrame(nil, header{kind: kindCall, typ: 20, id: 5}, []byte("body")))
	f.Fuzz(func(t *testing.T, what byte, typ uint16, b []byte) {
		switch what % 4 {
		case 0:
			if q, err := decodeRequest(typ, b, "a/1"); err == nil {
				if again := appendRequest(nil, q); typ != typeVote && !bytes.Equal(again, b) {
					t.Fatalf("%x is %+v is %x", b, q, again)
				}
			}
		case 1:
			if q, err := decodeSnapshotRequest(b, "a/1"); err == nil && !bytes.Equal(appendRequest(nil, q), b) {
				t.Fatalf("%x is %+v", b, q)
			}
		case 2:
			if g, err := parseGreeting(b); err == nil && !bytes.Equal(g.append(nil), b) {
				t.Fatalf("%x is %+v", b, g)
			}
		case 3:
			r := newReader(b)
			for {
				h, body, err := readFrame(r, 1<<20)
				if err != nil {
					return
				}
				again := appendFrame(nil, h, body)
				if !bytes.HasPrefix(b, again) {
					t.Fatalf("%x begins with %+v, %x", b, h, body)
				}
				b = b[len(again):]
			}
		}
	})
}

// closing is a request whose connection is lost at the moment when its response is there.
type closing struct {
	c *conn
	n int
}

func (c *closing) complete(header, []byte, error) bool {
	if c.n++; c.n == 1 {
		c.c.close(io.EOF)
	}
	return false
}

// TestCompletedOnce: such a request is completed once.
func TestCompletedOnce(t *testing.T) {
	c := newCluster(t, 2, nil)
	serve(t, c.nodes[1], 1, func(r raft.RPC) { r.Respond(&raft.RequestVoteResponse{}, nil) })
	l := c.nodes[0].link(id(1), classRaft)
	x, err := l.await(t.Context())
	must(t, err)
	p := &closing{c: x}
	// It may say already that the connection is lost.
	_, _ = l.request(x, header{kind: kindRequest, typ: typeVote, group: 1}, urgent, p, func(dst []byte) []byte { return appendRequest(dst, &raft.RequestVoteRequest{}) })
	eventually(t, "the connection is gone", func() bool { return l.poke() != x })
	if _, err := l.await(t.Context()); err != nil || p.n != 1 {
		t.Fatalf("completed %d times, %v", p.n, err)
	}
}
