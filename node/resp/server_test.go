package resp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(loadVariable); what != "" {
		rate, err := makeLoad(what)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(rate)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// A way is how connections are carried: all that is true of a server is true in both.
type way int

const (
	inLoops      way = 2
	inGoroutines way = -1
)

// bothWays runs a test in event loops, where there are such, and with a goroutine a connection.
func bothWays(t *testing.T, test func(t *testing.T, w way)) {
	t.Run("goroutines", func(t *testing.T) { test(t, inGoroutines) })
	t.Run("loops", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("event loops are for Linux")
		}
		test(t, inLoops)
	})
}

func newServer(w way, b Backend, password string, limits Limits) *Server {
	return NewServer(Settings{Passwords: passwords(password), Limits: limits, Loops: int(w)}, b)
}

// passwords are none for an empty text.
func passwords(text string) []string { return strings.Fields(text) }

// start serves b on a port of its own and shuts down when the test ends.
func start(t testing.TB, w way, b Backend, password string, limits Limits) (*Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(w, b, password, limits)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, l.Addr().String()
}

// line is a connection to talk over by hand.
type line struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *line {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &line{c, t, bufio.NewReader(c)}
}

func (l *line) send(s string) {
	l.t.Helper()
	if _, err := io.WriteString(l, s); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) want(s string) {
	l.t.Helper()
	b := make([]byte, len(s))
	n, err := io.ReadFull(l.r, b)
	if err != nil || string(b) != s {
		l.t.Fatalf("got %q (%v), want %q", b[:n], err, s)
	}
}

func (l *line) wantEnd() {
	l.t.Helper()
	if b, err := io.ReadAll(l.r); err == nil && len(b) > 0 {
		l.t.Fatalf("got %q, want the end", b)
	}
}

func TestServerPipelines(t *testing.T) { bothWays(t, testServerPipelines) }

func testServerPipelines(t *testing.T, w way) {
	s, addr := start(t, w, shop(), "", Limits{})
	c := dial(t, addr)
	one, answer := wire("SISMEMBER", "audience:vip", "email:ada@example.com"), ":1\r\n"
	go c.send(strings.Repeat(one, 20_000)) // more than any buffer
	c.want(strings.Repeat(answer, 20_000))
	c.send(wire("ECHO", strings.Repeat("x", 60<<10)))
	c.want(bulk(strings.Repeat("x", 60<<10)))
	c.send("PING\r\nQUIT\r\n")
	c.want("+PONG\r\n+OK\r\n")
	c.wantEnd()
	until(t, "the connection to end", func() bool { return s.Stats().Connections == 0 })
	st := s.Stats()
	if st.Accepted != 1 || st.Commands != 20_003 || st.Hits != 20_000 || st.Failures != 0 || st.BytesOut < 80_000 {
		t.Errorf("%+v", st)
	}
}

func TestServerProtocolError(t *testing.T) { bothWays(t, testServerProtocolError) }

func testServerProtocolError(t *testing.T, w way) {
	s, addr := start(t, w, shop(), "", Limits{})
	c := dial(t, addr)
	c.send("PING\r\n*3\r\n$99999999\r\n")
	c.want("+PONG\r\n-ERR Protocol error: invalid bulk length\r\n")
	c.wantEnd()
	if s.Stats().Failures != 1 {
		t.Errorf("%+v", s.Stats())
	}
}

func TestTooManyConnections(t *testing.T) { bothWays(t, testTooManyConnections) }

func testTooManyConnections(t *testing.T, w way) {
	s, addr := start(t, w, shop(), "", Limits{Connections: 2})
	a, b := dial(t, addr), dial(t, addr)
	for _, c := range []*line{a, b} {
		c.send("PING\r\n")
		c.want("+PONG\r\n")
	}
	c := dial(t, addr)
	c.want("-ERR max number of clients reached\r\n")
	c.wantEnd()
	a.Close()
	until(t, "a free place", func() bool { return s.Stats().Connections == 1 })
	d := dial(t, addr)
	d.send("PING\r\n")
	d.want("+PONG\r\n")
	if s.Stats().Refused != 1 {
		t.Errorf("%+v", s.Stats())
	}
}

