package transport

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// answered is what an Ask comes to.
type answered struct {
	body string
	err  error
}

func ask(x *Transport, to string, typ uint16, patience time.Duration, body string) <-chan answered {
	c := make(chan answered, 2) // a second one would be a bug
	x.Ask(to, typ, patience, []byte(body), func(b []byte, err error) { c <- answered{string(b), err} })
	return c
}

// Ask is told once what Call would return, of calls that are taken and of others.
func TestAsk(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.nodes[1].Take(20, func(call *Call) { call.Answer(append([]byte("you said "), call.Body...), nil) })
	c.nodes[1].Take(21, func(call *Call) { call.Answer(nil, &RemoteError{Code: 77, Text: "go elsewhere"}) })
	var kept sync.Map
	c.nodes[1].Take(22, func(call *Call) { kept.Store(call, true) })
	c.nodes[1].Take(23, func(call *Call) { call.Answer(make([]byte, maxBody+1), nil) })
	c.nodes[1].Handle(24, handlerFunc(func(_ context.Context, call *Call) ([]byte, error) {
		for range 5 {
			if err := call.Send(bytes.Repeat([]byte("x"), window)); err != nil { // no more goes before some of it is taken
				return nil, err
			}
		}
		return []byte("end"), nil
	}))
	for range 2 { // the first has to dial
		if a := <-ask(c.nodes[0], id(1), 20, time.Minute, "hello"); a.err != nil || a.body != "you said hello" {
			t.Fatal(a)
		}
	}
	var e *RemoteError
	if a := <-ask(c.nodes[0], id(1), 21, time.Minute, ""); !errors.As(a.err, &e) || e.Code != 77 || e.Text != "go elsewhere" {
		t.Error(a)
	}
	if a := <-ask(c.nodes[0], id(1), 22, 20*time.Millisecond, ""); !errors.Is(a.err, context.DeadlineExceeded) {
		t.Error(a)
	}
	kept.Range(func(call, _ any) bool { call.(*Call).Answer(nil, nil); return true }) // too late, and nobody minds
	if a := <-ask(c.nodes[0], id(1), 23, time.Minute, ""); a.err == nil {
		t.Error("an answer that does not fit into a frame has come")
	}
	if a := <-ask(c.nodes[0], id(1), 24, time.Minute, ""); a.err != nil || len(a.body) != 5*window+3 {
		t.Error(len(a.body), a.err)
	}
	if a := <-ask(c.nodes[0], id(1), 99, time.Minute, ""); !errors.Is(a.err, ErrNoHandler) {
		t.Error(a)
	}
	if a := <-ask(c.nodes[0], id(1), 20, time.Minute, string(make([]byte, maxBody+1))); !errors.Is(a.err, ErrTooLarge) {
		t.Error(a.err)
	}
	if a := <-ask(c.nodes[0], "n9/1", 20, time.Minute, ""); !errors.Is(a.err, ErrDown) {
		t.Error(a)
	}
	waits := ask(c.nodes[0], id(1), 22, time.Minute, "")
	eventually(t, "the call has come", func() bool {
		n := 0
		kept.Range(func(any, any) bool { n++; return true })
		return n == 2
	})
	must(t, c.nodes[1].Close()) // the peer goes
	if a := <-waits; !errors.Is(a.err, ErrDisconnect) {
		t.Error(a)
	}
	must(t, c.nodes[0].Close())
	if a := <-ask(c.nodes[0], id(1), 20, time.Minute, ""); !errors.Is(a.err, ErrClosed) {
		t.Error(a)
	}
	select {
	case a := <-waits:
		t.Error("told twice:", a)
	default:
	}
}

// Ask does not wait for a peer that does not read.
func TestAskDoesNotWait(t *testing.T) {
	c := newCluster(t, 2, nil)
	reading := make(chan struct{})
	c.nodes[1].Take(20, func(call *Call) {
		<-reading
		call.Answer(nil, nil)
	})
	var all []<-chan answered
	for range 3 * maxBuffer >> 20 { // more than anybody else may have waiting
		all = append(all, ask(c.nodes[0], id(1), 20, time.Minute, string(make([]byte, 1<<20))))
	}
	close(reading)
	for _, a := range all {
		if a := <-a; a.err != nil {
			t.Error(a.err)
		}
	}
}

// Who asks again when an answer comes, from within it, keeps its order.
func TestAskAgain(t *testing.T) {
	c := newCluster(t, 2, nil)
	var mu sync.Mutex
	next := map[byte]int{}
	c.nodes[1].Take(20, func(call *Call) {
		mu.Lock()
		defer mu.Unlock()
		if lane, n := call.Body[0], int(call.Body[1])|int(call.Body[2])<<8; next[lane] != n {
			t.Errorf("lane %d: call %d in place of %d", lane, n, next[lane])
		}
		next[call.Body[0]]++
		call.Answer(call.Body[:3], nil)
	})
	const lanes, calls = 8, 500
	var all sync.WaitGroup
	for lane := range byte(lanes) {
		all.Add(1)
		var again func(n int)
		again = func(n int) {
			if n == calls {
				all.Done()
				return
			}
			body := append([]byte{lane, byte(n), byte(n >> 8)}, make([]byte, 5000)...)
			c.nodes[0].Ask(id(1), 20, time.Minute, body, func(answer []byte, err error) {
				if err != nil || !bytes.Equal(answer, body[:3]) {
					t.Errorf("lane %d, call %d: %q, %v", lane, n, answer, err)
				}
				again(n + 1)
			})
		}
		again(0)
	}
	all.Wait()
}
