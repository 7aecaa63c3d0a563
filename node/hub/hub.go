// Package hub hands the activations that leave to whoever listens on this node: clients of the stream over HTTP and of SUBSCRIBE over RESP. It knows no Kafka and
// no other node: node publishes in it what Kafka has acknowledged, and receives in it what other nodes announce. It is safe for concurrent use.
package hub

import (
	"encoding/binary"
	"errors"
	"sync"

	"dashi/pipeline/activation"
)

// Hub hands activations that have been published to whoever listens on this node, and remembers the last ones so that
// a listener that lost its connection can go on where it was.
type Hub struct {
	mu        sync.Mutex
	listeners map[int]func(id, activation, audience string, payload []byte)
	next      int
	history   []published // oldest first
	bytes     int         // of the payloads in history
}

type published struct {
	id, activation, audience string
	payload                  []byte
}

// Limits of the history, for listeners that have missed something: some minutes of a busy demo. That many take about 2 MB; with large payloads they
// would take a thousand times that, hence the limit of bytes.
const (
	historyEntries = 4096
	historyBytes   = 8 << 20
)

// New is a hub that nobody listens to.
func New() *Hub {
	return &Hub{listeners: map[int]func(id, activation, audience string, payload []byte){}}
}

// Publish calls every listener. The payload belongs to the hub from now on.
func (h *Hub) Publish(id, activation, audience string, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.history = append(h.history, published{id, activation, audience, payload})
	h.bytes += len(payload)
	for len(h.history) > historyEntries || h.bytes > historyBytes && len(h.history) > 1 {
		h.bytes -= len(h.history[0].payload)
		h.history[0] = published{}
		h.history = h.history[1:]
	}
	for _, deliver := range h.listeners {
		deliver(id, activation, audience, payload)
	}
}

// Subscribe calls deliver for every activation from now on until stop is called; before that for those that followed the one with the id after, if that one
// is still remembered.
func (h *Hub) Subscribe(after string, deliver func(id, activation, audience string, payload []byte)) (stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if after != "" {
		for i := len(h.history) - 1; i >= 0; i-- {
			if h.history[i].id == after {
				for _, p := range h.history[i+1:] {
					deliver(p.id, p.activation, p.audience, p.payload)
				}
				break
			}
		}
	}
	h.next++
	key := h.next
	h.listeners[key] = deliver
	return func() {
		h.mu.Lock()
		delete(h.listeners, key)
		h.mu.Unlock()
	}
}

// Listening says whether anybody listens.
func (h *Hub) Listening() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.listeners) > 0
}

// errCut says that what another node announced ends in the middle of a payload.
var errCut = errors.New("announced activations are cut off")

// AppendPayload appends a payload to what is announced to another node: its length, uint32, little-endian, and itself.
func AppendPayload(dst, payload []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(payload))), payload...)
}

// Receive publishes what another node announced, which AppendPayload wrote.
func (h *Hub) Receive(body []byte) error {
	for len(body) > 0 {
		if len(body) < 4 || uint32(len(body)-4) < binary.LittleEndian.Uint32(body) {
			return errCut
		}
		size := 4 + int(binary.LittleEndian.Uint32(body))
		payload := body[4:size:size]
		body = body[size:]
		id, name, audience := activation.Head(payload)
		h.Publish(id, name, audience, payload)
	}
	return nil
}
