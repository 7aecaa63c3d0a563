//go:build !linux

package profile

// NewMemory returns the best Memory of this system: here Go's heap.
func NewMemory() Memory { return Heap{} }
