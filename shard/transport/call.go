package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// maxCalls is how many calls of one peer are served at a time; more are answered ErrBusy.
	maxCalls = 256
	// window is how many bytes of parts are on their way to a caller who has not taken them.
	window = 1 << 20
	// maxAnswer bounds an answer that Call returns, all its parts together: the largest profile there can be, and as much again.
	maxAnswer = 2 * maxFrame
	// defaultDeadline is for callers whose context has none.
	defaultDeadline = 30 * time.Second
)

// Handler answers the calls of one type from other nodes.
type Handler interface {
	// Serve answers a call: the parts it sends by Call.Send, then the last one, which it returns. It runs on a goroutine of its own. ctx ends when the
	// caller has given up, at its deadline, or with the connection. An error reaches the caller as a *RemoteError; a *RemoteError keeps its code.
	Serve(ctx context.Context, call *Call) (last []byte, err error)
}

// Call is a call that is being served.
type Call struct {
	From string // "node/incarnation" of the caller
	Type uint16
	Body []byte // the handler's

	c   *conn
	id  uint64
	ctx context.Context

	mu      sync.Mutex
	changed chan struct{} // closed and made anew when credit comes
	credit  int
	cancel  context.CancelFunc
}

// Handle has calls of a type answered. Types below 16 are the transport's own.
func (t *Transport) Handle(typ uint16, h Handler) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handlers[typ] = h
}

// Take has calls of a type given to f, on the goroutine that reads the connection: f must not wait for anything, and sees to it that Call.Answer is called, once.
// Such a call sends no parts, and does not hear that its caller has given up.
func (t *Transport) Take(typ uint16, f func(*Call)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takers[typ] = f
}

// Codes of a RemoteError. Those from 16 on are the handlers'.
const (
	codeError    = 0
	codeBusy     = 1
	codeUnknown  = 2
	codeDeadline = 3
)

// RemoteError is what the peer answered instead.
type RemoteError struct {
	Code uint16
	Text string
}

// Error is the text.
func (e *RemoteError) Error() string { return e.Text }

// Is tells the transport's own codes.
func (e *RemoteError) Is(target error) bool {
	return e.Code == codeBusy && target == ErrBusy || e.Code == codeUnknown && target == ErrNoHandler || e.Code == codeDeadline && target == context.DeadlineExceeded
}

// Call calls a peer and returns the answer, with its parts put together. After ErrDown, ErrBusy and ErrNoHandler nothing has happened there; after any other error it may have.
func (t *Transport) Call(ctx context.Context, peer string, typ uint16, body []byte) ([]byte, error) {
	s, err := t.Stream(ctx, peer, typ, body)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var answer []byte
	for {
		part, err := s.Recv()
		switch {
		case err == io.EOF:
			return answer, nil
		case err != nil:
			return nil, err
		case answer == nil:
			answer = part
		case len(answer)+len(part) > maxAnswer:
			return nil, fmt.Errorf("%s answers call of type %d with more than %d bytes: %w", peer, typ, maxAnswer, ErrTooLarge)
		default:
			answer = append(answer, part...)
		}
	}
}

// Stream is a call whose answer comes in parts. It belongs to one goroutine.
type Stream struct {
	ctx    context.Context
	cancel context.CancelFunc
	peer   string
	c      *conn
	l      *link
	id     uint64

	mu    sync.Mutex
	parts [][]byte
	size  int
	err   error // io.EOF behind the last part
	came  chan struct{}
}

