// Package node is the only place that knows pipeline, shard and ring: Open builds a running node out of them, from the bottom to the top, and Close takes
// it apart in reverse. Settings are everything that a node can be told. DESIGN.md says how things work and why.
//
// It is not the place for rules: what an event means is the pipeline's, what the state is the shard's, where it lies the ring's. HTTP, RESP and the
// console are packages of their own below it, which see the node through small interfaces (backends.go).
//
// A caller opens a node, waits (Wait) for its context or for an error that the node cannot live with, and closes it. After ErrReopen it opens the node
// again; after ErrDrained it need not.
//
// Words: a shardHost is one shard as this node knows it, whether it has a replica of it or not (shard_host.go). A member, of the cluster, is a node; a
// "member of groups" is a node with its incarnation, "node/incarnation" (groupMember): the name by which Raft and the transport know it. What the directory
// says is in meta.State.
//
// Where to begin reading:
//
//   - node.go: Open, step by step
//   - events in: intake.go (records to batches), hold.go (holding back), lane.go (batches to a leader elsewhere), shard_host.go (to the shard)
//   - activations out: publish.go, hub.go, webhooks.go; messages between shards: courier.go
//   - look-ups: lookup.go (here), look.go (anywhere), pages.go and query.go (many), inquire.go (asking other nodes), route.go (which), consistency.go
//   - the cluster: found.go and join.go (coming together), directory.go (committing), cluster.go (leading), moves.go and voters.go (who holds what), drain.go
//   - cookbooks: apply.go and offer.go (which one), switch.go (into force)
//   - power loss: recover.go, survey.go, settle.go; clocks: clock.go, skew.go
//   - what a person sees: status.go and its siblings, trouble.go, collect.go (metrics)
//
// Concurrency: a shard is written by its group's goroutine only, which holds shardHost.mu; readers hold it for reading and wait for nothing meanwhile, and
// hold one at a time. What moves events runs on n.movers, what answers clients on n.serving, what calls other nodes on n.calling; Close waits for all of
// them. Everything exported is safe for concurrent use.
package node
