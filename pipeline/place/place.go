// Package place says in which place of a table a point lies: a circle around a point, or polygons.
//
// It is pure and exact: coordinates are whole millionths of a degree (0.11 m at most), and everything is compared in integers, so
// every machine gives the same answer.
package place

import (
	"errors"
	"fmt"
	"math"
)

// Bounds of a table.
const (
	MaxPlaces = 100_000
	MaxPoints = 10_000 // corners of one place
	MaxRadius = 50_000 // metres
	MaxID     = 128    // bytes
	// MaxCircleLatitude is how far from the equator the centre of a circle may be, in degrees: beyond it a circle of
	// degrees, stretched by the cosine of its latitude, is too far from a circle on the ground.
	MaxCircleLatitude = 85
)

// Point is a position, in degrees (WGS 84).
type Point struct{ Latitude, Longitude float64 }

// Check says what is wrong with it.
func (p Point) Check() error {
	if !(math.Abs(p.Latitude) <= 90) {
		return fmt.Errorf("a latitude is -90 to 90, not %v", p.Latitude)
	}
	if !(math.Abs(p.Longitude) <= 180) {
		return fmt.Errorf("a longitude is -180 to 180, not %v", p.Longitude)
	}
	return nil
}

// Place is a circle, or what lies within an odd number of rings: an outline, outlines, outlines with holes in them.
type Place struct {
	ID     string
	Centre Point
	Radius float64   // metres; 0 for one with rings
	Rings  [][]Point // each of three points or more; the last is joined to the first
}

// Table finds places. It does not change, and may be used by several goroutines.
type Table struct {
	places []shape
	ids    []string
	cells  map[cell][]int32 // the places that reach into a cell, in their order
	wide   []int32          // those that reach into too many
}

// micro is a position or distance in millionths of a degree.
type micro = int64

const (
	turn     micro = 360e6
	cellSize micro = 100_000
	maxCells       = 4096 // of one place; beyond it a place is wide

	metres = 0.11119508 // of a millionth of a degree of latitude, on a sphere of 6,371,008.8 m

	fraction = 20 // bits of cosine
)

type (
	cell  struct{ x, y int32 }
	point struct{ x, y micro } // longitude, latitude
)

type shape struct {
	low, high point // of the box around it; low.x is within a turn, high.x may be beyond
	centre    point
	square    micro // of the radius
	cosine    micro // of the centre's latitude, as a fraction
	rings     [][]point
}

func toMicro(degrees float64) micro { return micro(math.Round(degrees * 1e6)) }

func toPoint(p Point) point { return point{toMicro(p.Longitude), toMicro(p.Latitude)} }

// New makes a table. Where places overlap, a point is in the one that stands first. The error names the place.
func New(places []Place) (*Table, error) {
	if len(places) > MaxPlaces {
		return nil, fmt.Errorf("%d places; at most %d", len(places), MaxPlaces)
	}
	t := &Table{cells: make(map[cell][]int32)}
	seen := make(map[string]bool, len(places))
	for i := range places {
		p := &places[i]
		s, err := newShape(p)
		if err == nil && seen[p.ID] {
			err = errors.New("it is there twice")
		}
		if err != nil {
			return nil, fmt.Errorf("place %q: %w", p.ID, err)
		}
		seen[p.ID] = true
		t.places, t.ids = append(t.places, s), append(t.ids, p.ID)
		t.index(int32(i), &s)
	}
	return t, nil
}

// IDs are the ids of the places, in their order.
func (t *Table) IDs() []string { return t.ids }

func newShape(p *Place) (shape, error) {
	switch {
	case p.ID == "":
		return shape{}, errors.New("it has no id")
	case len(p.ID) > MaxID:
		return shape{}, fmt.Errorf("its id is over %d bytes", MaxID)
	case len(p.Rings) > 0:
		return newRings(p)
	}
	if err := p.Centre.Check(); err != nil {
		return shape{}, err
	}
	switch {
	case math.Abs(p.Centre.Latitude) > MaxCircleLatitude:
		return shape{}, fmt.Errorf("a circle lies within %d degrees of the equator; draw a polygon", MaxCircleLatitude)
	case !(p.Radius >= 1 && p.Radius <= MaxRadius):
		return shape{}, fmt.Errorf("a radius is 1 to %d metres, not %v; draw a polygon for more", MaxRadius, p.Radius)
	}
	r := micro(math.Ceil(p.Radius / metres))
	s := shape{centre: toPoint(p.Centre), square: r * r}
	s.cosine = micro(math.Round(math.Cos(p.Centre.Latitude*math.Pi/180) * (1 << fraction)))
	wide := r<<fraction/s.cosine + 1
	s.low = point{s.centre.x - wide, s.centre.y - r}
	s.high = point{s.centre.x + wide, s.centre.y + r}
	return s, nil
}

