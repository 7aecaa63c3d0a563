package httpapi

import (
	"net/http"
	"strings"

	"dashi/pipeline/say"
)

// route is a way into the interface, as GET /v1/ lists it. Its handler is registered by that very line, so there is none that the list does not have.
type route struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	What   string `json:"what"`

	handler http.HandlerFunc
}

// routes are all but those for events, which SDKs know.
func (a *API) routes() []route {
	return []route{
		{"GET", "/v1/{$}", "this list", a.index},
		{"GET", "/v1/profiles/{id...}", "a profile by any of its identifiers, namespace:value; or account:NAME. /scores, /explain (?audience=NAME), /events (?since= ?limit=) and /export follow it", a.profile},
		{"DELETE", "/v1/profiles/{id...}", "erase a person or an account", a.erase},
		{"POST", "/v1/profiles:batchGet", `many profiles: {"ids":["ns:value", ..]}`, a.batchGet},
		{"GET", "/v1/audiences", "the audiences and their sizes; ?moved=true: who entered and left in 14 days", a.audiences},
		{"GET", "/v1/audiences/{name}/members", "who is in an audience, a line each; ?limit= ?cursor=", a.members},
		{"GET", "/v1/audiences/{name}/stats", "the size over 14 days, and the overlap with others", a.audienceStats},
		{"POST", "/v1/query", `count the people for whom an expression is true, and show some: {"where":"members && !likely","limit":3}`, a.query},
		{"GET", "/v1/activations", "the activations that recipes name, and what they brought", a.activations},
		{"GET", "/v1/activations/{name}/stats", "the same of one, by hour", a.activationStats},
		{"GET", "/v1/activations/stream", "activations as they leave, as server-sent events; ?audience=NAME of an audience or an activation", a.stream},
		{"GET", "/v1/cookbook", "the recipes in force", func(w http.ResponseWriter, r *http.Request) { answer(w, r, a.backend.Cookbook()) }},
		{"PUT", "/v1/cookbook", `put other recipes in force: {"sources":[{"name","text"}]}; ?dry_run=true ?forget=true`, a.putCookbook},
		{"GET", "/v1/dead", "what could not be understood, or was not taken by a webhook; ?reason= ?webhook= ?since= ?limit=", a.dead},
		{"POST", "/v1/dead:resend", "send those again; the same parameters, and ?dry_run=true", a.resend},
		{"POST", "/v1/identity:unlink", `two identifiers are never one person: {"a":"ns:value","b":"ns:value"}`, a.unlink},
		{"PUT", "/v1/clock", `what time follows: {"follows":"event","to":"2026-01-01T00:00:00Z"} or {"follows":"wall"}`, a.setClock},
		{"GET", "/v1/status", "how the node and the cluster are; ?wait=idle&timeout=30s", a.status},
		{"GET", "/healthz", "whether the process answers", func(w http.ResponseWriter, r *http.Request) { send(w, r, []byte("{\"ok\":true}\n")) }},
		{"GET", "/readyz", "whether the node takes part; 503 and why when it does not", a.ready},
	}
}

// elsewhere are the routes for events, and those of others that stand in front of the interface or beside it.
var elsewhere = []route{
	{Method: "POST", Path: "/v1/track", What: "an event as Segment's SDKs send it; so are identify, page, screen, group, alias"},
	{Method: "POST", Path: "/v1/batch", What: `many of them: {"batch":[..]}`},
	{Method: "POST", Path: cloudEventsPath, What: "CloudEvents, one or many"},
	{Method: "POST", Path: "/v1/nodes/{id}/drain", What: "empty a node before maintenance; DELETE stops that"},
	{Method: "DELETE", Path: "/v1/nodes/{id}", What: "give the place of a node that does not come back to another"},
	{Method: "GET", Path: "/metrics", What: "for Prometheus"},
	{Method: "GET", Path: "/", What: "the console"},
}

// index answers GET /v1/.
func (a *API) index(w http.ResponseWriter, r *http.Request) {
	all := append(a.routes(), elsewhere...)
	for i := range all {
		all[i].Path = strings.NewReplacer("{$}", "", "...", "").Replace(all[i].Path)
	}
	answer(w, r, map[string][]route{"routes": all})
}

// notFound answers what no route is for: 405 when there is the path with another method.
func (a *API) notFound(w http.ResponseWriter, r *http.Request) {
	const hint = "GET /v1/ lists what there is"
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := *r
		other.Method = method
		if _, pattern := a.mux.Handler(&other); strings.HasPrefix(pattern, method+" ") {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		methods := strings.Join(allowed, ", ")
		w.Header().Set("Allow", methods)
		fail(w, http.StatusMethodNotAllowed, "bad_method", "there is no "+say.Short(r.Method)+" "+say.Short(r.URL.Path)+", only "+methods, hint)
		return
	}
	fail(w, http.StatusNotFound, "not_found", "there is no "+say.Short(r.Method)+" "+say.Short(r.URL.Path), hint)
}
