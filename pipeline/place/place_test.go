package place

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// ground is the distance of two points in metres, by the haversine formula.
func ground(a, b Point) float64 {
	const radius, degree = 6_371_008.8, math.Pi / 180
	sin2 := func(x float64) float64 { return math.Sin(x/2) * math.Sin(x/2) }
	h := sin2((b.Latitude-a.Latitude)*degree) +
		math.Cos(a.Latitude*degree)*math.Cos(b.Latitude*degree)*sin2((b.Longitude-a.Longitude)*degree)
	return 2 * radius * math.Asin(math.Sqrt(h))
}

// TestCircles compares circles all over the world with distances on the ground: within two parts in a hundred of the radius.
func TestCircles(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		centre := Point{rnd.Float64()*120 - 60, rnd.Float64()*360 - 180}
		radius := math.Exp(rnd.Float64()*6 + 3)
		table, err := New([]Place{{ID: "a", Centre: centre, Radius: radius}})
		if err != nil {
			t.Fatal(err)
		}
		angle, far := rnd.Float64()*2*math.Pi, radius*rnd.Float64()*2/111195
		p := Point{centre.Latitude + far*math.Sin(angle), centre.Longitude + far*math.Cos(angle)/math.Cos(centre.Latitude*math.Pi/180)}
		if p.Longitude > 180 {
			p.Longitude -= 360
		} else if p.Longitude < -180 {
			p.Longitude += 360
		}
		away := ground(centre, p)
		in := table.Find(p.Latitude, p.Longitude) == 0
		if in && away > radius*1.02+1 || !in && away < radius*0.98-1 {
			t.Fatalf("%v, %.0f m from %v with a radius of %.0f m: in is %v", p, away, centre, radius, in)
		}
	}
}

// TestIndex compares Find with looking at every place.
func TestIndex(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var places []Place
		span := []float64{0.01, 1, 50, 170}[rnd.IntN(4)]
		point := func() Point { return Point{(rnd.Float64() - 0.5) * span, (rnd.Float64() - 0.5) * 2 * span} }
		for i := range 40 {
			p := Place{ID: fmt.Sprint(i)}
			if rnd.IntN(2) == 0 {
				p.Centre, p.Radius = point(), 1+rnd.Float64()*span*20_000
				p.Radius, p.Centre.Latitude = min(p.Radius, MaxRadius), max(-80, min(80, p.Centre.Latitude))
			} else {
				a, b := point(), (rnd.Float64()+0.01)*min(span, 90)/10
				p.Rings = [][]Point{{a, {a.Latitude, a.Longitude + b}, {a.Latitude + b/2, a.Longitude + b/2}}}
			}
			places = append(places, p)
		}
		table, err := New(places)
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			p := point()
			want := -1
			for i := range table.places {
				if table.places[i].contains(toPoint(p)) {
					want = i
					break
				}
			}
			if got := table.Find(p.Latitude, p.Longitude); got != want {
				t.Fatalf("%v is in %d, want %d", p, got, want)
			}
		}
	}
}

func square(id string, south, west, size float64) Place {
	return Place{ID: id, Rings: [][]Point{{{south, west}, {south, west + size}, {south + size, west + size}, {south + size, west}}}}
}

func TestPolygons(t *testing.T) {
	holed := square("holed", 0, 0, 10)
	holed.Rings = append(holed.Rings, square("", 4, 4, 2).Rings[0])
	table, err := New([]Place{square("small", 1, 1, 1), holed, square("east", 0, 10, 5), square("south pole", -90, -180, 30)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		latitude, longitude float64
		want                int
	}{
		{1.5, 1.5, 0}, {3, 3, 1}, {5, 5, -1}, {3, 9.999999, 1}, {3, 10, 2}, // a border is in one of both
		{11, 5, -1}, {-1, 5, -1}, {-85, -170, 3}, {-85, 170, -1},
		{math.NaN(), 0, -1}, {0, math.Inf(1), -1}, {91, 0, -1}, {0, 181, -1},
	} {
		if got := table.Find(c.latitude, c.longitude); got != c.want {
			t.Errorf("%v, %v is in %d, want %d", c.latitude, c.longitude, got, c.want)
		}
	}
}

func TestPlacesThatAreRefused(t *testing.T) {
	corner := Point{1, 1}
	for _, c := range []struct {
		place Place
		want  string
	}{
		{Place{Centre: corner, Radius: 5}, "no id"},
		{Place{ID: strings.Repeat("x", 129), Centre: corner, Radius: 5}, "over 128 bytes"},
		{Place{ID: "a", Centre: corner}, "radius is 1 to 50000 metres, not 0"},
		{Place{ID: "a", Centre: corner, Radius: math.NaN()}, "radius is 1"},
		{Place{ID: "a", Centre: Point{95, 0}, Radius: 5}, "latitude is -90 to 90, not 95"},
		{Place{ID: "a", Centre: Point{0, math.NaN()}, Radius: 5}, "longitude is"},
		{Place{ID: "a", Centre: Point{86, 0}, Radius: 5}, "draw a polygon"},
		{Place{ID: "a", Rings: [][]Point{{corner, {2, 2}, corner}}}, "three corners"},
		{Place{ID: "a", Rings: [][]Point{{{0, 179}, {0, -179}, {1, 179}}}}, "cut it there"},
		{Place{ID: "a", Rings: [][]Point{make([]Point, MaxPoints+2)}}, "more coarsely"},
	} {
		if _, err := New([]Place{c.place}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.place.ID, err, c.want)
		}
	}
	if _, err := New([]Place{square("a", 0, 0, 1), square("a", 5, 5, 1)}); err == nil || !strings.Contains(err.Error(), `place "a": it is there twice`) {
		t.Errorf("twice: %v", err)
	}
}

