package shard

import (
	"encoding/binary"
	"slices"

	"dashi/pipeline/attribute"
)

// draft holds the segments of the record that an event is applied to, once one of them has changed its length. The naive way, to write each
// straight to the record, moves a young record three or four times in one event, and changing the index and the free lists every time
// was a fifth of what reading a backlog costs. What keeps its length is edited where it is, in the record or in the draft.
type draft struct {
	open      bool
	dir, data []byte
}

// begin forgets the draft of the record before.
func (d *draft) begin() { d.open = false }

// set makes b segment i of the state, and has the state read the draft from then on. b must not lie in the draft.
func (d *draft) set(state *attribute.State, i int, b []byte) {
	if !d.open {
		d.open = true
		d.dir, d.data = append(d.dir[:0], state.Dir...), append(d.data[:0], state.Data...)
	}
	start, end := 0, int(binary.LittleEndian.Uint32(d.dir[4*i:]))
	if i > 0 {
		start = int(binary.LittleEndian.Uint32(d.dir[4*i-4:]))
	}
	if more := len(b) - (end - start); more != 0 {
		was := len(d.data)
		d.data = slices.Grow(d.data, max(more, 0))[:max(was, was+more)]
		copy(d.data[end+more:], d.data[end:was])
		d.data = d.data[:was+more]
		for at := 4 * i; at < len(d.dir); at += 4 {
			e := binary.LittleEndian.Uint32(d.dir[at:])
			binary.LittleEndian.PutUint32(d.dir[at:], uint32(int(e)+more))
		}
	}
	copy(d.data[start:], b)
	state.Dir, state.Data = d.dir, d.data
}
