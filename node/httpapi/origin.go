package httpapi

import (
	"net/http"

	"dashi/pipeline/say"
)

// sameOrigin refuses what web pages of other origins ask of h, but for events and for methods that change nothing (I7). A page may send a POST
// with a text body to any address that the browser reaches, such as a node on the operator's own machine, without asking: that it cannot read the answer
// does not help when the request was to unlink two people. Browsers say where a request comes from, in Sec-Fetch-Site or in Origin; curl, SDKs on servers
// and our own commands send neither, and are let through.
func sameOrigin(h http.Handler) http.Handler {
	c := http.NewCrossOriginProtection()
	events := func(path string) { c.AddInsecureBypassPattern("POST " + path) }
	for _, call := range calls {
		for _, r := range call.routes {
			events("/v1/" + r)
		}
	}
	for _, path := range batches {
		events(path)
	}
	events(cloudEventsPath)
	c.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusForbidden, "cross_origin", "a web page of another origin may send events, and nothing else: "+say.Short(r.Method)+" "+say.Short(r.URL.Path)+" is refused",
			"use the console of this node, dashi or curl; a proxy in front of the console has to pass the Host header on as it is")
	}))
	return c.Handler(h)
}