// settle waits until no connection is in the middle of an answer: a client has its bytes a moment before the server has noted that.
func settle(s *Server) {
	for busy := true; busy; runtime.Gosched() {
		busy = false
		s.mu.Lock()
		for c := range s.clients {
			busy = busy || c.beat.Load()&1 == 1
		}
		s.mu.Unlock()
	}
}

// Time is given to sweep, so nothing here waits for a real limit.
func TestSweep(t *testing.T) { bothWays(t, testSweep) }

func testSweep(t *testing.T, w way) {
	s, addr := start(t, w, shop(), "pw", Limits{Idle: time.Hour, Anonymous: time.Minute, Write: time.Hour})
	now := time.Now()
	idle, stranger, listener := dial(t, addr), dial(t, addr), dial(t, addr)
	idle.send(wire("AUTH", "pw"))
	idle.want("+OK\r\n")
	listener.send(wire("AUTH", "pw") + wire("SUBSCRIBE", "activations"))
	listener.want("+OK\r\n*3\r\n" + bulk("subscribe") + bulk("activations") + ":1\r\n")
	stranger.send(wire("PING"))
	stranger.want("-NOAUTH Authentication required.\r\n")

	settle(s)
	s.sweep(now.Add(30 * time.Second))
	if st := s.Stats(); st.Idle+st.Unauthorised+st.Unread != 0 {
		t.Fatalf("closed too early: %+v", st)
	}
	s.sweep(now.Add(2 * time.Minute))
	stranger.wantEnd()
	s.sweep(now.Add(50 * time.Minute))
	idle.send("PING\r\n")
	idle.want("+PONG\r\n")
	settle(s)
	s.sweep(now.Add(100 * time.Minute)) // notices the PING
	idle.send("PING\r\n")
	idle.want("+PONG\r\n")
	settle(s)
	s.sweep(now.Add(101 * time.Minute))
	s.sweep(now.Add(170 * time.Minute))
	idle.wantEnd()
	listener.send("PING\r\n")
	listener.want("*2\r\n" + bulk("pong") + bulk(""))
	if st := s.Stats(); st.Idle != 1 || st.Unauthorised != 1 || st.Unread != 0 {
		t.Errorf("%+v", st)
	}
}

// A client that asks and never reads is closed once its write has waited too long.
// sweepingListener has the sweep come at the moment of every write.
type sweepingListener struct {
	net.Listener
	sweep func()
}

func (l *sweepingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return sweepingConn{c, l.sweep}, err
}

type sweepingConn struct {
	net.Conn
	sweep func()
}

func (c sweepingConn) Write(b []byte) (int, error) { c.sweep(); return c.Conn.Write(b) }

// A sweep that came after the answer to AUTH and before the server had noted the password closed the connection as one without.
func TestSweepWhileLettingIn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(inGoroutines, shop(), "pw", Limits{Anonymous: time.Minute})
	served := make(chan error, 1)
	go func() { served <- s.Serve(&sweepingListener{l, func() { s.sweep(time.Now().Add(2 * time.Minute)) }}) }()
	c := dial(t, l.Addr().String())
	c.send(wire("AUTH", "pw"))
	c.want("+OK\r\n")
	c.send("PING\r\n")
	c.want("+PONG\r\n")
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestUnreadAnswers(t *testing.T) { bothWays(t, testUnreadAnswers) }

