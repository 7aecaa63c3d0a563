package node

import (
	"testing"
)

func TestSnapshotTrouble(t *testing.T) {
	f := func(groups []uint32, want string) {
		t.Helper()
		if got := snapshotTrouble(groups); got != "the last snapshot of "+want+" failed, and the log grows until one succeeds: see the log of the process" {
			t.Errorf("%d: %s", groups, got)
		}
	}
	f([]uint32{3}, "shard 3")
	f([]uint32{directoryGroup}, "the directory")
	f([]uint32{0, groupOf(2, 7), directoryGroup}, "the directory and shards 0, 2")
	f([]uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, "shards 0, 1, 2, 3, 4, 5, 6, 7 and 2 more")
}
