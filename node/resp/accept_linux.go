package resp

import (
	"fmt"
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

// openLoops starts the event loops, once. It needs s.mu.
func (s *Server) openLoops() error {
	n := s.settings.Loops
	if n == 0 {
		n = max(1, runtime.GOMAXPROCS(0)/2)
	}
	for len(s.loops) < n {
		l, err := newLoop(s.shared)
		if err != nil {
			return fmt.Errorf("cannot open an event loop: %w", err)
		}
		s.loops = append(s.loops, l)
		s.running.Add(1)
		go func() {
			defer s.running.Done()
			l.run()
		}()
	}
	return nil
}

// intoLoop gives a plain TCP connection to a loop, and closes it when there is no room for it. It is false for any other.
func (s *Server) intoLoop(nc net.Conn) bool {
	tcp, ok := nc.(*net.TCPConn)
	if !ok || s.settings.Loops < 0 {
		return false
	}
	fd, err := takeFile(tcp)
	if err != nil {
		return false
	}
	carry := &socket{fd: fd}
	c := s.enter(carry, nc.RemoteAddr().String(), func(c *client) {
		carry.client, carry.loop = c, s.emptiest()
		c.loop = carry.loop
		c.loop.clients++
		carry.notify() // before Shutdown can end the loop
	})
	if c == nil {
		refuse(tcp)
		unix.Close(fd)
		return true
	}
	tcp.Close() // fd stays, and the Go runtime's poller knows nothing of it
	return true
}

// takeFile returns another file descriptor of the connection.
func takeFile(tcp *net.TCPConn) (fd int, err error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var fault error
	err = raw.Control(func(have uintptr) { fd, fault = unix.FcntlInt(have, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = fault
	}
	return fd, err
}

// emptiest needs s.mu.
func (s *Server) emptiest() *loop {
	best := s.loops[0]
	for _, l := range s.loops[1:] {
		if l.clients < best.clients {
			best = l
		}
	}
	return best
}
