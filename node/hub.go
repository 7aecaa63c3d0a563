package node

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"dashi/pipeline/activation"
	"dashi/pipeline/kafka"
)

// hub hands activations that have been published to whoever listens on this node, and remembers the last ones so that
// a listener that lost its connection can go on where it was.
type hub struct {
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
	hubHistory = 4096
	hubBytes   = 8 << 20
)

func newHub() *hub {
	return &hub{listeners: map[int]func(id, activation, audience string, payload []byte){}}
}

// publish calls every listener. The payload belongs to the hub from now on.
func (h *hub) publish(id, activation, audience string, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.history = append(h.history, published{id, activation, audience, payload})
	h.bytes += len(payload)
	for len(h.history) > hubHistory || h.bytes > hubBytes && len(h.history) > 1 {
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
func (h *hub) Subscribe(after string, deliver func(id, activation, audience string, payload []byte)) (stop func()) {
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

// listening says whether anybody listens.
func (h *hub) listening() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.listeners) > 0
}

// receive publishes what another node announced: payloads, each behind its length.
func (h *hub) receive(body []byte) error {
	for len(body) > 0 {
		if len(body) < 4 || uint32(len(body)-4) < binary.LittleEndian.Uint32(body) {
			return errAnswer
		}
		size := 4 + int(binary.LittleEndian.Uint32(body))
		payload := body[4:size:size]
		body = body[size:]
		id, name, audience := activation.Head(payload)
		h.publish(id, name, audience, payload)
	}
	return nil
}

// announce tells the other nodes that have listeners what Kafka has acknowledged. Those that do not answer miss it: Kafka has it for good.
func (n *Node) announce(published []kafka.Message) {
	var body []byte
	for member, p := range n.heard.all() {
		if !p.listening || time.Since(p.at) > peerSilence || len(published) == 0 {
			continue
		}
		if body == nil {
			for i := range published {
				body = binary.LittleEndian.AppendUint32(body, uint32(len(published[i].Value)))
				body = append(body, published[i].Value...)
			}
		}
		ctx, cancel := context.WithTimeout(n.running, tickInterval)
		_, _ = n.transport.Call(ctx, member, callAnnounce, body)
		cancel()
	}
}
