package profile

// PageSize is the size of a page in bytes. Small pages make the copying for a snapshot cheap (a page costs about
// 10 us at its first write after Snapshot), large ones keep the list of pages short: a million profiles are
// about 4,500 pages.
const PageSize = 64 << 10

// blockAlign is what sizes over PageSize are rounded up to: the page size of the machine, mostly.
const blockAlign = 4 << 10

// Memory is where blocks come from. It is safe for use by several goroutines and may be shared by many tables.
type Memory interface {
	// Get returns a block of n bytes, aligned to 8 at least; n is PageSize or a larger multiple of 4 KiB,
	// or, for single large records, any multiple of 4 KiB over 16 KiB. Its content is arbitrary.
	Get(n int) []byte
	// Put takes back a block exactly as Get returned it. Nobody may touch it afterwards.
	Put(b []byte)
}

// Heap is a Memory on Go's heap: for tests, and for systems without a better one.
type Heap struct{}

// Get allocates a block.
func (Heap) Get(n int) []byte { return make([]byte, n) }

// Put leaves the block to the garbage collector.
func (Heap) Put([]byte) {}
