package transport

import (
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// lazyAfter is how long a frame that is in no hurry waits for company, and idleAfter a heartbeat. Those come several times in the time that Raft waits for
	// one, 2 s, and what they cost is waking up: three nodes at rest, with 32 groups, use an eighth less with 60 ms than with 20, and another with 120.
	lazyAfter = 20 * time.Millisecond
	idleAfter = 120 * time.Millisecond
	// maxBuffer is what waits to be written before those who may wait do.
	maxBuffer = 8 << 20
	// writeTimeout ends a connection that takes nothing. The detector is quicker; this is for connections that it does not watch.
	writeTimeout = 10 * time.Second
	// turns is for how many rounds one caller writes what others have added meanwhile.
	turns = 8
)

// writer combines the frames of many callers: who finds nobody writing writes, and what comes meanwhile goes with the next write.
type writer struct {
	to net.Conn

	mu      sync.Mutex
	room    sync.Cond
	buf     []byte
	out     []byte // the other buffer: being written, or empty
	writing bool
	timer   *time.Timer // not nil while lazy or idle frames wait for it
	due     time.Time   // of timer
	err     error       // sticky
	failed  func(error)
}

func newWriter(to net.Conn, failed func(error)) *writer {
	w := &writer{to: to, failed: failed}
	w.room.L = &w.mu
	return w
}

// How a frame is sent.
type urgency uint8

const (
	urgent  urgency = iota
	lazy            // may wait for lazyAfter
	idle            // may wait for idleAfter
	patient         // at once, when there is room in the buffer
	handed          // soon, by another goroutine: the caller waits neither for room nor for the connection, and what comes until then goes along
)

// send adds a frame; body appends what is in it. An error says that the connection is dead, none that the frame is on its way.
func (w *writer) send(h header, u urgency, body func(dst []byte) []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for u == patient && len(w.buf) > maxBuffer && w.err == nil {
		w.room.Wait()
	}
	if w.err != nil {
		return w.err
	}
	n := len(w.buf)
	w.buf = append(w.buf, make([]byte, headerSize)...)
	if body != nil {
		w.buf = body(w.buf)
	}
	if len(w.buf)-n-headerSize > maxFrame {
		size := len(w.buf) - n - headerSize
		w.buf = w.buf[:n]
		return fmt.Errorf("cannot send %d bytes, at most %d: %w", size, maxFrame, ErrTooLarge)
	}
	seal(w.buf[n:], h)
	switch {
	case w.writing:
	case u == lazy:
		w.flushIn(lazyAfter)
	case u == idle:
		w.flushIn(idleAfter)
	case u == handed:
		w.handOver()
	default:
		w.write(turns)
	}
	return w.err
}

// flushIn has what waits written after d at the latest. mu is held.
func (w *writer) flushIn(d time.Duration) {
	switch due := time.Now().Add(d); {
	case w.timer == nil:
		w.timer, w.due = time.AfterFunc(d, w.flush), due
	case due.Before(w.due):
		w.timer.Reset(d)
		w.due = due
	}
}

// flush writes what waits.
func (w *writer) flush() {
	w.mu.Lock()
	if !w.writing {
		w.write(turns)
	}
	w.mu.Unlock()
}

// write writes the buffer. mu is held, and is released meanwhile; nobody else is writing.
func (w *writer) write(rounds int) {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	for len(w.buf) > 0 && w.err == nil {
		if rounds == 0 { // the caller has work of its own
			w.handOver()
			return
		}
		rounds--
		w.buf, w.out = w.out[:0], w.buf
		w.writing = true
		out := w.out
		w.mu.Unlock()
		_ = w.to.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err := w.to.Write(out)
		w.mu.Lock()
		w.writing = false
		if cap(w.out) > 2*maxBuffer {
			w.out = nil // one huge frame must not cost its size for ever
		}
		if err != nil {
			w.fail(err)
			go w.failed(err)
		}
		w.room.Broadcast()
	}
}

// handOver has another goroutine write. mu is held, and nobody is writing.
func (w *writer) handOver() {
	w.writing = true
	go func() {
		w.mu.Lock()
		w.writing = false
		w.write(1 << 30)
		w.mu.Unlock()
	}()
}

// fail makes err the fate of all that comes. mu is held.
func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	w.room.Broadcast()
}

// close ends it: frames that wait are not written.
func (w *writer) close(err error) {
	w.mu.Lock()
	w.fail(err)
	w.mu.Unlock()
}
