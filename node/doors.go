package node

import (
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"dashi/node/httpapi"
	"dashi/node/resp"
	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
)

func (n *Node) respSettings() resp.Settings {
	return resp.Settings{Passwords: n.settings.RESPPasswords(), Loops: max(1, cap(n.turns.room)/2)} // the other half applies events
}

func (n *Node) httpSettings() httpapi.Settings {
	k := &keyer{n: n}
	return httpapi.Settings{WriteKeys: n.settings.WriteKeys(), Key: k.key, Count: n.metrics.HTTP.Add}
}

// debug puts the profiles of the Go runtime in front of h, if the settings say so.
func (n *Node) debug(h http.Handler) http.Handler {
	if !n.settings.HTTP.Debug {
		return h
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.Handle("/", h)
	return mux
}

// keyer finds the Kafka key of a message: its strongest identifier, as the cookbook ranks and normalises them, so that one person's
// events come in the order in which they were sent.
type keyer struct {
	n    *Node
	pool sync.Pool // of *keyDecoder
}

type keyDecoder struct {
	program *recipe.Program
	decoder *event.Decoder
	event   event.Event
}

// key appends "namespace:value" to dst; nothing for a message that is no event: the dead topic keeps no order.
func (k *keyer) key(dst, message []byte) []byte {
	program := k.n.cookbook.Load().Program
	d, _ := k.pool.Get().(*keyDecoder)
	if d == nil || d.program != program {
		d = &keyDecoder{program: program, decoder: event.NewDecoder(program.Schema, event.DefaultLimits)}
	}
	defer k.pool.Put(d)
	if d.decoder.Decode(message, time.Now().UnixMilli(), &d.event) != nil {
		return dst
	}
	id := &d.event.Identifiers[0]
	dst = append(dst, program.Schema.Namespaces[id.Namespace].Name...)
	dst = append(dst, ':')
	return append(dst, id.Value...)
}
