package profile

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
)

// ErrReleased is what WriteTo returns when the snapshot was released, before it or meanwhile.
var ErrReleased = errors.New("the snapshot was released")

// ErrWritten is what a second WriteTo returns.
var ErrWritten = errors.New("the snapshot was written before")

// Snapshot is a table as it was at one moment (I4). It shares the table's pages; the table copies a page before
// it changes one that a snapshot has still to write. So a snapshot costs at most the table's size once more, if every page is
// written to meanwhile, and nothing when it is released.
//
// WriteTo works once, since pages that it has passed are the table's again. It and Release may be called on any goroutine, also
// while the table is written to, and after it was closed. They are ordered with the table's writes by atomics:
// the table changes a page in place only after it has seen that every snapshot is past it.
type Snapshot struct {
	layout Layout
	count  int
	pages  [][]byte // never changed
	estate *estate

	next     atomic.Int64 // pages before this number are no longer needed
	released atomic.Bool  // somebody wants it to end
	gone     atomic.Bool  // it does not touch a page any more

	begun, writing bool // under estate.mu
}

// estate says who gives blocks back once the table is closed: the last snapshot does.
type estate struct {
	mu     sync.Mutex
	mem    Memory
	closed bool
	live   int      // snapshots that are not gone
	blocks [][]byte // after Close
}

// retired is a block that was a page of the table and is one in a snapshot.
type retired struct {
	page  uint32
	block []byte
}

// Snapshot fixes the table as it is now. It takes microseconds: 24 bytes per page are copied. Release it.
func (t *Table) Snapshot() *Snapshot {
	if t.estate.closed {
		panic("profile: BUG: Snapshot after Close")
	}
	t.reclaim()
	s := &Snapshot{layout: t.layout, count: t.Len(), pages: append([][]byte(nil), t.heap.pages...), estate: t.estate}
	t.estate.mu.Lock()
	t.estate.live++
	t.estate.mu.Unlock()
	t.snapshots = append(t.snapshots, s)
	return s
}

// Len is the number of records.
func (s *Snapshot) Len() int { return s.count }

// Release lets the pages go. It may be called more than once. A WriteTo under way ends with ErrReleased.
func (s *Snapshot) Release() {
	s.estate.mu.Lock()
	defer s.estate.mu.Unlock()
	s.released.Store(true)
	if !s.writing {
		s.leave()
	}
}

// begin and end enclose WriteTo.
func (s *Snapshot) begin() error {
	s.estate.mu.Lock()
	defer s.estate.mu.Unlock()
	if s.released.Load() {
		return ErrReleased
	}
	if s.begun {
		return ErrWritten
	}
	s.begun, s.writing = true, true
	return nil
}

func (s *Snapshot) end() {
	s.estate.mu.Lock()
	defer s.estate.mu.Unlock()
	s.writing = false
	s.leave()
}

// leave ends the use of pages, once. The caller holds estate.mu.
func (s *Snapshot) leave() {
	if s.gone.Load() {
		return
	}
	s.next.Store(math.MaxInt64)
	s.gone.Store(true)
	s.estate.live--
	s.estate.settle()
}

// settle gives the blocks of a closed table back if nobody needs them.
func (e *estate) settle() {
	if !e.closed || e.live > 0 {
		return
	}
	for _, b := range e.blocks {
		e.mem.Put(b)
	}
	e.blocks = nil
}

// holds says whether the snapshot has still to write this block, its page of that number.
func (s *Snapshot) holds(page uint32, block []byte) bool {
	return int64(page) >= s.next.Load() && int(page) < len(s.pages) &&
		s.pages[page] != nil && &s.pages[page][0] == &block[0]
}

// held says whether any snapshot holds this block.
func (t *Table) held(page uint32, block []byte) bool {
	for _, s := range t.snapshots {
		if s.holds(page, block) {
			return true
		}
	}
	return false
}

// protect makes a page the table's own: if a snapshot holds it, a copy takes its place.
func (t *Table) protect(page uint32) {
	gone := false
	for _, s := range t.snapshots {
		gone = gone || s.gone.Load()
	}
	block := t.heap.pages[page]
	held := t.held(page, block)
	if gone || held {
		t.reclaim()
	}
	if !held {
		return
	}
	own := t.mem.Get(len(block))
	copy(own, block)
	t.heap.pages[page] = own
	t.retired = append(t.retired, retired{page, block})
}

// retire ends the table's own use of a page.
func (t *Table) retire(page uint32) {
	block := t.heap.pages[page]
	if t.held(page, block) {
		t.retired = append(t.retired, retired{page, block})
		return
	}
	t.mem.Put(block)
}

// reclaim forgets snapshots that are gone and gives blocks back that none holds any more. Looking at all of them
// each time would be quadratic, so it waits until they have doubled, unless a snapshot went.
func (t *Table) reclaim() {
	n := 0
	for _, s := range t.snapshots {
		if !s.gone.Load() {
			t.snapshots[n] = s
			n++
		}
	}
	if n == len(t.snapshots) && len(t.retired) < t.patience {
		return
	}
	clear(t.snapshots[n:])
	t.snapshots = t.snapshots[:n]
	n = 0
	for _, r := range t.retired {
		if t.held(r.page, r.block) {
			t.retired[n] = r
			n++
		} else {
			t.mem.Put(r.block)
		}
	}
	clear(t.retired[n:])
	t.retired = t.retired[:n]
	t.patience = 2*n + 64
}

// Close gives all memory back, except for pages that snapshots have still to write; those go with the last snapshot. The
// table must not be used afterwards, except for Close.
func (t *Table) Close() {
	e := t.estate
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.closed = true
	for _, page := range t.heap.pages {
		if page != nil {
			e.blocks = append(e.blocks, page)
		}
	}
	for _, r := range t.retired {
		e.blocks = append(e.blocks, r.block)
	}
	t.index.close()
	t.heap, t.ordinals, t.snapshots, t.retired = heap{}, ordinals{}, nil, nil
	e.settle()
}
