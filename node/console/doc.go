// Package console is what GET / of a node shows: one page that says how the node is, lets a person look up a profile, and watches
// audiences and activations move.
//
// It is files and a little Go. The page is written by hand, has no build step, and gets everything from the node that served it:
// /v1/status, /v1/audiences, /v1/activations, /v1/profiles and the stream of activations like any other client, and the samples of its plots from here.
// It changes nothing: there is no button that writes.
//
//	GET /                   the page
//	GET /console/{file}     its parts
//	GET /console/history    what Backend.History answers; ?after=TIME for what came later than that
//
// Invariants:
//
//	I1  The page works without a network: no asset names another host, and the Content-Security-Policy forbids it.
//	I2  Profiles, activations and errors are hostile input. They reach the page as text nodes only; the policy (trusted types) makes the
//	    browser refuse anything else.
//	I3  All paths are relative, so the page works behind a proxy that puts it under a prefix.
//	I4  A hidden page asks for nothing and holds no stream.
//
// The handler keeps no state; it serves any number of requests at once.
package console
