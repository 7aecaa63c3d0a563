package profile

import (
	"math/bits"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugeSize is one huge page of amd64 and arm64, and how much is mapped at once.
const hugeSize = 2 << 20

const pagesPerHuge = hugeSize / PageSize

// NewMemory returns the best Memory of this system: here anonymous mappings outside of Go's heap, which the garbage
// collector does not see, on huge pages where the kernel grants them (a random access costs half as much: PERF.md).
// Make one per process and share it between tables, so that small ones share huge pages.
func NewMemory() Memory {
	return &mapped{huge: make(map[uintptr]*hugePage), large: make(map[uintptr]int)}
}

// mapped cuts pages out of huge pages. A huge page of which nothing is in use goes back to the system, but for one.
type mapped struct {
	mu    sync.Mutex
	huge  map[uintptr]*hugePage // by address
	roomy []*hugePage           // those with a free page; the last one is cut next
	empty int                   // how many of them are wholly free
	large map[uintptr]int       // size by address of blocks that are not pages
}

type hugePage struct {
	base unsafe.Pointer
	free uint32 // a bit per page
	at   int    // its place in roomy, -1 when it is not there
}

const allFree = 1<<pagesPerHuge - 1

// Get returns a block. When the system refuses, it comes from Go's heap.
func (m *mapped) Get(n int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n != PageSize {
		p := mapAnonymous(n)
		if p == nil {
			return make([]byte, n)
		}
		m.large[uintptr(p)] = n
		return unsafe.Slice((*byte)(p), n)
	}
	if len(m.roomy) == 0 && !m.grow() {
		return make([]byte, n)
	}
	h := m.roomy[len(m.roomy)-1]
	if h.free == allFree {
		m.empty--
	}
	i := bits.TrailingZeros32(h.free)
	h.free &^= 1 << i
	if h.free == 0 {
		m.roomy = m.roomy[:len(m.roomy)-1]
		h.at = -1
	}
	return unsafe.Slice((*byte)(unsafe.Add(h.base, i*PageSize)), PageSize)
}

// Put takes a block back.
func (m *mapped) Put(b []byte) {
	p := unsafe.Pointer(unsafe.SliceData(b))
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.large[uintptr(p)]; ok {
		if n != len(b) {
			panic("profile: BUG: a block came back with another length")
		}
		delete(m.large, uintptr(p))
		unmap(p, n)
		return
	}
	h := m.huge[uintptr(p)&^(hugeSize-1)]
	if h == nil {
		return // from the heap, when the system had refused
	}
	bit := uint32(1) << (uintptr(p) & (hugeSize - 1) / PageSize)
	if h.free&bit != 0 || len(b) != PageSize {
		panic("profile: BUG: a page came back twice")
	}
	h.free |= bit
	if h.at < 0 {
		h.at = len(m.roomy)
		m.roomy = append(m.roomy, h)
	}
	if h.free == allFree {
		m.release(h)
	}
}

// release gives a wholly free huge page back, unless it is the only one.
func (m *mapped) release(h *hugePage) {
	if m.empty == 0 {
		m.empty++
		return
	}
	last := m.roomy[len(m.roomy)-1]
	m.roomy[h.at], last.at = last, h.at
	m.roomy = m.roomy[:len(m.roomy)-1]
	delete(m.huge, uintptr(h.base))
	unmap(h.base, hugeSize)
}

// grow maps one more huge page, aligned.
func (m *mapped) grow() bool {
	p := mapAnonymous(2 * hugeSize)
	if p == nil {
		return false
	}
	skip := -uintptr(p) & (hugeSize - 1)
	if skip > 0 {
		unmap(p, int(skip))
	}
	unmap(unsafe.Add(p, skip+hugeSize), int(hugeSize-skip))
	p = unsafe.Add(p, skip)
	// It is advice: without huge pages everything works, only slower.
	_ = unix.Madvise(unsafe.Slice((*byte)(p), hugeSize), unix.MADV_HUGEPAGE)
	h := &hugePage{base: p, free: allFree, at: len(m.roomy)}
	m.huge[uintptr(p)] = h
	m.roomy = append(m.roomy, h)
	m.empty++
	return true
}

// mapAnonymous returns nil when the system refuses.
func mapAnonymous(n int) unsafe.Pointer {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil
	}
	return p
}

func unmap(p unsafe.Pointer, n int) {
	if n == 0 {
		return
	}
	if err := unix.MunmapPtr(p, uintptr(n)); err != nil {
		panic("profile: BUG: cannot unmap a block: " + err.Error())
	}
}
