package transport

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// Ask is Call for who does not wait: done gets the answer, or the error, once, on another goroutine. Errors mean what they mean for Call; that nobody has
// answered in time is context.DeadlineExceeded. done must not wait for anything; it may ask again.
//
// A call takes a goroutine and a context at either end, and switches between them, which is most of what a small one costs. This one takes its frames.
func (t *Transport) Ask(peer string, typ uint16, patience time.Duration, body []byte, done func(answer []byte, err error)) {
	a := &asking{l: t.link(peer, classCalls), done: done}
	h := header{kind: kindCall, typ: typ}
	if len(body) > maxBody {
		go a.end(fmt.Errorf("cannot call %s with %d bytes, at most %d: %w", peer, len(body), maxBody, ErrTooLarge))
		return
	}
	frame := func(dst []byte) []byte {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(max(1, patience.Milliseconds())))
		return append(dst, body...)
	}
	if c := a.l.here(); c != nil {
		if err := a.begin(c, h, patience, frame); err != nil {
			go a.end(err)
		}
		return
	}
	dial := func() {
		ctx, cancel := context.WithTimeout(t.ctx, patience)
		defer cancel()
		c, err := a.l.get(ctx)
		if err == nil {
			err = a.begin(c, h, patience, frame)
		}
		if err != nil {
			a.end(err)
		}
	}
	if !t.run(dial) {
		go a.end(ErrClosed)
	}
}

// here is the connection, if there is one.
func (l *link) here() *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c
}

// asking is a call by Ask.
type asking struct {
	l    *link
	done func(answer []byte, err error)

	mu     sync.Mutex
	c      *conn
	id     uint64
	timer  *time.Timer
	answer []byte // the parts that have come
	ended  bool
}

// begin sends the call.
func (a *asking) begin(c *conn, h header, patience time.Duration, frame func([]byte) []byte) (err error) {
	a.mu.Lock() // an answer waits until all of this is known
	defer a.mu.Unlock()
	a.c = c
	if a.id, err = a.l.request(c, h, handed, a, frame); err != nil {
		return err
	}
	a.timer = time.AfterFunc(patience, a.expire)
	return nil
}

// complete takes a part, or the end.
func (a *asking) complete(h header, body []byte, err error) bool {
	a.mu.Lock()
	switch {
	case err != nil:
	case h.flags&flagError != 0:
		err = parseError(body)
	case len(a.answer)+len(body) > maxAnswer:
		err = fmt.Errorf("%s answers call of type %d with more than %d bytes: %w", a.l.key.peer, h.typ, maxAnswer, ErrTooLarge)
	case a.answer == nil:
		a.answer = body
	default:
		a.answer = append(a.answer, body...)
	}
	more := err == nil && h.kind == kindPart && !a.ended
	if more {
		_ = a.c.w.send(header{kind: kindCredit, id: a.id}, handed, func(dst []byte) []byte { return binary.LittleEndian.AppendUint32(dst, uint32(len(body))) })
	}
	a.mu.Unlock()
	if !more {
		a.end(err)
	}
	return more
}

func (a *asking) expire() {
	a.l.forget(a.id)
	_ = a.c.w.send(header{kind: kindCancel, id: a.id}, handed, nil)
	a.end(fmt.Errorf("%s does not answer: %w", a.l.key.peer, context.DeadlineExceeded))
}

// end tells what came of it, the first time.
func (a *asking) end(err error) {
	a.mu.Lock()
	ended, answer := a.ended, a.answer
	a.ended = true
	if a.timer != nil {
		a.timer.Stop()
	}
	a.mu.Unlock()
	switch {
	case ended:
	case err != nil:
		a.done(nil, err)
	default:
		a.done(answer, nil)
	}
}
