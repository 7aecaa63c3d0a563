// Package node is the only place that knows pipeline, shard and ring: Open builds a running node out of them, from the bottom to the top, and Close takes
// it apart in reverse. DESIGN.md says how things work and why.
//
// It is not the place for rules: what an event means is the pipeline's, what the state is the shard's, where it lies the ring's. What needs no Node is in the
// packages below it, which import each other only downwards.
//
// A caller opens a node, waits (Wait) for its context or for an error that the node cannot live with, and closes it. After ErrReopen it opens the node
// again; after ErrDrained it need not.
//
// Words: a shardHost is one shard as this node knows it, whether it has a replica of it or not (shard_host.go). A member, of the cluster, is a node; a
// "member of groups" is a node with its incarnation, "node/incarnation" (groupMember): the name by which Raft and the transport know it. What the directory
// says is in meta.State.
//
// The files, in reading order:
//
//	node.go               Node, and Open, step by step
//	data_directory.go     whose the data directory is
//	disk.go               its log and snapshots, and a disk that hangs
//	kafka.go              the broker, the topics, the source; reading while there is a disk
//	doors.go              the ports, HTTP and RESP, and what HTTP says before the node is open; rekey.go: other keys, while it runs
//	backends.go           the node as HTTP, RESP and the console see it
//
//	intake*.go            events in: records to batches; holding back
//	shard_host.go         one shard, behind its lock, and the ways to have it apply an entry
//	shard_lane.go         batches to a leader on another node
//	shard_route.go        which node has a shard, and which leads it
//	shard_replicas.go     opening, following and closing the replicas that are here
//	shard_report.go       what there is to know about each shard; how far each is with a stream
//	pressure.go           how many shards apply at once
//	courier.go            messages between shards
//	publish.go            activations out, to Kafka; webhooks.go: from there to endpoints
//
//	lookup.go             one profile, here; lookup_anywhere.go: wherever it is; lookup_touch.go: many at once, ahead
//	lookup_ask.go         how other nodes are asked, and which question is answered where
//	lookup_freshness.go   how fresh an answer must be, and who says how fresh it is
//	lookup_pages.go       members of audiences, page by page; lookup_query.go: whoever meets a condition; lookup_counts.go: sizes and statistics
//	erase.go              saying that two are never one, and that somebody is to be forgotten
//
//	cluster_found.go      coming together, and what the leader of the directory does; cluster_join.go: being let in
//	cluster_directory.go  this node's replica of the directory, and commands for it
//	cluster_peers.go      the calls between nodes, and what the others said last
//	cluster_lead.go       opening the directory and the hosts; what falls to a leader
//	cluster_moves.go      replicas to other nodes; cluster_places.go: where they should be; cluster_voters.go: who votes; cluster_drain.go: emptying a node
//	clock.go              ticks; clock_skew.go: nodes whose clocks differ; thresholds.go: what is compared with all profiles, by the hour
//
//	cookbook_offer.go     the recipes that a node is given; cookbook_apply.go: those that a client sends; cookbook_refuses.go: what no shard would take
//	cookbook_switch.go    a cookbook coming into force
//	recovery.go           after a power loss; recovery_survey.go: what is left; recovery_departed.go: what had left already
//	status*.go            what GET /v1/status says, and waiting until all is done; metrics.go: the same for Prometheus
//
// The packages, none of which has a Node:
//
//	settings     everything that a node can be told
//	certificate  TLS from files, read again when they change
//	cookbook     recipes read, compiled and indexed; the decoders that they need
//	metrics      what a node measures itself
//	hub          activations to whoever listens here
//	reread       what is answered by reading Kafka's topics back: events of a person, dead letters
//	counted      what shards have counted, added up
//	status       the status as a tree, and its sentences
//	httpapi, resp, console   the front doors; they see the node through small interfaces
//	recipetest, features     the tests of recipes, and rows to train scores on, both on shards in memory; npmtest: Node.js for tests
//
// Concurrency: a shard is written by its group's goroutine only, which holds shardHost.mu; readers hold it for reading and wait for nothing meanwhile, and
// hold one at a time. What moves events runs on n.movers, what answers clients on n.serving, what calls other nodes on n.calling; Close waits for all of
// them. Everything exported is safe for concurrent use.
package node
