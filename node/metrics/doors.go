package metrics

import (
	"sync"
	"sync/atomic"

	"dashi/node/httpapi"
)

// Doors are what the HTTP interface counts. The zero value is ready; it is safe for concurrent use.
type Doors struct{ by sync.Map } // httpapi.Count to *atomic.Int64

// Add counts n more.
func (d *Doors) Add(c httpapi.Count, n int64) {
	v, ok := d.by.Load(c)
	if !ok {
		v, _ = d.by.LoadOrStore(c, new(atomic.Int64))
	}
	v.(*atomic.Int64).Add(n)
}

// Get is how many have been counted.
func (d *Doors) Get(c httpapi.Count) uint64 {
	if v, ok := d.by.Load(c); ok {
		return uint64(v.(*atomic.Int64).Load())
	}
	return 0
}
