// Package transport carries everything between the nodes of a cluster over one port: Raft's messages of all groups, snapshots, calls of any other kind, and
// the pings of the failure detector.
//
// It is not a message queue: what is under way when a connection ends is lost, and its sender is told. It does not know what groups or calls are for, and
// finds nobody by itself: a callback resolves an id to an address.
//
// The caller opens a Transport with a listener, registers handlers of calls (Handle), hears of dead peers (OnDown), makes a raft.Transport for each group
// (Group), says whom to watch (Watch), and closes groups and transport in this order. A node is known by "node/incarnation", which is its
// Raft id and address alike: who has lost its data comes back as another, and is not taken for the one that it was. FORMAT.md has the bytes.
//
// To answer calls, implement Handler: one type number of 16 or above, a body of 4 MiB at most, an answer in one piece or in parts: one piece of more than 4 MiB
// goes in parts, and Call puts parts together, up to 128 MiB.
//
//	t.Handle(16, lookups)                                  // at the one end
//	answer, err := t.Call(ctx, "n2/1", 16, body)           // at the other; ctx bounds it at both
//	s, err := t.Stream(ctx, "n2/1", 16, body)              // parts: s.Recv until io.EOF, s.Close
//
// For small calls, of which there are thousands a second, nobody has to wait: Ask calls back, and Take hands a call to a function, which has it answered when
// it likes. The kinds may be mixed.
//
// Handlers run on goroutines of their own, 256 of one peer at a time; more are answered ErrBusy at once. A part is sent when less than 1 MiB is on its way to
// a caller who has not taken it. Codes of RemoteError from 16 on are the handlers'.
//
// Invariants:
//
//	I1  The requests of one peer for one group reach Raft in the order in which they were sent. Heartbeats are among them: no other goroutine touches Raft's
//	    state (hashicorp/raft issue 695).
//	I2  A goroutine that reads a connection never waits for a group or a handler: what does not fit into a group's queue is rejected.
//	I3  After an append of a pipeline has failed, or was no success, all that follow fail at once (issue 612).
//	I4  Raft reads a snapshot from the local disk, when all of it is there.
//	I5  A follower is told a commit index outside of Raft's own appends only up to what it has acknowledged in that term (commit.go).
//	I6  A peer is declared dead only after a dial has failed as well; see detect.go.
//	I7  No frame is used whose checksum is wrong, and none from somebody who has not greeted with the same cluster and the right id.
//
// Between two nodes there are at most two connections in each direction, one for Raft and pings, one for calls, and one for each snapshot. TLS is a setting of
// either direction; with client certificates required, I7 is more than a precaution.
//
// Concurrency: everything exported is safe for any goroutine, but a Stream, which belongs to one. Transport.mu guards its tables, link.mu one peer's
// connection; Transport.mu is the inner one.
package transport
