package shard

import (
	"encoding/binary"
	"testing"
)

func TestMembersBefore(t *testing.T) {
	in := map[int]bool{0: true, 5: true, 63: true, 64: true, 100: true, 190: true}
	members := make([]byte, 8*3)
	for i := range in {
		at := members[i/64*8:]
		binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)|1<<(i%64))
	}
	want := 0
	for i := range 192 {
		if got := membersBefore(members, i); got != want {
			t.Fatalf("%d members before %d, want %d", got, i, want)
		}
		if in[i] {
			want++
		}
	}
}
