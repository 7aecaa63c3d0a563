package httpapi

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// API is the HTTP interface of one node: an http.Handler.
type API struct {
	backend   Backend
	mux       *http.ServeMux
	limits    Limits
	writeKeys atomic.Pointer[keySet]
	keys      *Keyring
	key       func(dst, message []byte) []byte
	now       func() time.Time
	newID     func() string
	count     func(Count, int64)

	inFlight  atomic.Int64 // bytes of events that wait for Kafka
	streams   atomic.Int64
	scans     chan struct{} // has a token for each request that reads topics
	closing   chan struct{}
	closeOnce sync.Once
}

// New makes the interface. metrics answers /metrics and console every path that is not an interface; nil ones are not there.
func New(settings Settings, backend Backend, metrics, console http.Handler) *API {
	a := &API{
		backend: backend,
		mux:     http.NewServeMux(),
		limits:  settings.Limits.withDefaults(),
		keys:    settings.Keys,
		key:     settings.Key,
		now:     settings.Now,
		newID:   settings.NewID,
		count:   settings.Count,
		scans:   make(chan struct{}, eventsScans),
		closing: make(chan struct{}),
	}
	a.SetWriteKeys(settings.WriteKeys)
	if a.now == nil {
		a.now = time.Now
	}
	if a.newID == nil {
		a.newID = randomID
	}
	if a.count == nil {
		a.count = func(Count, int64) {}
	}
	a.routeIntake(a.mux)
	for _, r := range a.routes() {
		a.mux.HandleFunc(r.Method+" "+r.Path, r.handler)
	}
	a.mux.HandleFunc("/v1/", a.notFound)
	a.mux.HandleFunc("/v1/profiles", a.notFound) // the router would answer with a redirect to what lies below
	if metrics != nil {
		a.mux.Handle("GET /metrics", metrics)
	}
	if console == nil {
		console = http.HandlerFunc(a.notFound)
	}
	a.mux.Handle("/", console)
	return a
}

func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return hex.EncodeToString(b[:])
}

// Close ends the streams. It may be called more than once.
func (a *API) Close() { a.closeOnce.Do(func() { close(a.closing) }) }

const profilesPath = "/v1/profiles/"

// ServeHTTP routes a request. The mux redirects paths with "//" or "/../" to clean ones, but those may be part of an
// identifier (url:https://example.com/..): then its slashes are escaped first, and it is one segment.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if escaped := r.URL.EscapedPath(); strings.HasPrefix(escaped, profilesPath) && unclean(escaped) {
		u := *r.URL
		u.RawPath = profilesPath + strings.ReplaceAll(escaped[len(profilesPath):], "/", "%2F")
		if p, err := url.PathUnescape(u.RawPath); err == nil {
			u.Path = p
			clone := *r
			clone.URL = &u
			r = &clone
		}
	}
	a.mux.ServeHTTP(w, r)
}

// SetWriteKeys has those that begin to send events from now on give one of these keys; none: everyone may.
func (a *API) SetWriteKeys(keys []string) {
	set := newKeySet(keys)
	a.writeKeys.Store(&set)
}

func unclean(p string) bool {
	clean := path.Clean(p)
	return clean != p && clean+"/" != p
}

// NewServer makes a server for h with the time-outs that keep slow clients from holding it: a request has to arrive in a minute,
// an answer to be read in one; streams set their own. Have it call API.Close when it shuts down
// (RegisterOnShutdown), or streams hold it. Whatever h is, web pages of other origins do not get to change anything, nor to ask under a name that is not
// this node's (I7), nor does anybody who has no key, if there are some (I8).
func NewServer(h http.Handler, door Door) *http.Server {
	s := &http.Server{
		Handler:           sameOrigin(ownHosts(keyed(h, door.Keys), door.Listen, door.Names)),
		ConnContext:       withLast,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      90 * time.Second, // from the end of the header: the body, Kafka and the answer
		IdleTimeout:       5 * time.Minute,  // longer than the keep-alive of common proxies
		MaxHeaderBytes:    32 << 10,
	}
	u := &unasked{conns: map[net.Conn]struct{}{}}
	s.ConnState = u.note
	s.RegisterOnShutdown(u.close)
	return s
}

// unasked has the connections on which nothing was asked yet, as browsers open them in advance. Shutdown would wait five seconds for each to ask something.
type unasked struct {
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

func (u *unasked) note(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(u.conns, c)
	case u.closed:
		_ = c.Close()
	default:
		u.conns[c] = struct{}{}
	}
}

func (u *unasked) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for c := range u.conns {
		_ = c.Close() // nobody is told anything
	}
}
