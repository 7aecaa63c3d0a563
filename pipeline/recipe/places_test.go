package recipe

import (
	"testing"

	"dashi/pipeline/event"
	"dashi/pipeline/expr"
)

const placedRecipe = `
recipe: shops
places:
  stores: {file: stores.csv, table: {York: {polygon: [[-1.09, 53.95], [-1.07, 53.95], [-1.07, 53.97]]}}}
  zones: {latitude: properties.lat, longitude: properties.lon, table: {north: {polygon: [[-170, 0], [0, 0], [170, 0], [170, 90], [0, 90], [-170, 90]]}}}
fields: {properties.lat: number, properties.lon: number}
attributes:
  store: {kind: place, places: stores}
  visits: {kind: tally, on: [Moved, Stayed], value: places.stores}
  zone: {kind: last, on: Moved, value: places.zones}
  norths: {kind: count, on: Stayed, where: 'places.zones == "north"'}
`

// TestPlaces decodes events with positions: the fields that tables give are there when somebody reads them, in JSON and in msgpack
// and behind the log.
func TestPlaces(t *testing.T) {
	stores := Source{Name: "geo/stores.csv", Text: []byte("id,latitude,longitude,radius\nLeeds,53.7997,-1.5492,120\n")}
	p, found := Compile([]Source{{Name: "geo/shops.yml", Text: []byte(placedRecipe)}, stores})
	if p == nil || len(found) > 0 {
		t.Fatal(found)
	}
	d := event.NewDecoder(p.Schema, event.DefaultLimits)
	for _, c := range []struct{ message, store, zone string }{
		{`"event":"Moved","context":{"location":{"latitude":53.7998,"longitude":-1.549}},"properties":{"lat":60,"lon":10}`, "Leeds", "north"},
		{`"event":"Moved","context":{"location":{"latitude":53.951,"longitude":-1.071}},"properties":{"lat":-60,"lon":10}`, "York", ""},
		{`"event":"Moved","context":{"location":{"latitude":0,"longitude":0}},"properties":{"lat":60}`, "", ""},
		{`"event":"Moved","context":{"location":{"latitude":999,"longitude":0}}`, "", ""},
		{`"event":"Moved"`, "", ""},
	} {
		var e event.Event
		if err := d.Decode([]byte(`{"type":"track","userId":"u",`+c.message+`}`), 1_700_000_000_000, &e); err != nil {
			t.Fatal(err)
		}
		packed := event.AppendPacked(nil, &e)
		var behind event.Event
		if _, err := event.Unpack(packed, p.Schema, &behind); err != nil {
			t.Fatal(err)
		}
		for _, e := range []*event.Event{&e, &behind} {
			got := map[string]string{}
			for _, r := range p.Rules[e.Type] {
				if r.Value != nil {
					got[p.Attributes[r.Attribute].Name] += string(r.Value(&expr.Env{Event: e}).Str)
				}
			}
			if got["store"] != c.store || got["visits"] != c.store || got["zone"] != c.zone {
				t.Errorf("%s: %v", c.message, got)
			}
		}
	}
}

// TestPlacesMoved: another place in a table keeps what is known, another time-out does not.
func TestPlacesMoved(t *testing.T) {
	definition := func(table, timeout string) uint64 {
		p, found := Compile([]Source{{Name: "a.yml", Text: []byte("recipe: a\nplaces:\n  s: {timeout: " + timeout + ", table: {" + table + "}}\nattributes:\n  here: {kind: place, places: s}\n")}})
		if p == nil {
			t.Fatal(found)
		}
		return p.Attributes[0].Definition
	}
	one, two := "a: {latitude: 1, longitude: 2, radius: 5}", "b: {latitude: 1, longitude: 2, radius: 5}"
	if definition(one, "1h") != definition(one+", "+two, "1h") {
		t.Error("another place forgets where people are")
	}
	if definition(one, "1h") == definition(one, "2h") {
		t.Error("another time-out does not count")
	}
}
