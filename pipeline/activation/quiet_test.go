package activation

import (
	"testing"
	"time"

	"dashi/pipeline/zone"
)

// TestQuietEnds: the end of quiet hours lies outside of them, also where it is in the hour that clocks skip: whoever asks again there would be sent on by a millisecond,
// millions of times.
func TestQuietEnds(t *testing.T) {
	for _, c := range []struct {
		zone     string
		from, to time.Duration
		at, end  string
	}{
		{"America/New_York", 22 * time.Hour, 2 * time.Hour, "2026-03-08T04:30:00Z", "2026-03-08T07:00:00Z"}, // 02:00 does not exist that night: EST ends at 07:00 UTC
		{"America/New_York", 22 * time.Hour, 2*time.Hour + 30*time.Minute, "2026-03-08T04:30:00Z", "2026-03-08T07:00:00Z"},
		{"America/New_York", 22 * time.Hour, 7 * time.Hour, "2026-03-08T04:30:00Z", "2026-03-08T11:00:00Z"},
		{"America/New_York", 22 * time.Hour, 7 * time.Hour, "2026-11-01T03:30:00Z", "2026-11-01T12:00:00Z"}, // clocks are set back
		{"Europe/Berlin", 22 * time.Hour, 2*time.Hour + 30*time.Minute, "2026-03-28T22:30:00Z", "2026-03-29T01:00:00Z"},
		{"Europe/London", 21 * time.Hour, 1 * time.Hour, "2026-03-28T23:30:00Z", "2026-03-29T01:00:00Z"},
		{"Africa/Cairo", 20 * time.Hour, 0, "2026-04-23T20:00:00Z", "2026-04-23T22:00:00Z"}, // from 00:00 to 01:00
	} {
		z, err := zone.Load(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		q := &Quiet{From: c.from.Milliseconds(), To: c.to.Milliseconds(), Zone: z}
		at, _ := time.Parse(time.RFC3339, c.at)
		ms, ok := q.End(at.UnixMilli(), z)
		if end := time.UnixMilli(ms).UTC().Format(time.RFC3339); !ok || end != c.end {
			t.Errorf("%s, quiet from %v to %v: at %s until %s, %v; want %s", c.zone, c.from, c.to, c.at, end, ok, c.end)
		}
		if _, still := q.End(ms, z); still {
			t.Errorf("%s, quiet from %v to %v: it is quiet at the end", c.zone, c.from, c.to)
		}
	}
}