func newRings(p *Place) (shape, error) {
	s := shape{low: point{turn, turn}, high: point{-turn, -turn}}
	points := 0
	for _, ring := range p.Rings {
		if n := len(ring); n > 1 && ring[0] == ring[n-1] { // GeoJSON closes its rings
			ring = ring[:n-1]
		}
		if len(ring) < 3 {
			return shape{}, errors.New("a polygon has three corners or more")
		}
		if points += len(ring); points > MaxPoints {
			return shape{}, fmt.Errorf("it has over %d corners; draw it more coarsely", MaxPoints)
		}
		out := make([]point, len(ring))
		for i, q := range ring {
			if err := q.Check(); err != nil {
				return shape{}, err
			}
			at := toPoint(q)
			out[i] = at
			s.low = point{min(s.low.x, at.x), min(s.low.y, at.y)}
			s.high = point{max(s.high.x, at.x), max(s.high.y, at.y)}
			if i > 0 && abs(at.x-out[i-1].x) > turn/2 {
				return shape{}, errors.New("it crosses the 180th meridian; cut it there into two polygons")
			}
		}
		s.rings = append(s.rings, out)
	}
	return s, nil
}

func abs(v micro) micro { return max(v, -v) }

// index enters place i into the cells that its box reaches into.
func (t *Table) index(i int32, s *shape) {
	low, high := cellOf(s.low), cellOf(s.high)
	if (int64(high.x)-int64(low.x)+1)*(int64(high.y)-int64(low.y)+1) > maxCells {
		t.wide = append(t.wide, i)
		return
	}
	for y := low.y; y <= high.y; y++ {
		for x := low.x; x <= high.x; x++ {
			c := cell{wrap(x), y}
			if list := t.cells[c]; len(list) == 0 || list[len(list)-1] != i {
				t.cells[c] = append(list, i)
			}
		}
	}
}

func cellOf(p point) cell { return cell{int32(floor(p.x)), int32(floor(p.y))} }

func floor(v micro) micro {
	if v < 0 {
		return -((cellSize - 1 - v) / cellSize)
	}
	return v / cellSize
}

// wrap brings the number of a column to one turn: -180 degrees is 180.
func wrap(x int32) int32 {
	const columns = int32(turn / cellSize)
	return ((x % columns) + columns) % columns
}

// Find is the index of the first place that a point lies in, given in degrees; -1 when it lies in none, or is no point.
func (t *Table) Find(latitude, longitude float64) int {
	at := Point{latitude, longitude}
	if at.Check() != nil {
		return -1
	}
	p := toPoint(at)
	c := cellOf(p)
	c.x = wrap(c.x)
	found := t.first(t.cells[c], p)
	if wide := t.first(t.wide, p); found < 0 || wide >= 0 && wide < found {
		found = wide
	}
	return found
}

func (t *Table) first(list []int32, p point) int {
	for _, i := range list {
		if t.places[i].contains(p) {
			return int(i)
		}
	}
	return -1
}

func (s *shape) contains(p point) bool {
	if p.y < s.low.y || p.y > s.high.y {
		return false
	}
	if s.rings == nil {
		dx := abs(p.x - s.centre.x)
		dx = min(dx, turn-dx) * s.cosine >> fraction
		dy := p.y - s.centre.y
		return dx*dx+dy*dy <= s.square
	}
	return p.x >= s.low.x && p.x <= s.high.x && odd(s.rings, p)
}

// odd says whether a ray to the east crosses the rings an odd number of times. A corner belongs to the edge below it, so a point
// on the border of two places that share it is in exactly one of them.
func odd(rings [][]point, p point) bool {
	inside := false
	for _, r := range rings {
		b := r[len(r)-1]
		for _, a := range r {
			if (a.y > p.y) != (b.y > p.y) {
				// p lies west of the edge: compare p.x with a.x + (b.x-a.x) * (p.y-a.y) / (b.y-a.y).
				left, right := (p.x-a.x)*(b.y-a.y), (b.x-a.x)*(p.y-a.y)
				if (left < right) == (b.y > a.y) && left != right {
					inside = !inside
				}
			}
			b = a
		}
	}
	return inside
}
