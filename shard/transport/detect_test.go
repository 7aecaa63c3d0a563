package transport

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// watched is nodes that have met. Where silence is no part of what a test shows, it is an hour: a machine that stands still makes peers silent.
func watched(t *testing.T, n int, silence time.Duration) *cluster {
	c := newCluster(t, n, func(_ int, s *Settings) {
		if s.silence = silence; silence == time.Hour {
			s.confirmTimeout = handshakeTimeout
		}
	})
	var all []string
	for i := range n {
		all = append(all, id(i))
	}
	for _, x := range c.nodes {
		x.Watch(all)
	}
	eventually(t, "all have met", func() bool {
		for _, x := range c.nodes {
			if x.Stats().Up != n-1 {
				return false
			}
		}
		return true
	})
	return c
}

// TestKilledPeer: its connections end and a dial is refused: everybody knows at once.
func TestKilledPeer(t *testing.T) {
	c := watched(t, 3, time.Hour)
	must(t, c.nodes[2].Close())
	eventually(t, "both know", func() bool { return len(c.told()) == 2 })
	for _, s := range c.told() {
		if !strings.Contains(s, "connection was lost") || !strings.Contains(s, "refused") {
			t.Fatal(s)
		}
	}
	if !c.nodes[0].Down(id(2)) || c.nodes[0].Healthy(id(2)) || !c.nodes[0].Healthy(id(1)) || c.nodes[0].Down(id(1)) {
		t.Fatal("the wrong one is down")
	}
	c.nodes[2] = c.open(t, 2, nil) // on another port
	eventually(t, "it is back", func() bool { return c.nodes[0].Healthy(id(2)) && !c.nodes[1].Down(id(2)) })
	if n := len(c.told()); n != 2 {
		t.Fatal(c.told())
	}
}

// TestLateGreeting: a connection that a peer greeted before it was found dead, and that is taken into use afterwards, does not raise it; nor does it hide the process that
// came after.
func TestLateGreeting(t *testing.T) {
	c := watched(t, 3, time.Hour)
	x := c.nodes[0]
	late, err := x.dial(t.Context(), id(2), classRaft)
	must(t, err)
	must(t, c.nodes[2].Close())
	eventually(t, "both know", func() bool { return len(c.told()) == 2 })
	if x.met(late) || !x.Down(id(2)) {
		t.Fatal("a dead peer was raised")
	}
	c.nodes[2] = c.open(t, 2, nil)
	eventually(t, "it is back", func() bool { return x.Healthy(id(2)) })
	if x.met(late) || x.peer(id(2)).instance.Load() == late.instance {
		t.Fatal("the process before is taken for the one that lives")
	}
	late.close(ErrClosed)
	if told := c.told(); len(told) != 2 {
		t.Fatal(told)
	}
}

// heldConn keeps what it reads first until it is let go.
type heldConn struct {
	net.Conn
	once      *sync.Once
	read, let chan struct{}
}

func (c heldConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.once.Do(func() { close(c.read); <-c.let })
	return n, err
}

// TestGreetingReadLate: a peer that answered a greeting and died is not raised when the answer is read after it was found dead.
func TestGreetingReadLate(t *testing.T) {
	c := watched(t, 3, time.Hour)
	x, once, read, let := c.nodes[0], new(sync.Once), make(chan struct{}), make(chan struct{})
	usual := x.s.Dial
	slow := &Transport{s: x.s, opened: x.opened, instance: x.instance} // dials as x does, and reads late
	slow.s.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		nc, err := usual(ctx, addr)
		return heldConn{nc, once, read, let}, err
	}
	dialled := make(chan *conn)
	go func() {
		late, err := slow.dial(t.Context(), id(2), classRaft)
		if err != nil {
			t.Error(err)
		}
		dialled <- late
	}()
	<-read
	must(t, c.nodes[2].Close())
	eventually(t, "both know", func() bool { return len(c.told()) == 2 })
	close(let)
	late := <-dialled
	if late == nil {
		t.FailNow()
	}
	if x.met(late) || !x.Down(id(2)) {
		t.Fatal("a dead peer was raised")
	}
	late.close(ErrClosed)
}

