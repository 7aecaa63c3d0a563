// Package wal is the one append-only log of a node, shared by all its groups: whoever appends shares writes and
// syncs with everybody else, so that many groups cost the disk no more than one.
//
// It is not a database: it knows indexes and a few small stable values, not what entries mean, and it keeps
// nothing in memory but 12 bytes an entry. It does not decide what may be deleted: its caller does, when a
// snapshot is durable.
//
// The caller opens it (Open), appends to each group from one goroutine at a time, deletes prefixes when a snapshot
// covers them, and closes it. After any error of Append the outcome is open: the records may be there at the
// next Open or not. FORMAT.md has the bytes.
//
// Invariants:
//   - I1: what Append acknowledged survives a crash of the process; in mode Fsync, and whenever SyncedIndex says
//     so, a power cut as well.
//   - I2: a group's entries have consecutive indexes. What is recovered is a prefix of the log in the order in
//     which it was appended: nothing in the middle is missing, nothing is there that was not appended.
//   - I3: the log durable up to P never comes back shorter than P: Open refuses instead (ErrCorrupt). Every frame
//     carries the P of its making, and Close writes a last one, so damage is told from a torn tail.
//   - I4: frames of a segment's last life never count: the number of the segment is in every checksum.
//   - I5: a segment begins with the state of every group, so an old one is needed for its entries only, and is
//     recycled when no group has entries in it or in an older one.
//   - I6: after a failed write or sync nothing is acknowledged any more, not even what might have succeeded. A disk that is full is no failure:
//     segments are preallocated, so no write meets it; appends wait for the next segment.
//
// Concurrency: all methods are safe for any goroutine. Log.mu guards everything in memory and is not held during
// disk operations. One goroutine at most writes (Log.writing), one syncs (runSync), one prepares and retires
// segments (runTend), and a watchdog looks whether the disk still answers (runWatch).
package wal
