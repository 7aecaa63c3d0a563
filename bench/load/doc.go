// Package load makes events and requests: events into Kafka as fast as it goes or at a rate, requests at a rate.
//
// Requests are open-loop: request i is due at start + i/rate whatever became of those before it, and its latency counts
// from then, so a server that stalls is charged for everybody who waits. How late the load itself was is measured too:
// latencies below that are the load's own.
//
// Invariants:
//
//	I1  Everything that was sent is acknowledged when a call returns without an error.
//	I2  A request's latency begins when it was due, not when it was sent.
//	I3  A Sender's memory is bounded by the buffer of its producer.
//
// Ownership: a Sender belongs to one goroutine; OpenLoop calls do from many.
package load
