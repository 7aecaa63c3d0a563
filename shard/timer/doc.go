// Package timer is the queue of instants at which profiles wake: one instant a profile, by the ordinal of its record.
//
// It is a hierarchical timing wheel (Varghese and Lauck, 1987): eight levels of 64 slots, a slot of level n being
// 64^n milliseconds wide. A timer stands in the lowest level at which its instant and the queue's position share a round; when
// the position enters a slot, what stands there moves down. A slot is a ring of timers, linked by ordinals in both directions, so
// that one is taken out in a few writes and none is ever left behind dead. 14 bytes a timer, in pages without pointers.
//
// It does not read a clock, and does not know what happens when a timer is due: the shard does.
//
// What the caller does: Set and Clear at any time; Pop again and again with the clock's instant, until there is none left or
// the work that it allowed is done. Set takes no instant before the position, which Pop has moved: such a one is due at once.
//
// Invariants:
//
//	I1  Pop gives every timer once, in the order of instants, and no timer before its instant.
//	I2  Timers of one instant come in an order that depends on the calls so far only: replicas agree, also with one that
//	    was restored.
//	I3  No call does more than a bounded amount of work: Set and Clear touch four timers, Pop is told how many it may move.
//	I4  A Frozen queue stays as it was, whatever happens to the queue.
//	I5  What Restore takes makes the queue that was written, to the order in every slot; damage is an error.
//
// One goroutine at a time writes (Set, Clear, Pop, Freeze); any number read (Due, Next, Len) while nobody writes. A Frozen may be
// read on any goroutine.
package timer
