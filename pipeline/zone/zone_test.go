package zone

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

func load(t interface{ Fatal(...any) }, name string) *Zone {
	z, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// civil is the day on the wall, from package time.
func civil(z *Zone, ms int64) int64 {
	t := time.UnixMilli(ms).In(z.Location())
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// I1, against package time: no instant before the start shows the day, the start does, and days never go back.
func TestDaysAgainstTheWall(t *testing.T) {
	names := []string{"UTC", "Europe/London", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Tokyo",
		"Pacific/Apia", "Australia/Lord_Howe", "America/Toronto", "Africa/Casablanca", "Asia/Tehran", "America/St_Johns"}
	for _, name := range names {
		z := load(t, name)
		rapid.Check(t, func(t *rapid.T) {
			at := rapid.Int64Range(0, last-1).Draw(t, "at")
			if n := len(z.from); n > 1 && rapid.Bool().Draw(t, "near a change") {
				at = z.from[rapid.IntRange(1, n-1).Draw(t, "change")] + rapid.Int64Range(-2*day, 2*day).Draw(t, "off")
			}
			if at < 0 || at >= last {
				return
			}
			d := z.Day(at)
			if start, next := z.Start(d), z.Start(d+1); start > at || next <= at {
				t.Fatalf("%s: %d is in day %d, from %d to %d", name, at, d, start, next)
			}
			if before := civil(z, z.Start(d)-1); before >= d {
				t.Fatalf("%s: the wall shows %d before the start of %d", name, before, d)
			}
			if on := civil(z, z.Start(d)); on < d {
				t.Fatalf("%s: the wall shows %d at the start of %d", name, on, d)
			}
			if wall := civil(z, at); wall > d || wall < d-1 {
				t.Fatalf("%s: day %d at %d, the wall shows %d", name, d, at, wall)
			}
		})
	}
}

// I2: one number stands for all days of all zones from 1970 to 2100. It changes with Release, and then replicas of two
// versions disagree about events near midnight: say so in the notes of that release.
func TestGoldenDays(t *testing.T) {
	h := xxhash.New()
	for _, name := range Names() {
		z := load(t, name)
		for d := int64(0); d < 47482; d += 13 {
			fmt.Fprintln(h, name, z.Start(d))
		}
	}
	if got := fmt.Sprintf("%d zones %016x", len(Names()), h.Sum64()); got != golden {
		t.Errorf("%s, want %s", got, golden)
	}
	berlin := load(t, "Europe/Berlin")
	var b strings.Builder
	for _, d := range []int64{0, 19807, 19808, 20023, 20024} { // 2024-03-25 begins an hour earlier than 2024-03-31 plus a day
		b.WriteString(time.UnixMilli(berlin.Start(d)).UTC().Format(time.RFC3339) + " ")
	}
	want := "1969-12-31T23:00:00Z 2024-03-24T23:00:00Z 2024-03-25T23:00:00Z 2024-10-26T22:00:00Z 2024-10-27T23:00:00Z "
	if b.String() != want {
		t.Errorf("%s, want %s", b.String(), want)
	}
}

const golden = "598 zones 6a94ddd42666f01a"

func TestLoadRefusesWhatIsNoZone(t *testing.T) {
	for _, name := range []string{"", "Local", "Europe/Nowhere", "../UTC", "Europe", "Europe/"} {
		if _, err := Load(name); err == nil {
			t.Errorf("%q was loaded", name)
		}
	}
	var zero Zone
	if zero.Name() != "UTC" || zero.Day(-1) != -1 || zero.Start(3) != 3*day || zero.Offset(0) != 0 || zero.Location() != time.UTC {
		t.Error("the zero zone is not UTC")
	}
	if z := load(t, "Asia/Tokyo"); z.Offset(0) != 9*3600*1000 || z.Name() != "Asia/Tokyo" {
		t.Error("Tokyo")
	}
}

func TestNoAllocations(t *testing.T) {
	z := load(t, "Europe/London")
	if n := testing.AllocsPerRun(100, func() { z.Start(z.Day(1_700_000_000_000)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDay(b *testing.B) {
	z := load(b, "Europe/London")
	for b.Loop() {
		z.Day(1_700_000_000_000)
	}
}
