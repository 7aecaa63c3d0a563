package kafka

import (
	"context"
	"log/slog"
	"net"
	"sync"
)

// localListener is the embedded broker's listener, for connections over TCP, and for those from within this process, which are pipes. Every byte of
// the node's own topics passes here, and the kernel's loopback would cost two copies and two system calls for each piece.
type localListener struct {
	net.Listener // TCP
	log          *slog.Logger
	arrived      chan net.Conn
	closed       chan struct{}
	once         sync.Once
	failed       chan error // what TCP's Accept said
}

func newLocalListener(tcp net.Listener, log *slog.Logger) *localListener {
	l := &localListener{Listener: tcp, log: log, arrived: make(chan net.Conn), closed: make(chan struct{}), failed: make(chan error, 1)}
	go l.acceptTCP()
	return l
}

func (l *localListener) acceptTCP() {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			l.failed <- err
			return
		}
		if !l.offer(context.Background(), &guarded{Conn: conn, log: l.log}) {
			conn.Close()
		}
	}
}

// offer hands a connection to Accept. It is false when the listener is closed or ctx is done.
func (l *localListener) offer(ctx context.Context, conn net.Conn) bool {
	select {
	case l.arrived <- conn:
		return true
	case <-l.closed:
	case <-ctx.Done():
	}
	return false
}

// Accept returns the next connection of either kind.
func (l *localListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.arrived:
		return conn, nil
	case err := <-l.failed:
		return nil, err
	}
}

// Close ends both kinds.
func (l *localListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// dial connects to the broker from within the process. If that broker is closed it dials by TCP: another one may have the address by now.
func (l *localListener) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if addr == l.Addr().String() {
		server, client := net.Pipe()
		if l.offer(ctx, server) {
			return client, nil
		}
		server.Close()
		client.Close()
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}