func testUnreadAnswers(t *testing.T, w way) {
	b := newFake(200)
	b.full("email", "ada@example.com")
	s, addr := start(t, w, b, "", Limits{Write: time.Minute})
	c := dial(t, addr)
	go func() {
		one := []byte(strings.Repeat(wire("HGETALL", "email:ada@example.com"), 100))
		for {
			if _, err := c.Write(one); err != nil {
				return
			}
		}
	}()
	// Stuck: the same odd beat for a while, which one that only waits for a processor does not have. The sweep's clock is ours.
	var last uint64
	since := time.Now()
	until(t, "a write that waits", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.clients {
			if beat := c.beat.Load(); beat&1 == 0 || beat != last {
				last, since = beat, time.Now()
			}
		}
		return last&1 == 1 && time.Since(since) > 500*time.Millisecond
	})
	now := time.Now()
	until(t, "the connection to be closed", func() bool {
		now = now.Add(2 * time.Minute)
		s.sweep(now)
		return s.Stats().Connections == 0
	})
	if s.Stats().Unread != 1 {
		t.Errorf("%+v", s.Stats())
	}
}

func TestShutdownCutsTheStuck(t *testing.T) { bothWays(t, testShutdownCutsTheStuck) }

func testShutdownCutsTheStuck(t *testing.T, w way) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := newFake(200)
	b.full("email", "ada@example.com")
	s := newServer(w, b, "", Limits{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c := dial(t, l.Addr().String())
	go func() {
		one := []byte(strings.Repeat(wire("HGETALL", "email:ada@example.com"), 100))
		for {
			if _, err := c.Write(one); err != nil {
				return
			}
		}
	}()
	until(t, "answers", func() bool { return s.Stats().BytesOut > 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := s.Serve(l); err != nil {
		t.Error(err)
	}
}

func TestManyClients(t *testing.T) { bothWays(t, testManyClients) }

func testManyClients(t *testing.T, w way) {
	b := shop()
	_, addr := start(t, w, b, "", Limits{})
	errs := make(chan error, 20)
	for i := range 20 {
		go func() {
			errs <- func() error {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					return err
				}
				defer c.Close()
				r := bufio.NewReader(c)
				for n := range 200 {
					word := fmt.Sprintf("%d-%d", i, n)
					if _, err := io.WriteString(c, wire("ECHO", word)+wire("HGET", "user_id:bob", "f0")); err != nil {
						return err
					}
					want := bulk(word) + bulk("3.25")
					got := make([]byte, len(want))
					if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
						return fmt.Errorf("got %q, want %q: %v", got, want, err)
					}
				}
				return nil
			}()
		}()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// I8: whoever asks for much, or does not read the answers, does not keep the others waiting.
func TestGreedyClients(t *testing.T) { bothWays(t, testGreedyClients) }

func testGreedyClients(t *testing.T, w way) {
	b := newFake(200)
	b.full("email", "ada@example.com")
	s, addr := start(t, w, b, "", Limits{})
	exists := []string{"EXISTS"}
	for range 5000 {
		exists = append(exists, "email:ada@example.com")
	}
	stop := make(chan struct{})
	defer close(stop)
	greedy := func(commands string, read bool) {
		c := dial(t, addr)
		if read {
			go io.Copy(io.Discard, c)
		}
		go func() {
			for {
				if _, err := io.WriteString(c, commands); err != nil {
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
	}
	greedy(wire(exists...), true)
	greedy(strings.Repeat(wire("HGETALL", "email:ada@example.com"), 100), true)
	greedy(strings.Repeat(wire("HGETALL", "email:ada@example.com"), 100), false)
	until(t, "much work", func() bool { return s.Stats().BytesOut > 1<<20 })
	c := dial(t, addr)
	for i := range 50 {
		word := fmt.Sprint(i)
		c.send(wire("ECHO", word) + wire("HGET", "email:ada@example.com", "f1"))
		c.want(bulk(word) + bulk("text of attribute 1"))
	}
}

// Whoever asks for a profile that moves waits, the others do not.
func TestMovingProfileHoldsUpNobody(t *testing.T) { bothWays(t, testMovingProfileHoldsUpNobody) }

func testMovingProfileHoldsUpNobody(t *testing.T, w way) {
	b := shop()
	b.moving.Store(math.MaxInt64)
	_, addr := start(t, w, b, "", Limits{})
	waits, other := dial(t, addr), dial(t, addr)
	for range 5 {
		waits.send(wire("HGET", "user_id:moving", "f0"))
		for range 20 {
			other.send(wire("HGET", "user_id:bob", "f0"))
			other.want(bulk("3.25"))
		}
		waits.want("$-1\r\n")
	}
}

// An activation never falls into an answer, however many turns that takes.
func TestPushBetweenAnswers(t *testing.T) { bothWays(t, testPushBetweenAnswers) }

func testPushBetweenAnswers(t *testing.T, w way) {
	b := shop()
	_, addr := start(t, w, b, "", Limits{Queue: 100_000})
	c := dial(t, addr)
	c.send(wire("HELLO", "3") + wire("SUBSCRIBE", "activations"))
	until(t, "a subscriber", func() bool { return b.subscribers() == 1 })
	for line := ""; line != "activations\r\n"; {
		line, _ = c.r.ReadString('\n')
	}
	c.want(":1\r\n")
	words := []string{"SMISMEMBER", "audience:vip"}
	for range 4000 {
		words = append(words, "user_id:bob")
	}
	answer := "*4000\r\n" + strings.Repeat(":0\r\n", 4000)
	message := ">3\r\n" + bulk("message") + bulk("activations") + bulk("{}")
	const rounds = 20
	go func() {
		for range rounds {
			c.send(wire(words...))
			for range 50 {
				b.publish("1", "vip", "{}")
			}
		}
	}()
	for answers, messages := 0, 0; answers < rounds || messages < 50*rounds; {
		if kind, _ := c.r.Peek(1); string(kind) == ">" {
			c.want(message)
			messages++
		} else {
			c.want(answer)
			answers++
		}
	}
}

// A command may come byte by byte, and the buffers that it needed are given back.
func TestSlowWriter(t *testing.T) { bothWays(t, testSlowWriter) }

func testSlowWriter(t *testing.T, w way) {
	_, addr := start(t, w, shop(), "", Limits{})
	c := dial(t, addr)
	for _, b := range []byte(wire("HGET", "user_id:bob", "f0") + wire("PING")) {
		c.send(string(b))
	}
	c.want(bulk("3.25") + "+PONG\r\n")
	long := strings.Repeat("y", 60<<10)
	for range 3 {
		c.send("*2\r\n$4\r\nECHO\r\n$61440\r\n" + long[:30<<10])
		c.send(long[30<<10:] + "\r\n" + wire("PING"))
		c.want(bulk(long) + "+PONG\r\n")
	}
}

// Half a connection: a client that says all it has to say and closes its side still gets every answer.
func TestHalfClosed(t *testing.T) { bothWays(t, testHalfClosed) }

func testHalfClosed(t *testing.T, w way) {
	b := newFake(200)
	b.full("email", "ada@example.com")
	_, addr := start(t, w, b, "", Limits{})
	c := dial(t, addr)
	const n = 500
	c.send(strings.Repeat(wire("HGETALL", "email:ada@example.com"), n) + wire("ECHO", "the end"))
	c.Conn.(*net.TCPConn).CloseWrite()
	all, err := io.ReadAll(c.r)
	if err != nil || !strings.HasSuffix(string(all), bulk("the end")) || strings.Count(string(all), "*400\r\n") != n {
		t.Errorf("%d bytes, %v", len(all), err)
	}
}

// Every file descriptor is closed: those of clients that left and of those that were there to the end.
func TestFilesAreClosed(t *testing.T) { bothWays(t, testFilesAreClosed) }

func testFilesAreClosed(t *testing.T, w way) {
	open := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(files)
	}
	before := open()
	t.Run("serve", func(t *testing.T) {
		s, addr := start(t, w, shop(), "", Limits{})
		for i := range 20 {
			c := dial(t, addr)
			c.send("PING\r\n")
			c.want("+PONG\r\n")
			if i%2 == 0 {
				c.Close()
			}
		}
		until(t, "half of them to have left", func() bool { return s.Stats().Connections == 10 })
	})
	until(t, "no more files than before", func() bool { return open() <= before })
}
