package place

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// IsFile says whether a file of this name holds places.
func IsFile(name string) bool {
	ext := path.Ext(name)
	return ext == ".csv" || ext == ".geojson"
}

// Read reads the places of a file: a CSV file with the columns id, latitude, longitude and radius (metres), in any order and among
// others; or a GeoJSON FeatureCollection (RFC 7946) of Polygons, MultiPolygons, and Points with a property radius. The id of a feature
// is its id, or its property id.
func Read(name string, text []byte) ([]Place, error) {
	if path.Ext(name) == ".geojson" {
		return readGeoJSON(text)
	}
	return readCSV(text)
}

func readCSV(text []byte) (places []Place, err error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if err != nil {
		return nil, errors.New("there is no line with the names of the columns: id,latitude,longitude,radius")
	}
	var columns [4]int
	for i, want := range []string{"id", "latitude", "longitude", "radius"} {
		if columns[i] = slices.Index(head, want); columns[i] < 0 {
			return nil, fmt.Errorf("there is no column %q; it has %s", want, strings.Join(head, ", "))
		}
	}
	for {
		row, err := r.Read()
		if err == io.EOF {
			return places, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		p := Place{ID: row[columns[0]]}
		for i, to := range []*float64{&p.Centre.Latitude, &p.Centre.Longitude, &p.Radius} {
			if *to, err = strconv.ParseFloat(row[columns[i+1]], 64); err != nil {
				return nil, fmt.Errorf("line %d: %q is no number", line, row[columns[i+1]])
			}
		}
		places = append(places, p)
	}
}

type feature struct {
	ID         any
	Properties struct {
		ID     any
		Radius float64
	}
	Geometry struct {
		Type        string
		Coordinates json.RawMessage
	}
}

func readGeoJSON(text []byte) (places []Place, err error) {
	var all struct {
		Type     string
		Features []feature
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("it is not GeoJSON: %w", err)
	}
	if all.Type != "FeatureCollection" {
		return nil, fmt.Errorf("it is a %q; wanted: a FeatureCollection", all.Type)
	}
	for i := range all.Features {
		p, err := all.Features[i].place()
		if err != nil {
			return nil, fmt.Errorf("feature %d: %w", i+1, err)
		}
		places = append(places, p)
	}
	return places, nil
}

func (f *feature) place() (p Place, err error) {
	id := f.ID
	if id == nil {
		id = f.Properties.ID
	}
	switch v := id.(type) {
	case string:
		p.ID = v
	case float64:
		p.ID = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return p, errors.New("it has no id, and no property id")
	}
	var polygons [][][]position
	switch f.Geometry.Type {
	case "Point":
		var at position
		if err := json.Unmarshal(f.Geometry.Coordinates, &at); err != nil {
			return p, err
		}
		p.Centre, p.Radius = Point(at), f.Properties.Radius
		return p, nil
	case "Polygon":
		polygons = make([][][]position, 1)
		err = json.Unmarshal(f.Geometry.Coordinates, &polygons[0])
	case "MultiPolygon":
		err = json.Unmarshal(f.Geometry.Coordinates, &polygons)
	default:
		return p, fmt.Errorf("it is a %q; wanted: a Polygon, a MultiPolygon, or a Point with a property radius", f.Geometry.Type)
	}
	for _, polygon := range polygons {
		for _, ring := range polygon {
			points := make([]Point, len(ring))
			for i := range ring {
				points[i] = Point(ring[i])
			}
			p.Rings = append(p.Rings, points)
		}
	}
	if err == nil && len(p.Rings) == 0 {
		err = errors.New("its polygon has no corners")
	}
	return p, err
}

// position is a Point as GeoJSON writes it: longitude, latitude, and perhaps altitude.
type position Point

func (p *position) UnmarshalJSON(text []byte) error {
	var list []float64
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	if len(list) < 2 {
		return errors.New("a position is [longitude, latitude]")
	}
	p.Longitude, p.Latitude = list[0], list[1]
	return nil
}
