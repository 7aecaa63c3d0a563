// Package resp answers look-ups over the Redis protocol (RESP2 and RESP3), so that any Redis client is a client of dashi.
//
// It is a door, not a store: every answer comes from a Backend, which the package declares and the node fills. It is not
// Redis either: there are no writes, no transactions, no scripts and no keys other than these:
//
//	NS:VALUE            a hash: the attributes of a profile that have a value    HGETALL HGET HMGET HEXISTS HLEN
//	audiences:NS:VALUE  a set: the names of the audiences a profile is in        SMEMBERS SISMEMBER SCARD
//	audience:NAME       a set: the profiles in an audience, as NS:VALUE          SISMEMBER SMISMEMBER SCARD
//	activations[.NAME]  a channel: the activations that leave, as JSON, or those
//	                    of the audience or activation NAME                       SUBSCRIBE UNSUBSCRIBE
//
// EXISTS and TYPE know all keys; TTL and PTTL say -1 of every key that there is, and -2 of others.
//
// When a cookbook comes into force under which nothing leaves as NAME, a subscriber to it is sent an error and cut off within two seconds.
//
// What another node has is fetched from there while others are served (fetch.go), so any node answers for all. DASHI READ LOCAL, the default, is content with any
// replica; LEADER and LINEARIZABLE are as ?read= is over HTTP. READONLY is the first of them, READWRITE the second. DASHI BEHIND
// says by how many entries the replica here that lags most is behind what its leader last said. TRYAGAIN means that nobody could be asked.
//
// A profile that does not exist is an empty hash, an audience that does not exist an empty set, as in Redis. A key that
// has none of these forms is an error that says so. Values are bulk strings in RESP3 too, as Redis answers a hash: no
// command here has a reply that Redis would send as a double.
//
// What the caller does, in order: NewServer, Serve with one or more listeners (a TLS listener works), Shutdown or Close.
//
// The parts, from the inside out: a parser finds commands in a byte slice and resumes where it stopped; a Session answers
// whole pipelines from a byte slice into a byte slice and knows nothing of connections; a client is a Session with its
// subscriptions. What carries its bytes is
//
//   - a socket in a loop, for plain TCP on Linux: one goroutine reads from all sockets that are ready, has the memory of
//     all look-ups in that read ahead, and answers each socket with one write. One loop for two cores, unless Settings say otherwise;
//   - a conn for all else (TLS, other systems): a goroutine that reads, calls Session.Handle and writes.
//
// What the loop is for, processor time of the server against that of redis-server in the same run (redis-benchmark, 50 connections,
// 12 fields, the fake of the tests): HGETALL 1.07 times Redis' at -P 1 and 0.61 times at -P 16, SISMEMBER 1.17 times at -P 1; with
// a goroutine a connection it was 1.21, 0.84 and 1.34 times.
//
// Invariants:
//
//	I1  One read, one Handle, one write: the complete commands of what was read are answered together, in order, as far as I8 allows.
//	I2  Nothing is allocated for a length that a client only announced; buffers grow by what has arrived.
//	I3  Every buffer, count and wait is bounded by a field of Limits; a connection that exceeds one is closed or refused
//	    with an error, and counted in Stats.
//	I4  HGETALL, HGET, EXISTS and SISMEMBER allocate nothing once the buffers of the connection have grown.
//	I5  An answer is built inside the look-up's callback and copies what it needs: no byte of a View is kept.
//	I6  A cookbook may change between naming an attribute and reading it: an index is used only after its name was
//	    compared in the View's own Program.
//	I7  Delivering an activation never waits for a subscriber: one whose queue is full is disconnected and counted.
//	I8  One Handle does a bounded amount of work, then returns Again: a command with many keys takes several, and nothing
//	    else is written to its client in between. A socket that does not take its answers is not read from until it has.
//
// Ownership: a Session belongs to the goroutine that calls Handle. A loop's goroutine owns its sockets, and closes them. A conn's mutex is
// held over Handle and write, and by the goroutine that writes activations, so pushes fall between answers. The
// Backend is called from all of them at once, and does not wait: a command whose profile is moving, or is fetched, is paused like one with many keys.
package resp