func TestReadCSVAndGeoJSON(t *testing.T) {
	places, err := Read("stores.csv", []byte("\xef\xbb\xbfname,id,radius,latitude,longitude\n\"The Headrow, Leeds\",leeds,120,53.7997,-1.5492\nx, york ,80,53.96,-1.08\n"))
	if err != nil || len(places) != 2 || places[0].ID != "leeds" || places[0].Centre != (Point{53.7997, -1.5492}) || places[0].Radius != 120 || places[1].ID != "york " {
		t.Errorf("%+v %v", places, err)
	}
	places, err = Read("zones.geojson", []byte(`{"type":"FeatureCollection","features":[
		{"type":"Feature","id":7,"properties":{"id":"no"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[2,0],[2,2,99],[0,0]]]}},
		{"type":"Feature","properties":{"id":"p","radius":50},"geometry":{"type":"Point","coordinates":[3,4]}},
		{"type":"Feature","properties":{"id":"m"},"geometry":{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1]]],[[[5,5],[6,5],[6,6]]]]}}]}`))
	if err != nil || len(places) != 3 || places[0].ID != "7" || places[0].Rings[0][2] != (Point{2, 2}) || places[1].Centre != (Point{4, 3}) || len(places[2].Rings) != 2 {
		t.Errorf("%+v %v", places, err)
	}
	for text, want := range map[string]string{
		"stores.csv":                      "no line with the names",
		"stores.csv|id,latitude,radius\n": `no column "longitude"; it has id, latitude, radius`,
		"stores.csv|id,latitude,longitude,radius\na,1,x,5": `line 2: "x" is no number`,
		"z.geojson|[]":                 "not GeoJSON",
		`z.geojson|{"type":"Feature"}`: "wanted: a FeatureCollection",
		`z.geojson|{"type":"FeatureCollection","features":[{"geometry":{"type":"Polygon","coordinates":[]}}]}`:            "feature 1: it has no id",
		`z.geojson|{"type":"FeatureCollection","features":[{"id":"a","geometry":{"type":"Polygon","coordinates":[]}}]}`:   "no corners",
		`z.geojson|{"type":"FeatureCollection","features":[{"id":"a","geometry":{"type":"Point","coordinates":[1]}}]}`:    "[longitude, latitude]",
		`z.geojson|{"type":"FeatureCollection","features":[{"id":"a","geometry":{"type":"LineString","coordinates":1}}]}`: "wanted: a Polygon",
	} {
		name, body, _ := strings.Cut(text, "|")
		if _, err := Read(name, []byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("a.csv", []byte("id,latitude,longitude,radius\na,1,2,3\n"))
	f.Add("a.geojson", []byte(`{"type":"FeatureCollection","features":[{"id":"a","geometry":{"type":"Polygon","coordinates":[[[0,0],[2,0],[2,2]]]}}]}`))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		places, err := Read(name, text)
		if err != nil {
			return
		}
		if table, err := New(places); err == nil {
			for i := range places {
				at := places[i].Centre
				if len(places[i].Rings) > 0 {
					at = places[i].Rings[0][0]
				}
				if got := table.Find(at.Latitude, at.Longitude); places[i].Radius > 0 && len(places[i].Rings) == 0 && (got < 0 || got > i) {
					t.Fatalf("the centre of %+v is in %d", places[i], got)
				}
			}
		}
	})
}

func BenchmarkFind(b *testing.B) {
	rnd := rand.New(rand.NewPCG(5, 6))
	places := make([]Place, 10_000)
	for i := range places {
		places[i] = Place{ID: fmt.Sprint(i), Centre: Point{50 + rnd.Float64()*8, rnd.Float64()*8 - 6}, Radius: 150}
	}
	table, err := New(places)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := places[i%len(places)].Centre
		if table.Find(at.Latitude, at.Longitude) < 0 {
			b.Fatal("not found")
		}
	}
}
