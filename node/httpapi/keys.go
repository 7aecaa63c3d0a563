package httpapi

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"sync/atomic"

	"dashi/pipeline/say"
)

// Keys say who is let in to what is not for producers of events (I8). None: everybody who reaches the address.
type Keys struct {
	Read  []string // look-ups, lists, queries, metrics, the console
	Admin []string // all that, and what changes something
}

// Keyring has the keys in force: others may take their place while requests come in.
type Keyring struct{ now atomic.Pointer[keySets] }

type keySets struct {
	read, admin keySet
	replaced    chan struct{} // closed when others are in force
}

// NewKeyring puts k in force.
func NewKeyring(k Keys) *Keyring {
	r := &Keyring{}
	r.Set(k)
	return r
}

// Set puts k in force for the requests that begin from now on, and for streams under way.
func (r *Keyring) Set(k Keys) {
	if before := r.now.Swap(&keySets{newKeySet(k.Read), newKeySet(k.Admin), make(chan struct{})}); before != nil {
		close(before.replaced)
	}
}

// keySet has the hashes of keys, so that the time it takes to find one says nothing about them.
type keySet map[[sha256.Size]byte]struct{}

func newKeySet(keys []string) keySet {
	s := make(keySet, len(keys))
	for _, k := range keys {
		s[sha256.Sum256([]byte(k))] = struct{}{}
	}
	return s
}

func (s keySet) has(key string) bool {
	_, ok := s[sha256.Sum256([]byte(key))]
	return ok
}

// keysOf are the keys that the header of a request has: a bearer's, or the user and the password of Basic auth, since a browser asks for both and a person
// has one key to give.
func keysOf(r *http.Request) (keys []string) {
	if user, password, ok := r.BasicAuth(); ok {
		return []string{user, password}
	}
	if scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return []string{strings.TrimSpace(key)}
	}
	return nil
}

// verdict is what keys say of a request.
type verdict uint8

const (
	noKey   verdict = iota // it has none, or none that is known
	mayRead                // it has one for reading, and would change something
	letIn
)

func (k *keySets) verdict(r *http.Request) verdict {
	if len(k.read)+len(k.admin) == 0 || openToAll(r) {
		return letIn
	}
	v := noKey
	for _, key := range keysOf(r) {
		switch {
		case k.admin.has(key) || k.read.has(key) && onlyReads(r):
			return letIn
		case k.read.has(key):
			v = mayRead
		}
	}
	return v
}

// stay is a request whose answer goes on for long: it is over when the key that let it in is taken away, as a RESP connection is.
type stay struct {
	ring    *Keyring // nil: everybody may stay
	request *http.Request
	keys    *keySets // that let it in when over was last asked
}

func (s *stay) over() bool {
	if s.ring == nil {
		return false
	}
	now := s.ring.now.Load()
	if now != s.keys && now.verdict(s.request) != letIn {
		return true
	}
	s.keys = now
	return false
}

// rekeyed is closed when other keys come into force after over was asked.
func (s *stay) rekeyed() <-chan struct{} {
	if s.ring == nil {
		return nil
	}
	return s.keys.replaced
}

// goneKey is said where an answer ends because the stay is over.
const goneKey = "the key that this was asked with is not known any more"

// keyed lets those with a key through to h. It stands in front of every route there is, so that none can be forgotten: what is open is named.
func keyed(h http.Handler, ring *Keyring) http.Handler {
	if ring == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch ring.now.Load().verdict(r) {
		case letIn:
			h.ServeHTTP(w, r)
		case mayRead:
			fail(w, http.StatusForbidden, "forbidden", "this key is for reading, and "+say.Short(r.Method)+" "+say.Short(r.URL.Path)+" needs one of http.admin_keys", keyHint)
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="dashi: a key, as the password"`)
			fail(w, http.StatusUnauthorized, "unauthorized", "the key is missing or not known", keyHint)
		}
	})
}

const keyHint = "send it as Authorization: Bearer KEY, or as the password of Basic auth (dashi: DASHI_KEY or --key)"

// openToAll are the routes of events, which have keys of their own, and the probes. Paths are compared as they are: one that some router would clean is none of these.
func openToAll(r *http.Request) bool {
	path := r.URL.Path
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return path == "/healthz" || path == "/readyz" || forSDKs(path)
	case http.MethodPost:
		return takesEvents[path]
	case http.MethodOptions:
		return takesEvents[path] || forSDKs(path)
	}
	return false
}

// takesEvents are the paths that events are posted to.
var takesEvents = func() map[string]bool {
	paths := map[string]bool{cloudEventsPath: true}
	for _, call := range calls {
		for _, r := range call.routes {
			paths["/v1/"+r] = true
		}
	}
	for _, path := range batches {
		paths[path] = true
	}
	return paths
}()

// forSDKs says whether a path is one that SDKs of browsers ask for their settings.
func forSDKs(path string) bool {
	key, of := strings.CutPrefix(path, "/v1/projects/")
	key, settings := strings.CutSuffix(key, "/settings")
	return of && settings && key != "" && !strings.ContainsAny(key, "/.") || path == "/sourceConfig/"
}

// onlyReads says whether a request changes nothing. The profiles of the runtime change nothing either, but are no business of who looks up people.
func onlyReads(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return !strings.HasPrefix(r.URL.Path, "/debug/")
	case http.MethodPost:
		return r.URL.Path == "/v1/query" || r.URL.Path == "/v1/profiles:batchGet"
	}
	return false
}
