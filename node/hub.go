package node

import "sync"

// hub hands activations that have been published to whoever listens on this node, and remembers the last ones so that
// a listener that lost its connection can go on where it was.
type hub struct {
	mu        sync.Mutex
	listeners map[int]func(id, name string, payload []byte)
	next      int
	history   []published // a ring
	at        int
}

type published struct {
	id, name string
	payload  []byte
}

// hubHistory is how many activations a listener may have missed: some minutes of a busy demo, about 2 MB.
const hubHistory = 4096

func newHub() *hub {
	return &hub{listeners: map[int]func(id, name string, payload []byte){}, history: make([]published, 0, hubHistory)}
}

// publish calls every listener. The payload belongs to the hub from now on.
func (h *hub) publish(id, name string, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := published{id, name, payload}
	if len(h.history) < hubHistory {
		h.history = append(h.history, p)
	} else {
		h.history[h.at] = p
		h.at = (h.at + 1) % hubHistory
	}
	for _, deliver := range h.listeners {
		deliver(id, name, payload)
	}
}

// Subscribe calls deliver for every activation from now on until stop is called, after those that followed the one with the id
// after, as far as they are remembered.
func (h *hub) Subscribe(after string, deliver func(id, name string, payload []byte)) (stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if after != "" {
		missed := append(append([]published(nil), h.history[h.at:]...), h.history[:h.at]...)
		for i := len(missed) - 1; i >= 0; i-- {
			if missed[i].id == after {
				for _, p := range missed[i+1:] {
					deliver(p.id, p.name, p.payload)
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
