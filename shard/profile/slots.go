package profile

import (
	"encoding/binary"
	"math/bits"
)

// Pages are divided into slots without gaps (I6). A location is a page number and a unit in that page; a slot begins
// with its length in units and its flags. A free slot goes on with its neighbours in the list of its size, and ends with
// its length again, so that whoever follows it can find where it begins (boundary tags: Knuth 2.5, algorithm C).
//
// Naive: a list per size without merging. But records grow, all by about as much at about the same time; they leave holes that are too
// small for any record of that age, and the pages fill up with them. Merging costs a few nanoseconds and gives pages back.
const (
	unit      = 16
	pageUnits = PageSize / unit
	unitBits  = 12 // of a location: 2^20 pages of 2^12 units are 64 GiB
	maxSmall  = 16 << 10
	maxPages  = 1 << (32 - unitBits)

	// bins: one per length up to maxSmall, and one for all longer slots.
	longBin = maxSmall/unit + 1
	bins    = longBin + 1

	nextAt = 4 // uint32, in a free slot
	prevAt = 8 // uint32
	tailAt = 4 // uint32, from the end: the length

	isRecord = 1 << 0
	prevFree = 1 << 1 // the slot before it, in the same page, is free
)

// heap is the pages of a table and what is free in them.
type heap struct {
	pages  [][]byte // by page number; number 0 is not used, nil is a number without a page
	vacant []uint32 // numbers without a page
	free   [bins]uint32
	some   [(bins + 63) / 64]uint64 // a bit per bin that is not empty
	empty  int                      // pages that are one free slot
	held   int                      // bytes of the blocks of pages
}

func location(page uint32, at int) uint32 { return page<<unitBits | uint32(at/unit) }

// slot is the bytes from a location to the end of its page, for reading.
func (t *Table) slot(loc uint32) []byte {
	return t.heap.pages[loc>>unitBits][loc%pageUnits*unit:]
}

// edit is slot for writing: the page is the table's own afterwards.
func (t *Table) edit(loc uint32) []byte {
	if len(t.snapshots) != 0 {
		t.protect(loc >> unitBits)
	}
	return t.slot(loc)
}

func unitsOf(b []byte) int { return int(binary.LittleEndian.Uint16(b[unitsAt:])) }

func setSlot(b []byte, units int, flags byte) {
	binary.LittleEndian.PutUint16(b[unitsAt:], uint16(units))
	b[flagsAt] = flags
	b[flagsAt+1] = 0
}

func bin(units int) int { return min(units, longBin) }

// alloc takes a slot of that many units, no more than maxSmall bytes, and marks it as a record. The best fit is taken and
// what is too much of it stays free.
func (t *Table) alloc(units int) uint32 {
	loc := t.fit(units)
	b := t.edit(loc)
	t.take(loc, b, unitsOf(b), units, 0)
	return loc
}

// fit is the location of the shortest free slot that is long enough, in a new page if there is none.
func (t *Table) fit(units int) uint32 {
	h := &t.heap
	word := h.some[units/64] >> (units % 64) << (units % 64)
	for i := units / 64; ; word = h.some[i] {
		if word != 0 {
			return h.free[i*64+bits.TrailingZeros64(word)]
		}
		if i++; i == len(h.some) {
			break
		}
	}
	loc := location(t.newPage(PageSize), 0)
	b := t.edit(loc)
	setSlot(b, pageUnits, 0)
	t.link(loc, b, pageUnits)
	return loc
}

// take makes the first units of the free slot at loc, which has got units, a record; the rest stays free.
func (t *Table) take(loc uint32, b []byte, got, units int, flags byte) {
	t.unlink(b, got)
	setSlot(b, units, isRecord|flags)
	t.setAfter(loc+uint32(units), b[units*unit:], got-units)
}

// setAfter makes what follows a record up to the next slot, units long and belonging to nobody, a free slot. It may be nothing.
func (t *Table) setAfter(loc uint32, b []byte, units int) {
	if units > 0 {
		setSlot(b, units, 0)
		t.link(loc, b, units)
	} else if len(b) > 0 {
		b[flagsAt] &^= prevFree
	}
}

