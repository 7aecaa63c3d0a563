package httpapi

import (
	"bytes"
	"net/http"
	"sync/atomic"
	"time"

	"dashi/pipeline/say"
	"dashi/pipeline/spell"
)

// activation is one on its way to a stream.
type activation struct {
	id      string
	payload []byte
}

// stream sends activations as server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html. A client
// that reads too slowly is cut off and counted; it comes back with Last-Event-ID and misses nothing that is remembered.
func (a *API) stream(w http.ResponseWriter, r *http.Request) {
	if a.streams.Add(1) > a.limits.Streams {
		a.streams.Add(-1)
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusTooManyRequests, "too_many_streams", "too many streams are open", "")
		return
	}
	defer a.streams.Add(-1)
	wanted := r.URL.Query().Get("audience")
	if wanted != "" && !a.backend.Sends(wanted) {
		hint := "name an audience (GET /v1/audiences) or an activation (GET /v1/activations)"
		if near := spell.Closest(wanted, a.audienceNames(r.Context())); near != "" {
			hint = "is it " + near + "? " + hint
		}
		fail(w, http.StatusNotFound, "unknown_audience", "nothing leaves under the name "+say.Quote(wanted), hint)
		return
	}
	c := http.NewResponseController(w)
	c.SetReadDeadline(time.Time{})
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx

	if r.Method == http.MethodHead {
		return // the header is all there is, and whoever asked for it waits for the end
	}
	queue := make(chan activation, a.limits.Queue)
	slow := make(chan struct{})
	var full atomic.Bool
	stop := a.backend.Subscribe(r.Header.Get("Last-Event-ID"), func(id, name, audience string, payload []byte) {
		if wanted != "" && wanted != name && wanted != audience || full.Load() {
			return
		}
		select {
		case queue <- activation{id, payload}:
		default:
			if !full.Swap(true) {
				close(slow)
			}
		}
	})
	defer stop()

	heartbeat := time.NewTicker(a.limits.Heartbeat)
	defer heartbeat.Stop()
	stay := &stay{ring: a.keys, request: r}
	buf := append([]byte(nil), "retry: 1000\n\n"...)
	for {
		c.SetWriteDeadline(time.Now().Add(a.limits.Write))
		if stay.over() {
			_, _ = w.Write(appendGone(buf[:0], "unauthorized", goneKey)) // the last word
			return
		}
		if _, err := w.Write(buf); err != nil || c.Flush() != nil {
			return
		}
		buf = buf[:0]
		select {
		case <-r.Context().Done():
			return
		case <-a.closing:
			return
		case <-stay.rekeyed():
		case <-slow:
			a.count(SlowStreams, 1)
			return
		case <-heartbeat.C:
			if wanted != "" && !a.backend.Sends(wanted) {
				// Silence would look like a quiet day. Who comes back is told that there is no such name.
				_, _ = w.Write(appendGone(buf, "unknown_audience", "nothing leaves under the name "+say.Quote(wanted)+" any more, since another cookbook is in force"))
				return
			}
			buf = append(buf, ":\n\n"...)
		case first := <-queue:
			var n int64
			buf, n = appendWaiting(buf, first, queue)
			a.count(Pushed, n)
		}
	}
}

// appendGone writes the event that a stream ends with when it has nothing more to say to its client, and why.
func appendGone(buf []byte, code, message string) []byte {
	e := failure{}
	e.Error.Code, e.Error.Message = code, message
	b, _ := say.JSON(e)
	buf = append(append(buf, "event: gone\ndata: "...), b...)
	return append(buf, "\n\n"...)
}

// streamBytes is about what is written at once when many activations wait.
const streamBytes = 64 << 10

func appendWaiting(buf []byte, next activation, queue <-chan activation) (out []byte, n int64) {
	for {
		buf = appendEvent(buf, next)
		n++
		if len(buf) >= streamBytes {
			return buf, n
		}
		select {
		case next = <-queue:
		default:
			return buf, n
		}
	}
}

// appendEvent writes one event. A payload has no line ends, being JSON on one line; if it had, each line would need its own "data:".
func appendEvent(buf []byte, a activation) []byte {
	buf = append(buf, "id: "...)
	buf = append(buf, a.id...)
	for line := range bytes.SplitSeq(a.payload, []byte{'\n'}) {
		buf = append(buf, "\ndata: "...)
		buf = append(buf, line...)
	}
	return append(buf, "\n\n"...)
}
