package resp

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Sizes of a loop.
const (
	loopEvents  = 256       // taken from the kernel at once
	loopSockets = 64        // read before the first of them is answered
	loopKeys    = 256       // the same, in look-ups: what Touch reads should still be in the cache when they are answered
	loopBytes   = 256 << 10 // the same, in bytes
	loopOutput  = 1 << 20   // the output buffer that is kept, which all sockets of a loop share
)

// loop answers many sockets in one goroutine, which waits in epoll. It reads from the sockets that are ready, has the memory of all
// look-ups in that read ahead, then gives each socket one Session.Handle and one write. None can hold up the others: a Handle
// is bounded, and what the kernel does not take at once waits with its socket. Only the goroutine of the loop touches a
// socket; others post it, and find in its client what to tell the loop.
type loop struct {
	shared *shared
	epoll  int
	bell   int // an eventfd, number 0

	sockets []*socket // by the number that epoll knows them by
	free    []int32
	open    int
	events  [loopEvents]unix.EpollEvent
	ready   []*socket // those whose commands are about to be answered
	again   []*socket // those with commands that were too many for one turn
	resumed []*socket // scratch of resume
	buf     []byte    // what was read
	used    int       // of buf
	keys    [][]byte
	out     []byte

	mu    sync.Mutex
	inbox []*socket
	rung  bool
	stop  bool

	clients int // of the server, under its mutex
}

func newLoop(sh *shared) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	l := &loop{shared: sh, epoll: epoll, bell: bell, buf: make([]byte, loopBytes), sockets: make([]*socket, 1)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		l.close()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return l, nil
}

// close is called when the goroutine has ended, or was never started.
func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rung = true // nobody may write to the bell any more
	unix.Close(l.epoll)
	unix.Close(l.bell)
}

// post asks the loop to look after s, from any goroutine. It does not wait.
func (l *loop) post(s *socket) {
	l.mu.Lock()
	l.inbox = append(l.inbox, s)
	l.ring()
	l.mu.Unlock()
}

// end makes run return when there are no sockets left.
func (l *loop) end() {
	l.mu.Lock()
	l.stop = true
	l.ring()
	l.mu.Unlock()
}

// ring needs l.mu. An eventfd that cannot take more is readable already.
func (l *loop) ring() {
	if !l.rung {
		l.rung = true
		_, _ = unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// run is the goroutine of the loop.
func (l *loop) run() {
	defer l.close()
	stop := false
	for !stop || l.open > 0 {
		n, err := unix.EpollWait(l.epoll, l.events[:], l.patience())
		if err != nil && err != unix.EINTR {
			panic(fmt.Sprintf("resp: BUG: cannot wait for events: %v", err))
		}
		l.resume()
		for _, e := range l.events[:max(n, 0)] {
			if e.Fd == 0 {
				stop = l.answerBell()
			} else if s := l.sockets[e.Fd]; s != nil {
				l.event(s, e.Events)
			}
		}
		l.turn()
	}
}

// patience is how long to wait for news, in milliseconds: not at all while there is something to do, and not longer than movePause
// while all that is left waits for profiles that move. What is fetched from other nodes rings the bell when it comes.
func (l *loop) patience() int {
	wait := -1
	for _, s := range l.again {
		switch {
		case s.session.fetching():
		case s.session.waiting.IsZero():
			return 0
		default:
			wait = int(movePause / time.Millisecond)
		}
	}
	return wait
}

// resume goes on with the sockets that had more to do.
func (l *loop) resume() {
	l.again, l.resumed = l.resumed[:0], l.again
	for _, s := range l.resumed {
		switch s.again = false; {
		case s.fd < 0:
		case s.session.fetching():
			s.again, l.again = true, append(l.again, s)
		case s.deafen(false):
			l.prepare(s, s.in)
		}
	}
	clear(l.resumed)
}

// event is called when s can be read or written, or has failed, which reading or writing it tells.
func (l *loop) event(s *socket, events uint32) {
	switch {
	case s.deaf && events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
		s.end() // nobody is left to be answered
	case s.data != nil || s.again: // what came before is not answered yet
	case s.blocked():
		s.flush()
	default:
		if data := s.read(); len(data) > 0 {
			l.prepare(s, data)
		}
	}
}

// prepare finds commands in data and lets them wait for a turn that answers many.
func (l *loop) prepare(s *socket, data []byte) {
	s.data = data
	s.session.ahead(data)
	l.keys = s.session.appendKeys(l.keys, data)
	l.ready = append(l.ready, s)
	if len(l.ready) >= loopSockets || len(l.keys) >= loopKeys || len(l.buf)-l.used < batchBytes {
		l.turn()
	}
}

// turn answers the sockets that are ready.
func (l *loop) turn() {
	if len(l.keys) > 1 {
		l.shared.backend.Touch(l.keys)
	}
	for _, s := range l.ready {
		if s.fd >= 0 {
			s.answer()
		}
	}
	clear(l.keys)
	l.keys, l.ready, l.used = l.keys[:0], l.ready[:0], 0
}

// answerBell looks after the sockets in the inbox.
func (l *loop) answerBell() (stop bool) {
	var count [8]byte
	_, _ = unix.Read(l.bell, count[:]) // it says nothing that inbox does not
	l.mu.Lock()
	posted, stop := l.inbox, l.stop
	l.inbox, l.rung = nil, false
	l.mu.Unlock()
	for _, s := range posted {
		s.attend()
	}
	return stop
}

// add begins to watch s.
func (l *loop) add(s *socket) error {
	if n := len(l.free); n > 0 {
		s.number, l.free = l.free[n-1], l.free[:n-1]
	} else {
		s.number = int32(len(l.sockets))
		l.sockets = append(l.sockets, nil)
	}
	l.sockets[s.number] = s
	l.open++
	return s.watch(unix.EPOLL_CTL_ADD, unix.EPOLLIN)
}

// remove forgets s, which is about to be closed: that ends the kernel's interest in it too.
func (l *loop) remove(s *socket) {
	l.sockets[s.number] = nil
	l.free = append(l.free, s.number)
	l.open--
}
