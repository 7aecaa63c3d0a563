// Package webhook is the HTTP sink of activations: it reads the topic of activations and posts them to an endpoint, signed. README.md
// tells those who build an endpoint what they get.
//
// A Sink is one endpoint. It is a member of a consumer group of its own, so Kafka remembers how far the endpoint is, spreads the partitions
// over the nodes, and keeps what the endpoint has not taken: neither a shard nor another endpoint waits for it. Rejected: posting from the
// shards' outboxes, which a dead endpoint would fill, and with them hold events back.
//
// It is not a stage: it decides nothing about what an activation says, and holds no state that outlives the process.
//
// # In order
//
// Open a Sink, run it with Run, which returns when its context is done. Each partition has a queue and one goroutine, which posts a batch, waits for
// the answer, and only then takes the next: what gathers meanwhile goes together. Activations of one profile are in one partition.
//
// # Invariants
//
//	I1  An offset is committed only after every activation before it was taken by the endpoint (2xx), or is not for it, or is in the dead topic.
//	I2  Of one partition one request is under way, and a later activation leaves after those before it were dealt with.
//	I3  A request that is tried again has the same id and body; the signature and its time are new.
//	I4  A queue holds at most queueBytes and what one fetch adds to it: beyond it the partition is paused.
//	I5  The endpoint gets every activation at least once, with the same activation id each time; twice only when a node ended, or lost the
//	    partition, between the answer and the commit.
//	I6  An erasure goes to every endpoint, whatever it has chosen.
//
// # Concurrency
//
// The calls of the source come one at a time (see kafka.Handler). A queue's lock is held for a few appends, never while a request is under way.
package webhook
