// Package kafka is where events come in and activations go out. It is the only package that imports franz-go.
//
//	Source       reads input topics as a member of a consumer group, and commits only what it is told to
//	DeadLetters  writes what could not be understood, and what a webhook does not take, to dashi.dead
//	Outlets      publish the shards' outboxes, each batch and its position in one transaction
//	Producer     writes records: the HTTP intake, replays, load
//	Tail         reads a topic without a group as it grows, which tests do; History all that it holds, Recent its end
//	Broker       is a broker in this process, for development and tests; clients with its Settings reach it without the network
//
// It is not a stage: it decides nothing about what a record means, and holds no state that outlives the process but the
// embedded broker's data directory. It logs, through the logger in Settings, only what an operator should know: brokers that come and go,
// topics that are waited for, records that were lost.
//
// # In
//
// The caller makes a Source with a Handler and runs it. It hands the records to the shards as "everything in (prev, last]";
// when every shard has a stream's records before some offset durably, it calls Commit with what DeadLetters.Floor makes of that
// offset. A shard that answers "gap" is a Seek to its mark + 1. Nothing here needs to be exact: shards skip what they have seen.
//
// # Out
//
// The node that leads a shard opens its Outlet, which says which is the first outbox entry that is not published, and publishes from there. ErrFenced
// means that another node has opened it since: stop, or, while still the leader, open it again. With ErrMoved comes the position to go on from.
// Any other error is worth another try. An outbox entry may be dropped once the position is past it. Publish nothing once a day on a quiet shard (I8).
//
// # Invariants
//
//	I1  Records of a stream are handed over in offset order, each (prev, last] beginning where the one before ended. What is missing
//	    within it does not exist for a reader: markers, aborted, compacted or expired records. Expired ones are told (Lost).
//	I2  An offset is committed only after Commit was called with it or a greater one.
//	I3  An offset is at most Floor while a dead letter of it is not acknowledged.
//	I4  A topic made again is another stream: it starts at its beginning, whatever was committed under its name.
//	I5  An activation is visible to a reader of committed records if and only if the committed position is past it.
//	I6  Of all outlets of a shard only the one that was opened last can publish.
//	I7  Messages with equal keys keep their order: within a batch, and over batches, outlets and nodes.
//	I8  A position is kept as long as the brokers keep group offsets: for ever in the embedded broker, offsets.retention.minutes
//	    (7 days) after the last commit elsewhere.
//	I9  Offsets of the embedded broker never start again: a partition that has had a record always keeps one.
//	I10 What the embedded broker has acknowledged survives a kill of the process, transactions whole or not at all.
//	    It does not survive a power cut of the last seconds: nothing is fsynced batch by batch.
//
// # Concurrency
//
// Everything exported is safe for concurrent use. The calls of a Handler never overlap. A Source, the dead letters, the outlets and a producer each have
// one client: a few goroutines and a connection or three per broker. Close what you open; nothing is left running then.
package kafka
