// Package httpapi is the HTTP door of a node: events in as Segment's and RudderStack's own SDKs send them, and profiles,
// audiences, queries and activations out as JSON.
//
// It knows HTTP and the envelope of a batch, not what an event means: it checks that a body is JSON, cuts a batch into one
// message per event and hands those to Kafka through the Backend, which the package declares and the node fills. What is wrong with
// an event is for the decoder behind Kafka to find and to dead-letter.
//
// In (POST; Basic auth with a write key as the user, or writeKey in the body or the query; without configured keys everyone is let in):
//
//	/v1/{track,t,identify,i,page,p,screen,s,group,g,alias,a}   one event
//	/v1/{batch,b,import}, /beacon/v1/batch                     {"batch":[..]}; an object with a type instead is one event
//	/v1/cloudevents                                            CloudEvents, binary, structured or batched; the other routes take them too
//	GET /v1/projects/{writeKey}/settings, GET /sourceConfig/   what the browser SDKs ask for first
//
// An event that does not say when it happened happened now. Those of one batch happened in their order, a millisecond apart, the last of them now: at one
// instant the larger value would win, not the later event. receivedAt is the same for all of them.
//
// The answer is 200 {"success":true} once Kafka has acknowledged every event, also when events are bad. 429 with Retry-After means
// try again: the SDKs keep the batch. 400 is only for a body that is not JSON, no object or batch, or too large, since SDKs drop what got a 4xx, and 401
// for a wrong write key.
//
// Out (GET /v1/ lists these with a line for each; a path with another method is 405; with Keys, Authorization: Bearer KEY, or KEY as the user or password of Basic auth):
//
//	GET  /v1/profiles/{ns}:{value}            a profile, or 404
//	GET  /v1/profiles/{ns}:{value}/scores     {"profile","scores":[{"score","value","model","unit","base","factors":[{"input","value","adds"}]}]}:
//	                                          what each input adds to the sum behind each score, the largest first
//	GET  /v1/profiles/{ns}:{value}/explain    why identifiers are one profile: {"id","identifiers":[{"id","profile","first_seen","last_seen"}],"links":[{"a","b","verdict","rule",
//	                                          "first_seen","last_seen","message"}]}; of an account, who belongs to it: {"id","people":[{"id","contributes"}]}
//	GET  .../explain?audience=NAME            why it is in an audience or not: {"profile","audience","in","since","now","condition","next_change","thresholds":{"next","known"},
//	                                          "parts":[{"depth","text","condition","value","next_change"}]}. thresholds is there when top(..) is read: they are found out among all
//	                                          people at next, which next_change does not count, and known says that none is missing now
//	GET  /v1/profiles/{ns}:{value}/events     the last events of a person, as they lie in Kafka, the newest first: {"profile","identifiers","events":[{"topic",
//	                                          "partition","offset","arrived","time","name","identifier","event"}],"complete","since","scanned","topics"}. Nothing else keeps events,
//	                                          so the end of the input topics is read: at most ?scan= records (100000, up to 2000000) that arrived ?since= (24h; 30d, 2w or an instant), in at most 20 s, two
//	                                          at a time on a node; the newest ?limit= (50, up to 1000). "since" is from when on nothing is left out, complete: it is what was asked for
//	GET  /v1/profiles/{ns}:{value}/export     all that is kept about a person, as a file
//	DELETE /v1/profiles/{ns}:{value}          erases a person, or an account: {"erased","profile","identifiers":[..],"at"}; what is older than at does not come back
//	POST /v1/profiles:batchGet {"ids":[..]}   {"profiles":[.., null, ..]} in the order of the ids
//	GET  /v1/audiences                        {"audiences":[{"name","description","size"}]}; ?moved=true adds "moved":{"entered","left"}: of 14 days
//	GET  /v1/audiences/{name}/members         NDJSON {"id","since"}; all of them, or ?limit= of them from ?cursor= on: when there may be
//	                                          more, the last line is {"cursor":".."}
//	GET  /v1/audiences/{name}/stats           {"audience","size","hours":[{"at","entered","left","size"}],"overlap":[{"audience","size","both"}],
//	                                          "activations":[..]}: 14 days, by hour; activations as below
//	POST /v1/query {"where","limit","cursor"} {"count","sample":[profiles],"cursor"}; with "of":"accounts" of accounts; 504 after a minute
//	GET  /v1/activations                      {"activations":[{"activation","description","on","about","sent","sent_24h","entered","left","goal"}]}: of
//	                                          14 days; goal, if it has one, is {"on","within","hold_back","treated":{"exposed","converted","rate":{"value",
//	                                          "low","high"}},"control":{..},"difference":{"value","low","high"},"confidence"}: since the goal is in force
//	GET  /v1/activations/{name}/stats         the same of one, with "hours":[{"at","sent","entered","left"}]
//	GET  /v1/activations/stream               server-sent events; ?audience=NAME of an audience or an activation; Last-Event-ID goes on after that one, if remembered; ends with event: gone when a
//	                                          cookbook drops NAME, or the key that let it in is taken away
//	GET  /v1/cookbook                         {"version","at","hash","switching","refused","sources":[{"name","text"}]}
//	PUT  /v1/cookbook {"sources":[..]}        commits another: {"version","same","changes","losses"}; ?dry_run=true only tells; ?forget=true when
//	                                          attributes, accounts or purposes lose what they know; 422 with what check says
//	GET  /v1/dead                             the newest of what could not be understood and of what a webhook did not take: {"topic","letters":[{"partition","offset","found",
//	                                          "reason","detail","webhook","from":{"topic","partition","offset"},"key","value","size","sent_again"}],"reasons","again","complete",
//	                                          "since","scanned"}; ?reason= ?webhook= ?since= ?limit= ?scan= as with events of a person. A value is cut at 4 KiB
//	POST /v1/dead:resend                      sends those again, events to their topic and activations to their webhook, the oldest first, each at most once: {"matched","before",
//	                                          "cannot","sent","refused","left","error"}; the same parameters, and ?dry_run=true; 404 with the names of those that there are when this node
//	                                          has no such webhook
//	POST /v1/identity:unlink {"a","b"}        two identifiers are never one person, from now on and in hindsight: {"unlinked":true}
//	PUT  /v1/clock {"follows","to"}           "event": time is that of events, and moves to an instant if one is given; "wall": the time of day: {"follows","now"}; 409 when
//	                                          there are profiles already: the clock never goes back
//	POST /v1/nodes/{id}/drain                 empties a node, DELETE stops that; DELETE /v1/nodes/{id} gives its place to another: {"epoch"}; 409 when it may not be. The node
//	                                          puts these in front of the interface
//	GET  /v1/status                           ?wait=idle&timeout=30s waits until everything in Kafka at the call was applied and sent
//	GET  /healthz                             200 while the process lives
//	GET  /readyz                              {"ready":true}, with "held_back" while it answers look-ups but takes no events in, because Kafka is away for one; 503 with the
//	                                          reason while it starts or stops, and while its disk is full, hangs or has failed
//	GET  /metrics, /                          handlers of others
//
// An error is {"error":{"code","message","hint"}} with a fitting status.
//
// Invariants:
//
//	I1  A message is the bytes that the client sent, with members spliced in or, for receivedAt, replaced: numbers, order, case and
//	    escapes are never written anew.
//	I2  Every event of an accepted body becomes exactly one message, in order, whatever it looks like.
//	I3  Success is answered only after the Backend has acknowledged all messages of the body.
//	I4  Every body, before and after decompression, and the sum of all bodies in flight are bounded by Limits. What does not fit
//	    is refused before it is held.
//	I5  The Content-Type decides nothing but whether a body is a CloudEvent.
//	I6  Reading a profile happens inside the Backend's callback, into a buffer; nothing is written to a client there.
//	I7  Only the routes for events are for other origins: a web page can send events. It cannot read profiles (no CORS), and it cannot change or ask
//	    anything else, also where it needs no answer: what a browser sends from another origin with a method other than GET, HEAD and OPTIONS is 403.
//	    Nor can it read by having its own name mean this machine: a node that listens on the loopback is asked as localhost, by an address, or by a name that
//	    it was given, and 421 otherwise.
//	I8  With Keys, nobody without one is let in to anything but the routes for events, which have write keys, /healthz and /readyz; and nobody without
//	    an admin key changes anything. One handler in front of all others sees to it, so a new route is closed until it is named open. When the key is
//	    taken away, a stream or a list of members that it let in ends.
//
// An API serves any number of requests at once. The caller makes it with New, serves it with NewServer, and ends streams
// with API.Close before or while the server shuts down.
package httpapi
