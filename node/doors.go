package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dashi/node/console"
	"dashi/node/httpapi"
	"dashi/node/resp"
	"dashi/node/status"
	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"
)

// doors are where clients come in, and what HTTP says before the node is open.
type doors struct {
	httpListener net.Listener
	httpAddr     net.Addr
	http         *http.Server
	api          *httpapi.API
	keyring      *httpapi.Keyring // who may come in over HTTP: see Rekey
	front        atomic.Pointer[http.Handler]
	noted        atomic.Pointer[string] // what the node waits for: see note
	awaited      atomic.Pointer[string] // what it waits for before it has a cluster: see awaits
	resp         *resp.Server           // nil: closed
	respAddr     net.Addr
}

// listen opens all ports. Nobody is served yet.
func (n *Node) listen() (err error) {
	if n.doors.httpListener, err = listen(n.settings.HTTP.Listen, "http.listen", "--http"); err != nil {
		return err
	}
	n.doors.httpAddr = n.doors.httpListener.Addr()
	n.onClose(func() error { // the server does it, once there is one
		if err := n.doors.httpListener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	if err := n.openFront(); err != nil {
		return err
	}
	return n.listenForPeers()
}

// note sets what the status says the node waits for, while it is being opened or a power loss is being recovered from; empty: nothing.
func (n *Node) note(text string) { n.doors.noted.Store(&text) }

// awaits sets, and logs, what the node needs of the cluster before it can be opened; empty: nothing. The text follows the word "waits".
func (n *Node) awaits(text string) {
	if was := n.doors.awaited.Swap(&text); text != "" && (was == nil || *was != text) {
		n.log.Info("waiting", "for", text)
	}
}

// starting says that the node is being opened, and what it waits for.
func (n *Node) starting() string {
	if text := n.doors.awaited.Load(); text != nil && *text != "" {
		return "the node is starting, and waits " + *text
	}
	return "the node is starting"
}

// openFront begins to answer HTTP: until the node is open, GET /v1/status says what it waits for, and everything else is answered that it is not ready.
func (n *Node) openFront() error {
	config, err := n.settings.HTTP.TLS.Config("http.tls", n.log)
	if err != nil {
		return err
	}
	for _, note := range n.settings.Unlocked() {
		n.log.Warn("a door is open", "why", note)
	}
	n.note("")
	var opening http.Handler = http.HandlerFunc(n.opening)
	n.doors.front.Store(&opening)
	n.doors.keyring = httpapi.NewKeyring(n.settings.LookUpKeys())
	n.doors.http = httpapi.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*n.doors.front.Load()).ServeHTTP(w, r) }),
		httpapi.Door{Listen: n.doors.httpListener.Addr(), Names: n.hostNames(), Keys: n.doors.keyring})
	serve := func() error { return n.doors.http.Serve(n.doors.httpListener) }
	if config != nil {
		n.doors.http.TLSConfig = config
		n.doors.http.Protocols = new(http.Protocols)
		n.doors.http.Protocols.SetHTTP1(true) // HTTP/2 would have limits of its own, for each of its streams
		serve = func() error { return n.doors.http.ServeTLS(n.doors.httpListener, "", "") }
	}
	n.serving.Go(func() {
		if err := serve(); err != nil && err != http.ErrServerClosed {
			n.fail(fmt.Errorf("cannot serve HTTP on %s: %w", n.settings.HTTP.Listen, err))
		}
	})
	n.onClose(n.doors.http.Close)
	return nil
}

// hostNames are the host names that HTTP requests may name (httpapi.NewServer), from the settings. None: any.
func (n *Node) hostNames() []string {
	a, ok := n.doors.httpAddr.(*net.TCPAddr)
	if len(n.settings.HTTP.Hosts) == 0 && !(ok && a.IP.IsLoopback()) {
		return nil
	}
	names := slices.Clone(n.settings.HTTP.Hosts)
	for _, addr := range []string{n.settings.HTTP.Listen, n.settings.Node.Advertise, n.settings.Gossip.Advertise} {
		if host, _, err := net.SplitHostPort(addr); err == nil {
			names = append(names, host)
		}
	}
	return names
}

// opening answers while the node is being opened.
func (n *Node) opening(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/healthz":
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{\"ok\":true}\n"))
		return
	case r.URL.Path != "/v1/status" || r.Method != http.MethodGet || r.URL.Query().Get("wait") != "":
		refuse(w, http.StatusServiceUnavailable, "unavailable", n.starting()+": ask again in a moment, or see GET /v1/status")
		return
	}
	st := &status.Status{Cluster: n.settings.Cluster, Node: n.identity.Node, Version: n.version, Started: n.started.UTC(),
		Uptime: say.Span(time.Since(n.started).Round(time.Second)), Trouble: []string{n.starting()}}
	st.Log.Durability, st.Memory.Limit = n.settings.Log.Durability, n.settings.Limits.MemoryBytes
	if text := *n.doors.noted.Load(); text != "" {
		st.Trouble, st.Recovery = append(st.Trouble, text), text
	}
	w.Header().Set("Content-Type", "application/json")
	_ = say.WriteJSON(w, st)
}

// openDoors listens for clients.
func (n *Node) openDoors() error {
	if addr := n.settings.RESP.Listen; addr != "" {
		l, err := listen(addr, "resp.listen", "--resp")
		if err != nil {
			return err
		}
		n.doors.respAddr = l.Addr()
		config, err := n.settings.RESP.TLS.Config("resp.tls", n.log)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		if config != nil {
			l = tls.NewListener(l, config)
		}
		n.doors.resp = resp.NewServer(n.respSettings(), respBackend{n})
		n.serving.Go(func() {
			if err := n.doors.resp.Serve(l); err != nil {
				n.fail(fmt.Errorf("cannot serve RESP on %s: %w", addr, err))
			}
		})
		n.onClose(n.doors.resp.Close)
	}
	n.doors.api = httpapi.New(n.httpSettings(), httpBackend{n}, n.metricsHandler(), console.Handler(consoleBackend{n}))
	n.doors.http.RegisterOnShutdown(n.doors.api.Close)
	open := n.debug(n.admin(n.consistent(n.doors.api)))
	n.doors.front.Store(&open)
	n.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if n.doors.http.Shutdown(ctx) != nil { // streams never end by themselves
			return n.doors.http.Close()
		}
		return nil
	})
	return nil
}

func listen(addr, setting, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w (choose another address with %s, or %s in the settings)", addr, err, flag, setting)
	}
	return l, nil
}

func (n *Node) respSettings() resp.Settings {
	return resp.Settings{Passwords: n.settings.RESPPasswords(), Loops: max(1, cap(n.turns.room)/2)} // the other half applies events
}

func (n *Node) httpSettings() httpapi.Settings {
	k := &keyer{n: n}
	return httpapi.Settings{WriteKeys: n.settings.WriteKeys(), Keys: n.doors.keyring, Key: k.key, Count: n.metrics.HTTP.Add}
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
