// Package snapshot keeps the newest snapshots of every group of a node in files.
//
// It is not a format for state: a snapshot is a stream of bytes from the state machine. It does not decide when to
// take one, nor what of the log may go afterwards.
//
// The caller makes a Store, writes with Create, Writer.Write, and Writer.Commit or Abort, and reads what List
// names with Open. FORMAT.md has the bytes.
//
// Invariants:
//   - I1: after Commit the snapshot survives a power cut. Only the newest Keep are kept, so the caller removes one
//     that has turned out to be unreadable (Remove): it must not take the place of a good one.
//   - I2: a snapshot is there whole or not at all: it gets its name when its content is durable.
//   - I3: a Reader never hands out a byte that was not written: every block is checked first. After io.EOF the
//     whole file, its length included, has been checked.
//
// Concurrency: a Store may be used from any goroutine, for one group from one that writes and any that read. A Writer
// and a Reader belong to one goroutine.
package snapshot
