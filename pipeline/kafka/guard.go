package kafka

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxRequestBytes is Kafka's own limit, socket.request.max.bytes.
const maxRequestBytes = 100 << 20

var errNoKafka = errors.New("it does not speak Kafka")

// guarded is a connection to the embedded broker from outside of the process. The broker trusts the length at the head of a request, and does not survive
// a kind that it does not know: a browser that asks the wrong port would have it allocate a gigabyte. So the head of each request is checked here.
type guarded struct {
	net.Conn
	log  *slog.Logger
	head [8]byte // length, key and version of the request
	kept int     // bytes at the end of head that have not been handed over
	left int     // bytes of the request behind head that have not been handed over
}

// Read hands the requests over as they come, each after its head has been checked.
func (g *guarded) Read(p []byte) (n int, err error) {
	if g.kept == 0 && g.left == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	if g.kept > 0 {
		n = copy(p, g.head[len(g.head)-g.kept:])
		g.kept -= n
		return n, nil
	}
	n, err = g.Conn.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

// next reads and checks the head of the next request.
func (g *guarded) next() error {
	if _, err := io.ReadFull(g.Conn, g.head[:]); err != nil {
		return err
	}
	size := int(int32(binary.BigEndian.Uint32(g.head[:])))
	key := int16(binary.BigEndian.Uint16(g.head[4:]))
	if size < 4 || size > maxRequestBytes || kmsg.RequestForKey(key) == nil {
		g.log.Warn("kafka: the embedded broker closes a connection that does not speak Kafka", "from", g.RemoteAddr().String(), "length", size, "request", key)
		return errNoKafka
	}
	g.kept, g.left = len(g.head), size-4
	return nil
}