// Stream calls a peer. Close must be called.
func (t *Transport) Stream(ctx context.Context, peer string, typ uint16, body []byte) (*Stream, error) {
	if len(body) > maxBody {
		return nil, fmt.Errorf("cannot call %s with %d bytes, at most %d: %w", peer, len(body), maxBody, ErrTooLarge)
	}
	s := &Stream{peer: peer, came: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithTimeout(ctx, defaultDeadline)
	if _, ok := ctx.Deadline(); ok {
		s.cancel()
		s.ctx, s.cancel = context.WithCancel(ctx)
	}
	s.l = t.link(peer, classCalls)
	var err error
	if s.c, err = s.l.get(s.ctx); err != nil {
		s.cancel()
		return nil, err
	}
	deadline, _ := s.ctx.Deadline()
	s.id, err = s.l.request(s.c, header{kind: kindCall, typ: typ}, patient, s, func(dst []byte) []byte {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(max(1, time.Until(deadline).Milliseconds())))
		return append(dst, body...)
	})
	if err != nil {
		s.cancel()
		return nil, err
	}
	return s, nil
}

// complete takes a part, or the end.
func (s *Stream) complete(h header, body []byte, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := false
	switch {
	case s.err != nil:
	case err != nil:
		s.err = err
	case h.flags&flagError != 0:
		s.err = parseError(body)
	default:
		s.parts = append(s.parts, body)
		s.size += len(body)
		if more = h.kind == kindPart; !more {
			s.err = io.EOF
		} else if s.size > window+maxBody {
			s.err, more = fmt.Errorf("%s sends more than it may: %w", s.peer, errFrame), false
		}
	}
	select {
	case s.came <- struct{}{}:
	default:
	}
	return more
}

// Recv waits for the next part. After the last one it returns io.EOF.
func (s *Stream) Recv() ([]byte, error) {
	for {
		s.mu.Lock()
		if len(s.parts) > 0 {
			part := s.parts[0]
			s.parts = s.parts[1:]
			s.size -= len(part)
			over := s.err != nil
			s.mu.Unlock()
			if !over {
				_ = s.c.w.send(header{kind: kindCredit, id: s.id}, urgent, func(dst []byte) []byte {
					return binary.LittleEndian.AppendUint32(dst, uint32(len(part)))
				})
			}
			return part, nil
		}
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-s.came:
		case <-s.ctx.Done():
			return nil, fmt.Errorf("%s does not answer: %w", s.peer, s.ctx.Err())
		}
	}
}

// Close ends the call, and tells the peer if it is still at it.
func (s *Stream) Close() {
	s.mu.Lock()
	over := s.err != nil
	s.mu.Unlock()
	s.l.forget(s.id)
	if !over {
		_ = s.c.w.send(header{kind: kindCancel, id: s.id}, urgent, nil)
	}
	s.cancel()
}

func parseError(b []byte) error {
	if len(b) < 2 {
		return errFrame
	}
	return &RemoteError{binary.LittleEndian.Uint16(b), string(b[2:])}
}

// serving are the calls of one connection.
type serving struct {
	mu    sync.Mutex
	calls map[uint64]*Call
}

// serveCalls reads calls and starts their handlers.
func (t *Transport) serveCalls(c *conn) error {
	s := &serving{calls: map[uint64]*Call{}}
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	for {
		h, body, err := readFrame(c.r, maxBody+4)
		if err != nil {
			return err
		}
		switch h.kind {
		case kindCall:
			if len(body) < 4 {
				return errFrame
			}
			t.startCall(ctx, s, &Call{From: c.peer, Type: h.typ, Body: body[4:], c: c, id: h.id, credit: window, changed: make(chan struct{})},
				time.Duration(binary.LittleEndian.Uint32(body))*time.Millisecond)
		case kindCredit:
			if len(body) != 4 {
				return errFrame
			}
			s.find(h.id).more(int(binary.LittleEndian.Uint32(body)))
		case kindCancel:
			if call := s.find(h.id); call != nil {
				call.cancel()
			}
		default:
			return fmt.Errorf("frame of kind %d among calls: %w", h.kind, errFrame)
		}
	}
}

func (s *serving) find(id uint64) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[id]
}

