package event

import "testing"

// A field that is worked out from two others stands in no message; where one of the two is missing, so is it.
func TestLocation(t *testing.T) {
	s := &Schema{
		Types:      []string{"page"},
		Fields:     []Field{{Path: []string{"properties", "lat"}, Kind: Number}, {Kind: String}, {Path: []string{"properties", "lon"}, Kind: Number}},
		Namespaces: []Namespace{{Name: "user_id", Paths: [][]string{{"userId"}}}},
		Locations: []Location{{Field: 1, Latitude: 0, Longitude: 2, Find: func(latitude, longitude float64) []byte {
			if latitude == 51.5 && longitude == -0.25 {
				return []byte("london")
			}
			return nil
		}}},
	}
	d := NewDecoder(s, DefaultLimits)
	var e Event
	for _, c := range []struct{ properties, want string }{
		{`{"lat":51.5,"lon":-0.25}`, "london"},
		{`{"lat":51.5}`, ""},
		{`{"lat":51.5,"lon":7}`, ""},
	} {
		if err := d.Decode([]byte(`{"type":"page","userId":"u","properties":`+c.properties+`}`), noon, &e); err != nil {
			t.Fatal(err)
		}
		if got := string(e.Values[1].Str); got != c.want {
			t.Errorf("%s is in %q, want %q", c.properties, got, c.want)
		}
	}
}
