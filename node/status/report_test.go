package status

import (
	"strings"
	"testing"
	"time"

	"dashi/shard"
)

// A node whose clock is an hour ahead moves the time of all shards: the others say so, since windows are empty until their own clocks have come there.
func TestClockAhead(t *testing.T) {
	const tolerance = 10 * time.Second
	today := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	f := func(now time.Time, byEvents bool, want string) {
		t.Helper()
		var st Status
		st.FillClock([]*Report{nil, {Shard: shard.Stats{Now: now.UnixMilli(), ByEvents: byEvents}}}, today.UnixMilli(), tolerance)
		if got := strings.Join(st.Trouble, "; "); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("shards at %v, clock at %v: trouble %q, want %q", now, today, got, want)
		}
	}
	f(today.Add(time.Hour), false, "is 1h ahead of the clock of this node")
	f(today.Add(time.Hour), true, "") // the times of events may be any
	f(today.Add(tolerance), false, "")
	f(today.Add(-time.Hour), false, "")
	f(time.UnixMilli(shard.NoTime), false, "")
}