func (t *Transport) startCall(ctx context.Context, s *serving, call *Call, patience time.Duration) {
	t.mu.Lock()
	handler, take := t.handlers[call.Type], t.takers[call.Type]
	t.mu.Unlock()
	if take != nil {
		take(call)
		return
	}
	if handler == nil {
		call.fail(&RemoteError{codeUnknown, fmt.Sprintf("calls of type %d: %v", call.Type, ErrNoHandler)})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) >= maxCalls {
		t.stats.rejected.Add(1)
		t.running.Go(func() { call.fail(&RemoteError{codeBusy, fmt.Sprintf("%d calls are served already", maxCalls)}) })
		return
	}
	call.ctx, call.cancel = context.WithTimeout(ctx, patience)
	s.calls[call.id] = call
	ok := t.run(func() {
		last, err := handler.Serve(call.ctx, call)
		if err == nil {
			last, err = call.cut(last)
		}
		s.mu.Lock()
		delete(s.calls, call.id)
		s.mu.Unlock()
		call.cancel()
		call.answer(last, err)
	})
	if !ok {
		call.cancel()
	}
}

// cut sends what is too long for one part in several, and returns what is left.
func (k *Call) cut(last []byte) ([]byte, error) {
	if len(last) > maxAnswer {
		return nil, fmt.Errorf("answer has %d bytes, at most %d: %w", len(last), maxAnswer, ErrTooLarge)
	}
	for len(last) > maxBody {
		if err := k.Send(last[:window]); err != nil {
			return nil, err
		}
		last = last[window:]
	}
	return last, nil
}

// answer sends the last part.
func (k *Call) answer(last []byte, err error) {
	if err != nil {
		k.fail(err)
		return
	}
	_ = k.c.w.send(header{kind: kindAnswer, typ: k.Type, id: k.id}, patient, func(dst []byte) []byte { return append(dst, last...) })
}

// Answer answers a call that was taken (Transport.Take). It does not wait. The error reaches the caller as one of Handler.Serve does.
func (k *Call) Answer(last []byte, err error) {
	if err == nil && len(last) > maxBody {
		err = fmt.Errorf("answer has %d bytes, at most %d: %w", len(last), maxBody, ErrTooLarge)
	}
	if err != nil {
		k.fail(err)
		return
	}
	_ = k.c.w.send(header{kind: kindAnswer, typ: k.Type, id: k.id}, handed, func(dst []byte) []byte { return append(dst, last...) })
}

func (k *Call) fail(err error) {
	var e *RemoteError
	if !errors.As(err, &e) {
		e = &RemoteError{codeError, err.Error()}
		if errors.Is(err, context.DeadlineExceeded) {
			e.Code = codeDeadline
		}
	}
	_ = k.c.w.send(header{kind: kindAnswer, flags: flagError, typ: k.Type, id: k.id}, handed, func(dst []byte) []byte {
		return append(binary.LittleEndian.AppendUint16(dst, e.Code), e.Text[:min(len(e.Text), maxHello)]...)
	})
}

// Send sends one part of the answer. It blocks while window bytes have not been taken. The part is copied.
func (k *Call) Send(part []byte) error {
	if len(part) > maxBody {
		return fmt.Errorf("part has %d bytes, at most %d: %w", len(part), maxBody, ErrTooLarge)
	}
	for {
		k.mu.Lock()
		if k.credit > 0 {
			k.credit -= len(part)
			k.mu.Unlock()
			return k.c.w.send(header{kind: kindPart, typ: k.Type, id: k.id}, patient, func(dst []byte) []byte { return append(dst, part...) })
		}
		changed := k.changed
		k.mu.Unlock()
		select {
		case <-changed:
		case <-k.ctx.Done():
			return k.ctx.Err()
		}
	}
}

func (k *Call) more(n int) {
	if k == nil { // it was answered meanwhile
		return
	}
	k.mu.Lock()
	k.credit += n
	close(k.changed)
	k.changed = make(chan struct{})
	k.mu.Unlock()
}
