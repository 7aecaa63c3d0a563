package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ownHosts answers requests that are for this node by the name in their Host header, and refuses the others (I7). A web page may have its own name
// resolve to 127.0.0.1 once it has been loaded (DNS rebinding): the browser then takes a node on the same machine for the origin of that page, and lets it read
// everything. A page cannot do so under an address or as localhost, so those are always let through, and so is who sends no Host at all.
//
// Of a node that listens for others it is not known what it is called, so this holds when it listens on the loopback only, or when names are given.
// One of them may be "*", for any.
func ownHosts(h http.Handler, listen net.Addr, names []string) http.Handler {
	a, err := netip.ParseAddrPort(listen.String())
	if loopback := err == nil && a.Addr().IsLoopback(); slices.Contains(names, "*") || !loopback && len(names) == 0 {
		return h
	}
	known := map[string]bool{"": true, "localhost": true}
	for _, name := range names {
		known[hostName(name)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := hostName(r.Host)
		if _, err := netip.ParseAddr(name); err != nil && !known[name] && !strings.HasSuffix(name, ".localhost") {
			fail(w, http.StatusMisdirectedRequest, "unknown_host", "the request is for a host "+name+", which this node does not know to be its name",
				"ask http://"+listen.String()+", or add the name to http.hosts in the settings of this node (dashi dev: --http-host)")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// hostName is a host as it is compared: without a port, brackets, or the dot at its end, in lower case.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
