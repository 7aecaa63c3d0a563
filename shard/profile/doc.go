// Package profile is the pointer-free table of one shard's profiles: pages of records, an index that finds
// them by hash and key, small stable ordinals, and copy-on-write snapshots.
//
// It is not aware of attributes, audiences or consent: a record is a key (namespace, value), a few head
// words, Layout.Fixed bytes that are edited in place and Layout.Segments byte strings of any length. What
// the bytes mean is the business of the shard. It does not route, expire, count memory limits or do I/O other
// than writing a snapshot to the io.Writer that it is given.
//
// How it is built:
//
//	pages      64 KiB blocks from a Memory, cut into slots of 16-byte units. Free neighbours are merged
//	           (boundary tags) and free slots are kept in one list per size; allocation is best fit. A record over
//	           16 KiB has a block of its own.
//	index      extendible hashing: a directory over buckets of 1,024 entries of 8 bytes (tag, location). Growing
//	           splits one bucket, about 5 us, so there is no stall at any size.
//	ordinals   location by ordinal, in chunks of 4,096, with a bitmap of the free ones.
//	snapshots  the list of pages as of now; whoever then writes to such a page first copies it.
//
// What the caller does, in order: New or Read; then Find, and Insert when it is not there; Edit to change head
// words and fixed bytes in place; SetSegment or SetSegments for segments, going on with the Ref that it returns; Delete; at the end Close.
//
// Invariants:
//
//	I1  The hash finds, the key decides: two keys with one hash are two records.
//	I2  A Ref is good until the record is deleted or a SetSegment or SetSegments on it returns another Ref. No call moves any
//	    other record.
//	I3  An ordinal is the lowest free one at Insert, and belongs to the record until Delete. So it depends on the
//	    history of inserts and deletes only, not on memory or on restores in between.
//	I4  A snapshot writes the table exactly as it was when Snapshot was called, whatever happens since.
//	I5  No block goes back to the Memory while the table or a snapshot that still has to write it can reach it.
//	I6  Every byte of a page belongs to exactly one slot; no two free slots are neighbours.
//	I7  Hash depends on the layout and the content of the records only: not on ordinals, order or memory.
//	I8  A corrupt stream is an error of Read, never a panic or a wrong table.
//
// Concurrency. One goroutine at a time writes (Insert, Edit, SetSegment(s), Delete, Snapshot, Close), and nobody
// reads meanwhile. Any number read at once (Find, Touch, Record, Each, ByOrdinal, Hash, Len, Bytes) while
// nobody writes. The caller has a lock for that. Snapshot.WriteTo and Release alone need no lock: they may run on
// any goroutine at any time; see Snapshot.
//
// A Record is a window on the pages. One from Record is good until the next write of any kind, one from Edit
// until SetSegment(s) or Delete of the same record or until the next Snapshot or Close.
//
// Memory from a Memory may lie outside of Go's heap. Close gives it back; using a Record or a method after Close
// is an error of the caller (methods panic, or see an empty table; a Record would read foreign memory). A table
// that is dropped without Close costs its off-heap memory but does no other harm: nothing is freed behind anybody's back.
package profile
