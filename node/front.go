package node

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"dashi/node/httpapi"
	"dashi/node/status"
	"dashi/pipeline/say"
)

// note sets what the status says the node waits for, while it is being opened or a power loss is being recovered from; empty: nothing.
func (n *Node) note(text string) { n.noted.Store(&text) }

// awaits sets, and logs, what the node needs of the cluster before it can be opened; empty: nothing. The text follows the word "waits".
func (n *Node) awaits(text string) {
	if was := n.awaited.Swap(&text); text != "" && (was == nil || *was != text) {
		n.log.Info("waiting", "for", text)
	}
}

// starting says that the node is being opened, and what it waits for.
func (n *Node) starting() string {
	if text := n.awaited.Load(); text != nil && *text != "" {
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
	n.front.Store(&opening)
	n.keyring = httpapi.NewKeyring(n.settings.LookUpKeys())
	n.http = httpapi.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*n.front.Load()).ServeHTTP(w, r) }),
		httpapi.Door{Listen: n.httpListener.Addr(), Names: n.hostNames(), Keys: n.keyring})
	serve := func() error { return n.http.Serve(n.httpListener) }
	if config != nil {
		n.http.TLSConfig = config
		n.http.Protocols = new(http.Protocols)
		n.http.Protocols.SetHTTP1(true) // HTTP/2 would have limits of its own, for each of its streams
		serve = func() error { return n.http.ServeTLS(n.httpListener, "", "") }
	}
	n.serving.Go(func() {
		if err := serve(); err != nil && err != http.ErrServerClosed {
			n.fail(fmt.Errorf("cannot serve HTTP on %s: %w", n.settings.HTTP.Listen, err))
		}
	})
	n.onClose(n.http.Close)
	return nil
}

// hostNames are the host names that HTTP requests may name (httpapi.NewServer), from the settings. None: any.
func (n *Node) hostNames() []string {
	a, ok := n.httpAddr.(*net.TCPAddr)
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
	st := &status.Status{Cluster: n.settings.Cluster, Node: n.identity.Node, Version: n.version, Started: n.started.UTC(), Uptime: say.Span(time.Since(n.started).Round(time.Second)), Trouble: []string{n.starting()}}
	st.Log.Durability, st.Memory.Limit = n.settings.Log.Durability, n.settings.Limits.MemoryBytes
	if text := *n.noted.Load(); text != "" {
		st.Trouble, st.Recovery = append(st.Trouble, text), text
	}
	w.Header().Set("Content-Type", "application/json")
	_ = say.WriteJSON(w, st)
}
