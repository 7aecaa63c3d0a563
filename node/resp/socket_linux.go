package resp

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// socket carries a client over TCP in a loop, which owns all of it but the atomics.
type socket struct {
	*client
	loop   *loop
	fd     int // -1 when closed
	number int32
	added  bool

	in    []byte // read and not answered: the beginning of a command, or more than one turn answers
	data  []byte // what is answered in this turn: in, or a part of loop.buf
	more  bool   // in has whole commands, or one that is not finished
	again bool   // it is in loop.again
	last  bool   // close when out is written
	deaf  bool   // the kernel is not asked what comes: what came before waits for another node
	out   []byte // answered and not written, because the client does not read
	sent  int    // of out

	posted    atomic.Bool
	finishing atomic.Bool
}

func (s *socket) subscribed() {}

func (s *socket) notify() {
	if !s.posted.Swap(true) {
		s.loop.post(s)
	}
}

func (s *socket) finish() {
	s.finishing.Store(true)
	s.notify()
}

func (s *socket) cut() { s.notify() }

// attend is called after notify.
func (s *socket) attend() {
	s.posted.Store(false)
	if s.fd < 0 {
		return
	}
	if !s.added {
		s.added = true
		if s.loop.add(s) != nil {
			s.end() // the kernel has no memory for another
			return
		}
	}
	if s.closed.Load() {
		s.end()
		return
	}
	s.settle()
}

// blocked says whether s waits for its client to read.
func (s *socket) blocked() bool { return s.sent < len(s.out) }

// watch tells the kernel what to wait for.
func (s *socket) watch(how int, events uint32) error {
	err := unix.EpollCtl(s.loop.epoll, how, s.fd, &unix.EpollEvent{Events: events, Fd: s.number})
	return os.NewSyscallError("epoll_ctl", err)
}

// deafen has the kernel not tell what comes, or tell it again. It is false when the connection has ended.
func (s *socket) deafen(deaf bool) (open bool) {
	if s.deaf == deaf {
		return true
	}
	s.deaf = deaf
	events := uint32(0)
	if !deaf {
		events = unix.EPOLLIN
	}
	if s.watch(unix.EPOLL_CTL_MOD, events) != nil {
		s.end()
		return false
	}
	return true
}

// read returns what has come, behind what was left of the last time; nothing when nothing has or the connection ended.
func (s *socket) read() []byte {
	l := s.loop
	room := l.buf[l.used:min(l.used+batchBytes, len(l.buf))]
	if have := len(s.in); have > 0 {
		if cap(s.in)-have < readBytes/8 {
			grown := make([]byte, have, max(2*have, readBytes))
			copy(grown, s.in)
			s.in = grown
		}
		room = s.in[have:cap(s.in)]
	}
	n, err := unix.Read(s.fd, room)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil || n == 0:
		s.end()
		return nil
	}
	l.shared.bytesIn.Add(uint64(n))
	if have := len(s.in); have > 0 {
		s.in = s.in[:have+n]
		return s.in
	}
	l.used += n
	return room[:n]
}

// answer gives the session what was read and writes the answers.
func (s *socket) answer() {
	used, out, next := s.session.Handle(s.data, s.loop.out[:0])
	s.keep(s.data[used:])
	s.data = nil
	s.more, s.last = next == Again, next == Close
	s.noteTrust()
	s.beat.Add(2)
	if s.loop.out = out[:0]; cap(out) > loopOutput {
		s.loop.out = nil
	}
	if s.write(out) {
		s.settle()
	}
}

// keep remembers what was not answered, and gives a large buffer back.
func (s *socket) keep(rest []byte) {
	switch {
	case len(rest) == 0:
		s.in = nil
	case len(s.in) == 0:
		s.in = append(make([]byte, 0, max(len(rest), readBytes)), rest...)
	case cap(s.in) > keepBytes && len(rest) < readBytes:
		s.in = append([]byte(nil), rest...)
	default:
		s.in = s.in[:copy(s.in, rest)]
	}
}

// settle decides what comes next for a socket that is open and not being answered.
func (s *socket) settle() {
	switch {
	case s.data != nil || s.again || s.blocked():
	case s.last:
		s.end()
	case s.more:
		s.again = true
		s.loop.again = append(s.loop.again, s)
		if s.session.fetching() {
			s.deafen(true)
		}
	case len(s.queue) > 0:
		s.push()
	case s.finishing.Load():
		s.end()
	}
}

// push writes activations, between answers, and comes back for more when all others had their turn.
func (s *socket) push() {
	s.loop.out = s.appendQueued(s.loop.out[:0])
	if !s.write(s.loop.out) {
		return
	}
	if s.gone {
		s.last = true
		s.settle()
	} else if len(s.queue) > 0 || s.finishing.Load() {
		s.notify()
	}
}

// write sends out, and lets what the kernel does not take wait. It is false when the connection has ended.
func (s *socket) write(out []byte) bool {
	n, ok := s.send(out)
	if ok && n < len(out) {
		s.out, s.sent = append(s.out[:0], out[n:]...), 0
		s.beat.Add(1) // odd while it waits
		ok = s.watch(unix.EPOLL_CTL_MOD, unix.EPOLLOUT) == nil
	}
	if !ok {
		s.end()
	}
	return ok
}

// flush goes on with what waits.
func (s *socket) flush() {
	n, ok := s.send(s.out[s.sent:])
	if s.sent += n; ok && !s.blocked() {
		s.out, s.sent = nil, 0
		s.beat.Add(1)
		if ok = s.watch(unix.EPOLL_CTL_MOD, unix.EPOLLIN) == nil; ok {
			s.settle()
			return
		}
	}
	if !ok {
		s.end()
	}
}

func (s *socket) send(out []byte) (n int, ok bool) {
	for n < len(out) {
		m, err := unix.Write(s.fd, out[n:])
		switch err {
		case nil:
			n += m
			s.loop.shared.bytesOut.Add(uint64(m))
		case unix.EINTR:
		default:
			return n, err == unix.EAGAIN
		}
	}
	return n, true
}

// end closes the socket.
func (s *socket) end() {
	s.closed.Store(true)
	if s.added {
		s.loop.remove(s)
	}
	unix.Close(s.fd)
	s.fd, s.in, s.data, s.out = -1, nil, nil, nil
	if s.channels.Load() != nil {
		s.listen(nil)
	}
	s.server.forget(s.client)
}