// release frees the slot at loc and merges it with free neighbours. A page that becomes empty goes back, but for one.
func (t *Table) release(loc uint32) {
	b := t.edit(loc)
	units, flags := unitsOf(b), b[flagsAt]
	if next := b[units*unit:]; len(next) > 0 && next[flagsAt]&isRecord == 0 {
		n := unitsOf(next)
		t.unlink(next, n)
		units += n
	}
	if flags&prevFree != 0 {
		page := t.slot(loc &^ (pageUnits - 1))
		at := int(loc%pageUnits) * unit
		n := int(binary.LittleEndian.Uint32(page[at-tailAt:]))
		loc -= uint32(n)
		b = t.slot(loc)
		t.unlink(b, n)
		units += n
	}
	if units == pageUnits && t.heap.empty > 0 {
		t.dropPage(loc >> unitBits)
		return
	}
	setSlot(b, units, 0)
	t.link(loc, b, units)
}

// grow makes the record at loc longer in place, to want units or at least to units, out of the free slot after it.
func (t *Table) grow(loc uint32, b []byte, units, want int) bool {
	have := unitsOf(b)
	next := b[have*unit:]
	if len(next) == 0 || next[flagsAt]&isRecord != 0 || have+unitsOf(next) < units {
		return false
	}
	got := unitsOf(next)
	want = min(want, have+got)
	t.unlink(next, got)
	setSlot(b, want, b[flagsAt])
	t.setAfter(loc+uint32(want), b[want*unit:], have+got-want)
	return true
}

// trim makes the record at loc shorter.
func (t *Table) trim(loc uint32, b []byte, units int) {
	rest := unitsOf(b) - units
	setSlot(b, units, b[flagsAt])
	setSlot(b[units*unit:], rest, isRecord)
	t.release(loc + uint32(units))
}

// link puts a free slot into the list of its size. b is its page from there on, writable.
func (t *Table) link(loc uint32, b []byte, units int) {
	h := &t.heap
	i := bin(units)
	next := h.free[i]
	binary.LittleEndian.PutUint32(b[nextAt:], next)
	binary.LittleEndian.PutUint32(b[prevAt:], 0)
	binary.LittleEndian.PutUint32(b[units*unit-tailAt:], uint32(units))
	if units*unit < len(b) {
		b[units*unit+flagsAt] |= prevFree
	}
	if next != 0 {
		binary.LittleEndian.PutUint32(t.edit(next)[prevAt:], loc)
	}
	h.free[i] = loc
	h.some[i/64] |= 1 << (i % 64)
	if units == pageUnits {
		h.empty++
	}
}

// unlink takes a free slot out of its list.
func (t *Table) unlink(b []byte, units int) {
	h := &t.heap
	i := bin(units)
	next := binary.LittleEndian.Uint32(b[nextAt:])
	prev := binary.LittleEndian.Uint32(b[prevAt:])
	if next != 0 {
		binary.LittleEndian.PutUint32(t.edit(next)[prevAt:], prev)
	}
	if prev != 0 {
		binary.LittleEndian.PutUint32(t.edit(prev)[nextAt:], next)
	} else {
		h.free[i] = next
		if next == 0 {
			h.some[i/64] &^= 1 << (i % 64)
		}
	}
	if units == pageUnits {
		h.empty--
	}
}

// newPage gets a block and a number for it.
func (t *Table) newPage(n int) uint32 {
	h := &t.heap
	if len(h.vacant) == 0 {
		if len(h.pages) == maxPages {
			panic("profile: BUG: a table has more than 64 GiB of records")
		}
		h.vacant = append(h.vacant, uint32(len(h.pages)))
		h.pages = append(h.pages, nil)
	}
	page := h.vacant[len(h.vacant)-1]
	h.vacant = h.vacant[:len(h.vacant)-1]
	h.pages[page] = t.mem.Get(n)
	h.held += n
	return page
}

// dropPage gives a page and its number back.
func (t *Table) dropPage(page uint32) {
	h := &t.heap
	h.held -= len(h.pages[page])
	t.retire(page)
	h.pages[page] = nil
	h.vacant = append(h.vacant, page)
}
