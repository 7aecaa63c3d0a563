package zone

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"math"
	"sort"
	"strings"
	"sync"
	"time"

	"dashi/pipeline/spell"
)

// Release is the release of the IANA time zone database.
const Release = "2025c"

//go:embed zoneinfo-2025c.zip
var archive []byte

const (
	day   = 24 * 60 * 60 * 1000
	first = -2 * day            // rules are followed from here ...
	last  = 7_258_118_400_000   // ... to 2200-01-01
	most  = 26 * 60 * 60 * 1000 // no two offsets of a zone are farther apart
)

// Zone is one time zone. The zero Zone is UTC.
type Zone struct {
	name string
	// from and offset are the periods of one offset each: from[i], in milliseconds since 1970, to from[i+1].
	// Both are empty for UTC.
	from, offset []int64
	// chunks says for every stretch of chunk milliseconds which period its beginning is in: a search costs too much where days
	// are asked for with every event.
	chunks   []uint16
	location *time.Location
}

const chunk = 1 << 32 // about 50 days

// files is the index of the archive, made once.
var files = sync.OnceValue(func() map[string]*zip.File {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		panic("BUG: the zone files cannot be read: " + err.Error())
	}
	index := make(map[string]*zip.File, len(r.File))
	for _, f := range r.File {
		if !strings.HasSuffix(f.Name, "/") {
			index[f.Name] = f
		}
	}
	return index
})

// Names lists the zones, sorted.
func Names() []string {
	var names []string
	for name := range files() {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Near is the zone that was likely meant by a name that is none, such as Berlin or Europe/Berln; "" when there is no such.
func Near(name string) string {
	names := Names()
	for _, n := range names {
		if _, city, ok := strings.Cut(n, "/"); ok && strings.EqualFold(city, strings.ReplaceAll(name, " ", "_")) {
			return n
		}
	}
	return spell.Closest(name, names)
}

// Load returns the zone with an IANA name such as Europe/London, or UTC.
func Load(name string) (*Zone, error) {
	if name == "UTC" {
		return &Zone{name: name, location: time.UTC}, nil
	}
	f := files()[name]
	if f == nil {
		return nil, fmt.Errorf("unknown time zone %q", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("cannot read time zone %q: %w", name, err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("cannot read time zone %q: %w", name, err)
	}
	location, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		return nil, fmt.Errorf("cannot read time zone %q: %w", name, err)
	}
	z := &Zone{name: name, location: location}
	for at := int64(first); at < last; {
		t := time.UnixMilli(at).In(location)
		_, seconds := t.Zone()
		if n := len(z.offset); n == 0 || z.offset[n-1] != int64(seconds)*1000 {
			z.from = append(z.from, at)
			z.offset = append(z.offset, int64(seconds)*1000)
		}
		_, end := t.ZoneBounds()
		if end.IsZero() {
			break
		}
		if e := end.UnixMilli(); e > at {
			at = e
		} else { // ZoneBounds may answer so at the turn of a year, where no offset changes
			at += day
		}
	}
	z.from[0] = math.MinInt64
	for at, i := int64(first), 0; at < last; at += chunk {
		for i+1 < len(z.from) && z.from[i+1] <= at {
			i++
		}
		z.chunks = append(z.chunks, uint16(i))
	}
	return z, nil
}

// Name is the name that it was loaded by.
func (z *Zone) Name() string {
	if z.name == "" {
		return "UTC"
	}
	return z.name
}

// Location is the zone for package time, from the same rules.
func (z *Zone) Location() *time.Location {
	if z == nil || z.location == nil {
		return time.UTC
	}
	return z.location
}

// period is the index of the period that holds ms.
func (z *Zone) period(ms int64) int {
	i := 0
	if at := (ms - first) / chunk; ms >= first {
		i = int(z.chunks[min(int(at), len(z.chunks)-1)])
	}
	for i+1 < len(z.from) && z.from[i+1] <= ms {
		i++
	}
	return i
}

// Offset is how far the zone's clocks are ahead of UTC at an instant, in milliseconds.
func (z *Zone) Offset(ms int64) int64 {
	if len(z.from) == 0 {
		return 0
	}
	return z.offset[z.period(ms)]
}

// Period is the offset of an instant, and from when to before when it holds, in milliseconds.
func (z *Zone) Period(ms int64) (offset, from, to int64) {
	if len(z.from) == 0 {
		return 0, math.MinInt64, math.MaxInt64
	}
	i := z.period(ms)
	if to = math.MaxInt64; i+1 < len(z.from) {
		to = z.from[i+1]
	}
	return z.offset[i], z.from[i], to
}

// Day is the day of an instant in milliseconds since 1970.
func (z *Zone) Day(ms int64) int64 {
	if len(z.from) == 0 {
		return floor(ms, day)
	}
	i := z.period(ms)
	d := floor(ms+z.offset[i], day)
	if i > 0 && ms-z.from[i] < most && z.Start(d+1) <= ms { // clocks were set back over midnight: the day has begun already
		d++
	}
	return d
}

// Start is the first instant of a day, in milliseconds since 1970.
func (z *Zone) Start(d int64) int64 {
	midnight := d * day // if the offset were 0
	if len(z.from) == 0 {
		return midnight
	}
	for i := z.period(midnight - most); ; i++ {
		at := max(midnight-z.offset[i], z.from[i])
		if i+1 == len(z.from) || at < z.from[i+1] {
			return at
		}
	}
}

func floor(a, b int64) int64 {
	q := a / b
	if a < 0 && q*b != a {
		q--
	}
	return q
}
