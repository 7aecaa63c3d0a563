package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func newReader(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

type handlerFunc func(ctx context.Context, call *Call) ([]byte, error)

func (f handlerFunc) Serve(ctx context.Context, call *Call) ([]byte, error) { return f(ctx, call) }

// TestCall: answers, errors with their codes, deadlines, cancellation and limits.
func TestCall(t *testing.T) {
	c := newCluster(t, 2, nil)
	ended := make(chan error, 1)
	c.nodes[1].Handle(20, handlerFunc(func(ctx context.Context, call *Call) ([]byte, error) {
		switch string(call.Body) {
		case "error":
			return nil, errors.New("no such thing")
		case "code":
			return nil, &RemoteError{Code: 77, Text: "go elsewhere"}
		case "wait":
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		case "large":
			return make([]byte, maxAnswer+1), nil
		case "long":
			return bytes.Repeat([]byte("0123456789"), 2*maxBody/10), nil
		case "parts":
			return []byte(" by part"), call.Send([]byte("part"))
		case "many":
			for range maxAnswer/window + 1 {
				if err := call.Send(make([]byte, window)); err != nil {
					return nil, err
				}
			}
			return nil, nil
		}
		return append([]byte(call.From+" said "), call.Body...), nil
	}))
	call := func(ctx context.Context, body string) (string, error) {
		b, err := c.nodes[0].Call(ctx, id(1), 20, []byte(body))
		return string(b), err
	}
	if got, err := call(t.Context(), "hello"); err != nil || got != id(0)+" said hello" {
		t.Fatal(got, err)
	}
	var e *RemoteError
	if _, err := call(t.Context(), "error"); !errors.As(err, &e) || e.Code != 0 || e.Text != "no such thing" {
		t.Fatal(err)
	}
	if _, err := call(t.Context(), "code"); !errors.As(err, &e) || e.Code != 77 || e.Text != "go elsewhere" {
		t.Fatal(err)
	}
	for _, body := range []string{"large", "many"} {
		if got, err := call(t.Context(), body); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Fatalf("%s: %d bytes, %v", body, len(got), err)
		}
	}
	if got, err := call(t.Context(), "long"); err != nil || got != strings.Repeat("0123456789", 2*maxBody/10) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if got, err := call(t.Context(), "parts"); err != nil || got != "part by part" {
		t.Fatal(got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	if _, err := call(ctx, "wait"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	cancel()
	<-ended
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := call(ctx, "wait"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := c.nodes[0].Call(t.Context(), id(1), 21, nil); !errors.Is(err, ErrNoHandler) {
		t.Fatal(err)
	}
	if _, err := c.nodes[0].Call(t.Context(), id(1), 20, make([]byte, maxBody+1)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	if _, err := c.nodes[0].Call(t.Context(), "n9/1", 20, nil); !errors.Is(err, ErrDown) {
		t.Fatal(err)
	}
}

// TestTooManyCalls: more than maxCalls at a time are told so, and the connection goes on.
func TestTooManyCalls(t *testing.T) {
	c := newCluster(t, 2, nil)
	gate := make(chan struct{})
	c.nodes[1].Handle(20, handlerFunc(func(context.Context, *Call) ([]byte, error) { <-gate; return nil, nil }))
	var wg sync.WaitGroup
	results := make(chan error, maxCalls+10)
	for range maxCalls + 10 {
		wg.Go(func() {
			_, err := c.nodes[0].Call(t.Context(), id(1), 20, nil)
			results <- err
		})
	}
	eventually(t, "ten are rejected", func() bool { return len(results) == 10 })
	close(gate)
	wg.Wait()
	close(results)
	busy := 0
	for err := range results {
		if errors.Is(err, ErrBusy) {
			busy++
		} else if err != nil {
			t.Error(err)
		}
	}
	if busy != 10 {
		t.Fatal(busy)
	}
}

// TestStream: parts come in order; a caller who takes none holds back the one who sends, and nobody else.
func TestStream(t *testing.T) {
	c := newCluster(t, 2, nil)
	const parts, size = 200, 100 << 10
	var mu sync.Mutex
	sent := 0
	c.nodes[1].Handle(20, handlerFunc(func(_ context.Context, call *Call) ([]byte, error) {
		for i := range parts {
			b := make([]byte, size)
			binary.LittleEndian.PutUint32(b, uint32(i))
			if err := call.Send(b); err != nil {
				return nil, err
			}
			mu.Lock()
			sent++
			mu.Unlock()
		}
		return []byte("end"), nil
	}))
	c.nodes[1].Handle(21, handlerFunc(func(_ context.Context, call *Call) ([]byte, error) { return call.Body, nil }))
	s, err := c.nodes[0].Stream(t.Context(), id(1), 20, nil)
	must(t, err)
	many := func() int {
		mu.Lock()
		defer mu.Unlock()
		return sent
	}
	eventually(t, "the window is full", func() bool { return many() > window/size })
	for range 20 { // others are served meanwhile
		_, err := c.nodes[0].Call(t.Context(), id(1), 21, []byte("x"))
		must(t, err)
	}
	if n := many(); n > window/size+1 {
		t.Fatalf("%d parts were sent although none was taken", n)
	}
	for i := range parts {
		b, err := s.Recv()
		must(t, err)
		if len(b) != size || binary.LittleEndian.Uint32(b) != uint32(i) {
			t.Fatalf("part %d is %d", i, binary.LittleEndian.Uint32(b))
		}
	}
	if b, err := s.Recv(); err != nil || string(b) != "end" {
		t.Fatal(string(b), err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Fatal(err)
	}
	s.Close()
	s, err = c.nodes[0].Stream(t.Context(), id(1), 20, nil) // one who loses interest
	must(t, err)
	_, err = s.Recv()
	must(t, err)
	s.Close()
	s, err = c.nodes[0].Stream(t.Context(), id(1), 20, nil) // and one whose peer goes
	must(t, err)
	_, err = s.Recv()
	must(t, err)
	c.net.Reset(id(0), id(1))
	for err == nil {
		_, err = s.Recv()
	}
	if !errors.Is(err, ErrDisconnect) {
		t.Fatal(err)
	}
	s.Close()
}

// TestAdmission: strangers, other clusters and other incarnations are not let in, and are told why.
func TestAdmission(t *testing.T) {
	c := newCluster(t, 2, nil)
	f := func(change func(s *Settings), to, want string) {
		t.Helper()
		s := Settings{ID: "x/1", Cluster: "test", Resolve: func(string) (string, error) { return c.addrs[id(1)], nil }}
		change(&s)
		x, err := Open(s)
		must(t, err)
		defer x.Close()
		_, err = x.Call(t.Context(), to, typeHeard, nil)
		if got := ""; err != nil {
			got = err.Error()
			if !bytes.Contains([]byte(got), []byte(want)) {
				t.Fatalf("%v, want %s", got, want)
			}
		} else if want != "" {
			t.Fatalf("was let in, want %s", want)
		}
	}
	f(func(s *Settings) {}, id(1), "")
	f(func(s *Settings) { s.Cluster = "other" }, id(1), `this is cluster "test", not "other"`)
	f(func(s *Settings) {}, "n1/2", `this is "n1/1", not "n1/2"`)
	nc, err := net.Dial("tcp", c.addrs[id(1)])
	must(t, err)
	_, err = nc.Write(make([]byte, 4096))
	must(t, err)
	if b, err := io.ReadAll(nc); err != nil && len(b) > 100 {
		t.Fatal(len(b), err)
	}
	nc.Close()
}

// TestTLS: with certificates nothing passes in the clear, and who has none is not let in.
func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"node"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	own := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	c := newCluster(t, 2, func(i int, s *Settings) {
		s.ServerTLS = &tls.Config{Certificates: own, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
		s.ClientTLS = &tls.Config{Certificates: own, RootCAs: pool, ServerName: "node"}
	})
	_, err = c.nodes[0].Call(t.Context(), id(1), typeHeard, nil)
	must(t, err)
	x, err := Open(Settings{ID: "x/1", Cluster: "test", Resolve: func(string) (string, error) { return c.addrs[id(1)], nil }})
	must(t, err)
	defer x.Close()
	if _, err := x.Call(t.Context(), id(1), typeHeard, nil); err == nil {
		t.Fatal("was let in without a certificate")
	}
}

// TestClosesWhileGreeting: a transport may be closed, or muted, while somebody introduces himself.
func TestClosesWhileGreeting(t *testing.T) {
	for i := range 40 {
		c := newCluster(t, 1, nil)
		nc, err := net.Dial("tcp", c.addrs[id(0)])
		must(t, err)
		defer nc.Close()
		hello := newConn(c.nodes[0], nc, classRaft)
		must(t, hello.w.send(header{kind: kindHello}, urgent, greeting{classRaft, "test", "x/1", id(0), 7}.append))
		for range i * i {
			runtime.Gosched()
		}
		c.nodes[0].Mute(true)
		must(t, c.nodes[0].Close())
	}
}
