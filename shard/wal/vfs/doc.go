// Package vfs is the small file system that the log and the snapshots stand on, so that tests can cut the
// power, break the disk and fill it.
//
// It is not a general file system: one level of directories matters, a rename stays within its directory, and
// files are read and written at offsets.
//
// There are three implementations. OS is the machine's. Mem lives in memory and can crash: what was not synced
// may be lost, kept or torn. Faulty wraps either and makes chosen operations fail or wait.
//
// Invariants:
//   - I1: after File.Sync returned nil, the bytes and the size of the file survive a power cut.
//   - I2: after FS.SyncDir returned nil, the names created, removed and renamed before it in that directory do too.
//   - I3: nothing else survives for certain, and unsynced writes may survive in any combination of sectors.
//
// Concurrency: every method of an FS and of a File may be called from any goroutine; two writers of the same
// bytes have only themselves to blame.
package vfs