// TestGreetingOfTheDead: a greeting that waited to be accepted since before its sender died raises nobody; who speaks after the answer lives.
func TestGreetingOfTheDead(t *testing.T) {
	c := watched(t, 3, time.Hour)
	x, dead := c.nodes[0], c.nodes[2]
	must(t, dead.Close())
	eventually(t, "both know", func() bool { return len(c.told()) == 2 })
	late, err := dead.dial(t.Context(), id(0), classRaft)
	must(t, err)
	late.close(ErrClosed)
	eventually(t, "it was accepted and has ended", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		for a := range x.accepted {
			if a.peer == id(2) {
				return false
			}
		}
		return true
	})
	if !x.Down(id(2)) || len(c.told()) != 2 {
		t.Fatal(c.told())
	}
	alive, err := dead.dial(t.Context(), id(0), classRaft)
	must(t, err)
	must(t, alive.w.send(header{kind: kindPing}, urgent, nil))
	eventually(t, "it is raised", func() bool { return !x.Down(id(2)) })
	alive.close(ErrClosed)
}

// TestKilledBySteps: a process that is killed loses its connections first and its port a moment later. Who dials in between is connected and then cut off: that is no
// sign of life.
func TestKilledBySteps(t *testing.T) {
	dying, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer dying.Close()
	go func() {
		for {
			c, err := dying.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	var steps atomic.Int32
	c := newCluster(t, 2, func(_ int, s *Settings) {
		s.silence = time.Hour
		usual := s.Dial
		s.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			if steps.Add(-1) >= 0 {
				return net.Dial("tcp", dying.Addr().String())
			}
			return usual(ctx, addr)
		}
	})
	c.nodes[0].Watch([]string{id(1)})
	eventually(t, "they have met", func() bool { return c.nodes[0].Stats().Up == 1 })
	steps.Store(5)
	must(t, c.nodes[1].Close())
	eventually(t, "it is known to be dead", func() bool { return c.nodes[0].Down(id(1)) })
	if steps.Load() >= 0 {
		t.Fatal("nobody was cut off")
	}
}

// TestLostConnection: a connection that ends and can be made again is no death.
func TestLostConnection(t *testing.T) {
	c := watched(t, 3, time.Hour)
	for range 5 {
		before := c.nodes[0].Stats().Suspected + c.nodes[1].Stats().Suspected
		c.net.Reset(id(0), id(1))
		eventually(t, "looked after", func() bool { return c.nodes[0].Stats().Suspected+c.nodes[1].Stats().Suspected > before })
		eventually(t, "connected again", func() bool {
			return c.nodes[0].link(id(1), classRaft).poke() != nil && c.nodes[1].link(id(0), classRaft).poke() != nil
		})
	}
	if d := c.told(); len(d) > 0 {
		t.Fatal(d)
	}
}

// TestSilence: a node that nobody hears is dead; one that another hears is not.
func TestSilence(t *testing.T) {
	c := watched(t, 3, 300*time.Millisecond)
	c.net.Cut(id(0), id(2), true)
	eventually(t, "contradicted", func() bool { return c.nodes[0].Stats().Contradicted > 1 && c.nodes[2].Stats().Contradicted > 1 })
	if d := c.told(); len(d) > 0 {
		t.Fatal(d)
	}
	c.net.Cut(id(1), id(2), true)
	eventually(t, "all know", func() bool { return c.nodes[0].Down(id(2)) && c.nodes[1].Down(id(2)) })
	c.net.Cut(id(0), id(2), false)
	c.net.Cut(id(1), id(2), false)
	eventually(t, "all are well", func() bool {
		for i, x := range c.nodes {
			for j := range c.nodes {
				if i != j && (!x.Healthy(id(j)) || x.Down(id(j))) {
					return false
				}
			}
		}
		return true
	})
}

// TestStandstill: who takes connections and does not greet is let be for a while.
func TestStandstill(t *testing.T) {
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer deaf.Close()
	var still atomic.Bool
	c := newCluster(t, 2, func(i int, s *Settings) {
		s.silence, s.confirmTimeout = 100*time.Millisecond, 50*time.Millisecond
		if s.standstill = time.Hour; i == 1 {
			s.standstill = 300 * time.Millisecond
		}
		usual := s.Dial
		s.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			if still.Load() {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", deaf.Addr().String())
			}
			return usual(ctx, addr)
		}
	})
	c.nodes[0].Watch([]string{id(1)})
	c.nodes[1].Watch([]string{id(0)})
	eventually(t, "they have met", func() bool { return c.nodes[0].Stats().Up == 1 && c.nodes[1].Stats().Up == 1 })
	still.Store(true)
	c.net.Cut(id(0), id(1), true)
	eventually(t, "the impatient one knows", func() bool { return c.nodes[1].Down(id(0)) })
	before := c.nodes[0].Stats().Suspected
	eventually(t, "the patient one goes on asking", func() bool { return c.nodes[0].Stats().Suspected > before+2 })
	if c.nodes[0].Down(id(1)) {
		t.Error("the patient one has given up")
	}
	still.Store(false)
	c.net.Cut(id(0), id(1), false)
	eventually(t, "all is well", func() bool { return c.nodes[0].Healthy(id(1)) && c.nodes[1].Healthy(id(0)) })
}

