package hub

import (
	"fmt"
	"testing"
)

// What a listener may have missed is bounded by number and by bytes.
func TestHistory(t *testing.T) {
	h := New()
	for i := range historyEntries + 10 {
		h.Publish(fmt.Sprint(i), "a", "", []byte("x"))
	}
	since := func(id string) (got []string) {
		h.Subscribe(id, func(id, _, _ string, _ []byte) { got = append(got, id) })()
		return got
	}
	if got := since(fmt.Sprint(historyEntries + 7)); len(got) != 2 || got[0] != fmt.Sprint(historyEntries+8) {
		t.Errorf("missed %v", got)
	}
	if len(h.history) != historyEntries || len(since("9")) != 0 || len(since("10")) != historyEntries-1 {
		t.Errorf("%d remembered", len(h.history))
	}
	for i := range 20 {
		h.Publish(fmt.Sprint("large", i), "a", "", make([]byte, historyBytes/8))
	}
	if got := since("large12"); len(got) != 7 || h.bytes > historyBytes {
		t.Errorf("missed %v, %d bytes", got, h.bytes)
	}
}

// What another node announces is published, up to where it is cut off.
func TestReceive(t *testing.T) {
	h := New()
	body := AppendPayload(AppendPayload(nil, []byte(`{"id":"1"}`)), []byte(`{"id":"2"}`))
	for _, size := range []int{len(body), len(body) - 1, 3} {
		n := 0
		stop := h.Subscribe("", func(_, _, _ string, payload []byte) { n++ })
		err := h.Receive(body[:size])
		stop()
		if whole := size == len(body); (err == nil) != whole || whole && n != 2 || !whole && n > 1 {
			t.Errorf("%d of %d bytes: %d published, %v", size, len(body), n, err)
		}
	}
	if h.Listening() {
		t.Error("somebody listens")
	}
}
