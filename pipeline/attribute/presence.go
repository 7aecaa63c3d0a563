package attribute

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// PlaceSpec says which places there are and how long a report of one of them holds.
type PlaceSpec struct {
	IDs     []string // in any order
	Timeout int64    // milliseconds; DefaultPlaceTimeout when 0
}

// The bounds of a time-out, in milliseconds, and what a state keeps of the reports of where somebody is.
const (
	DefaultPlaceTimeout                     = hour
	MinPlaceTimeout, MaxPlaceTimeout        = minute, 30 * dayMs
	MaxReports                              = 192
	reportsInTimeout                        = 16
	reportRow                               = 14
	nowhere                          uint64 = 0
)

// presence is place and place_start: where somebody is, and since when, by reports of where they were.
//
// The latest report holds until the time-out; being there began with the first report of that place since one of
// another place, or of none, and since a silence as long as the time-out. A late report in the middle takes a stay apart, so
// the reports are kept: the latest of each sixteenth of a time-out, the newest MaxReports of them. Both are the greatest of a set, so
// order does not matter. The beginning of a stay is exact but for such a sixteenth, and never further back than what is kept.
type presence struct {
	scalar
	what          string
	timeout, cell int64
	most          int      // MaxReports
	hashes        []uint64 // of ids, rising
	ids           [][]byte
}

func newPresence(what string, s *PlaceSpec) (Kind, error) {
	k := &presence{what: what, timeout: s.Timeout, most: MaxReports}
	if k.timeout == 0 {
		k.timeout = DefaultPlaceTimeout
	}
	if k.timeout < MinPlaceTimeout || k.timeout > MaxPlaceTimeout {
		return nil, errors.New("a timeout is 1m to 30d")
	}
	k.cell = k.timeout / reportsInTimeout
	byHash := make(map[uint64]string, len(s.IDs))
	for _, id := range s.IDs {
		h := placeHash([]byte(id))
		if other, ok := byHash[h]; ok && other != id {
			return nil, fmt.Errorf("the places %q and %q cannot be told apart; rename one", other, id)
		}
		byHash[h] = id
		k.hashes = append(k.hashes, h)
	}
	slices.Sort(k.hashes)
	for _, h := range k.hashes {
		k.ids = append(k.ids, []byte(byHash[h]))
	}
	return k, nil
}

// placeHash is what a state keeps of an id; of the empty one, nowhere.
func placeHash(id []byte) uint64 {
	if len(id) == 0 {
		return nowhere
	}
	return max(xxhash.Sum64(id), nowhere+1)
}

func (k *presence) Name() string   { return k.what }
func (*presence) FixedSize() int   { return 0 }
func (*presence) HasSegment() bool { return true }

func (k *presence) Type() Type {
	if k.what == "place_start" {
		return Time
	}
	return String
}

func (*presence) accepts(in *Input) bool {
	return (&edgeString{}).accepts(in) && sessionTime(in.Time)
}

// Update takes the id of a place, or "" for nowhere.
func (k *presence) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	var r rows
	r.open(seg, reportRow)
	at := placeHash(in.Value.Str)
	i := r.search(in.Time / k.cell * k.cell)
	switch {
	case i < r.n && r.bucket(i)/k.cell == in.Time/k.cell:
		if row := r.row(i); later(in.Time, at, row) {
			put48(row, in.Time)
			put(row[6:], at)
		}
		return seg
	case i == 0 && r.n >= k.most:
		return seg
	}
	out, row := r.splice(scratch, max(0, r.n+1-k.most), i, i, in.Time)
	put(row[6:], at)
	return out
}

// later says whether a report counts rather than that of a row.
func later(ms int64, at uint64, row []byte) bool {
	old := get48(row)
	return ms > old || ms == old && at > get(row[6:])
}

func (k *presence) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	var x, y rows
	x.open(seg, reportRow)
	y.open(otherSeg, reportRow)
	if y.n == 0 {
		return seg
	}
	out := slices.Grow(scratch[:0], (x.n+y.n)*reportRow)
	for i, j := 0, 0; i < x.n || j < y.n; {
		switch {
		case j == y.n || i < x.n && x.bucket(i)/k.cell < y.bucket(j)/k.cell:
			out = append(out, x.row(i)...)
			i++
		case i == x.n || x.bucket(i)/k.cell > y.bucket(j)/k.cell:
			out = append(out, y.row(j)...)
			j++
		default:
			row := x.row(i)
			if other := y.row(j); later(get48(other), get(other[6:]), row) {
				row = other
			}
			out = append(out, row...)
			i++
			j++
		}
	}
	return out[:copy(out, out[max(0, len(out)-k.most*reportRow):])]
}

// latest is the latest report, while it holds. ok is false when there is none, or it is of no place that there is now.
func (k *presence) latest(r *rows, now int64) (id []byte, ok bool) {
	if r.n == 0 || now >= r.bucket(r.n-1)+k.timeout {
		return nil, false
	}
	i, found := slices.BinarySearch(k.hashes, get(r.row(r.n - 1)[6:]))
	if !found {
		return nil, false
	}
	return k.ids[i], true
}

// since is the first report of the stay that the latest report is of.
func (k *presence) since(r *rows) int {
	i := r.n - 1
	at := get(r.row(i)[6:])
	for i > 0 && get(r.row(i - 1)[6:]) == at && r.bucket(i)-r.bucket(i-1) < k.timeout {
		i--
	}
	return i
}

func (k *presence) Str(fixed, seg []byte, now int64) ([]byte, bool) {
	var r rows
	r.open(seg, reportRow)
	id, ok := k.latest(&r, now)
	return id, ok && k.what == "place"
}

func (k *presence) Num(fixed, seg []byte, now int64) (float64, bool) {
	var r rows
	r.open(seg, reportRow)
	if _, ok := k.latest(&r, now); !ok || k.what == "place" {
		return 0, false
	}
	return float64(r.bucket(k.since(&r))), true
}

// Since is when somebody was reported where they are, the latest time.
func (k *presence) Since(fixed, seg []byte) (at int64, ok bool) {
	var r rows
	r.open(seg, reportRow)
	if r.n == 0 {
		return 0, false
	}
	return r.bucket(r.n - 1), true
}

func (k *presence) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	if id, ok := k.Str(fixed, seg, now); ok {
		return AppendQuoted(dst, id)
	}
	if ms, ok := k.Num(fixed, seg, now); ok {
		return appendTimeString(dst, int64(ms))
	}
	return appendNull(dst)
}

func (k *presence) NextChange(fixed, seg []byte, now int64) int64 {
	var r rows
	r.open(seg, reportRow)
	if _, ok := k.latest(&r, now); !ok {
		return never
	}
	return r.bucket(r.n-1) + k.timeout
}

// truncated: the stay goes on where the state ends, and may have begun before.
func (k *presence) truncated(fixed, seg []byte, now int64) bool {
	var r rows
	r.open(seg, reportRow)
	_, ok := k.latest(&r, now)
	return ok && k.what == "place_start" && r.n >= k.most && k.since(&r) == 0
}