// TestStartedAnew: a process that is back before anybody looked has forgotten what it led.
func TestStartedAnew(t *testing.T) {
	c := watched(t, 2, 300*time.Millisecond)
	must(t, c.nodes[1].Close())
	c.nodes[1] = c.open(t, 1, nil)
	c.nodes[1].Watch([]string{id(0)})
	eventually(t, "the other knows", func() bool { return len(c.told()) >= 1 })
	eventually(t, "it is back", func() bool { return c.nodes[0].Healthy(id(1)) })
}

// TestMute: a node that is mute is taken for dead and comes back when it speaks; calls are answered all the while.
func TestMute(t *testing.T) {
	c := watched(t, 2, 300*time.Millisecond)
	c.nodes[1].Mute(true)
	eventually(t, "taken for dead", func() bool { return c.nodes[0].Down(id(1)) })
	_, err := c.nodes[0].Call(t.Context(), id(1), typeHeard, nil)
	must(t, err)
	c.nodes[1].Mute(false)
	eventually(t, "it is back", func() bool { return c.nodes[0].Healthy(id(1)) && !c.nodes[0].Down(id(1)) })
}

// TestMuteWhileDialling: who becomes mute while he dials does not keep himself alive with the connection that he gets.
func TestMuteWhileDialling(t *testing.T) {
	held, dialled := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c := newCluster(t, 2, func(i int, s *Settings) {
		s.silence = 300 * time.Millisecond
		if usual := s.Dial; i == 1 {
			s.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
				nc, err := usual(ctx, addr)
				once.Do(func() { close(dialled) })
				<-held
				return nc, err
			}
		}
	})
	c.nodes[0].Watch([]string{id(1)})
	c.nodes[1].Watch([]string{id(0)})
	eventually(t, "they have met", func() bool { return c.nodes[0].Stats().Up == 1 && c.nodes[1].Stats().Up == 1 })
	<-dialled
	c.nodes[1].Mute(true)
	close(held)
	l := c.nodes[1].link(id(0), classRaft)
	eventually(t, "the dial has ended", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.dialing == nil
	})
	if l.poke() != nil {
		t.Fatal("it has a connection to ping on")
	}
	eventually(t, "taken for dead", func() bool { return c.nodes[0].Down(id(1)) })
}
