package counted

import (
	"testing"
	"time"

	"dashi/shard"
)

// The hours of several shards are added up without gaps; a shard in which nothing happens keeps its size.
func TestFlowsAddUp(t *testing.T) {
	at := func(hours ...int64) (all []int64) {
		for _, h := range hours {
			all = append(all, h*Hour)
		}
		return all
	}
	lines := []Flows{
		{At: at(10, 12), Flows: []shard.Flow{{Entered: 5, Size: 5}, {Left: 2, Size: 3}}, Now: 3},
		{At: at(11), Flows: []shard.Flow{{Entered: 1, Left: 3, Size: 8}}, Now: 8},
		{Now: 4},
	}
	want := [][3]int64{{5, 0, 19}, {1, 3, 17}, {0, 2, 15}, {0, 0, 15}}
	hours := AddFlows(lines, 13*Hour)
	if len(hours) != len(want) || !hours[0].At.Equal(time.UnixMilli(10*Hour)) {
		t.Fatalf("%+v", hours)
	}
	for i, h := range hours {
		if got := [3]int64{h.Entered, h.Left, h.Size}; got != want[i] {
			t.Errorf("hour %d: %v, want %v", i, got, want[i])
		}
	}
	if hours := AddFlows(lines[2:], 13*Hour); len(hours) > 0 {
		t.Errorf("hours in which nothing happened: %+v", hours)
	}
}
