package recipe

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/place"
	"dashi/pipeline/spell"
)

// placeRoot is what the field that a table of places makes begins with: places.stores is the store where an event happened.
const placeRoot = "places."

// Where the Segment spec keeps the position of a device.
const latitudePath, longitudePath = "context.location.latitude", "context.location.longitude"

// places is one declaration under places.
type places struct {
	entry   entry
	spec    attribute.PlaceSpec
	purpose int // the purpose that people must have consented to, -1 for none
	every   bool
	types   []int
}

// namePlaces makes the fields that tables of places give known to the schema. What they are read from is known later.
func (c *compiler) namePlaces() {
	for _, e := range c.unique(c.section("places", maxPlaceTables), "table of places", true, nil) {
		c.places = append(c.places, places{entry: e, purpose: -1, every: true})
		c.builder.known[placeRoot+e.name] = event.String
	}
}

// compilePlaces reads the tables.
func (c *compiler) compilePlaces() {
	for i := range c.places {
		p := &c.places[i]
		e := &p.entry
		if e.bad {
			continue
		}
		before := c.errors
		at := location{latitudePath, longitudePath, nil}
		for _, f := range []struct {
			key string
			to  *string
		}{{"latitude", &at.latitude}, {"longitude", &at.longitude}} {
			if n := value(e.node, f.key); n != nil {
				*f.to = n.Value
				c.coordinate(e, n)
			}
		}
		if on := value(e.node, "on"); on != nil {
			p.every, p.types = c.on(e.doc, on)
		}
		if n := value(e.node, "consent"); n != nil {
			if list, good := c.purposesAt(e, n); good {
				p.purpose = list[0]
			}
		}
		if n := value(e.node, "timeout"); n != nil {
			var err error
			if p.spec.Timeout, err = attribute.ParseLength(n.Value); err != nil {
				c.report(e.doc, n, "`timeout` of "+quote(e.name)+": "+err.Error(), "")
			}
		}
		if table := c.placeTable(e); table != nil {
			p.spec.IDs = table.IDs()
			at.find = finder(table)
			if _, err := attribute.New(attribute.Spec{Kind: "place", Places: &p.spec}); err != nil {
				c.report(e.doc, e.key, "the places "+quote(e.name)+": "+err.Error(), "")
			}
		}
		if e.bad = c.errors > before; !e.bad {
			c.builder.locations[placeRoot+e.name] = at
		}
	}
}

// finder is the function that finds a position in a table. Its results are allocated once.
func finder(t *place.Table) func(latitude, longitude float64) []byte {
	ids := make([][]byte, len(t.IDs()))
	for i, id := range t.IDs() {
		ids[i] = []byte(id)
	}
	return func(latitude, longitude float64) []byte {
		if i := t.Find(latitude, longitude); i >= 0 {
			return ids[i]
		}
		return nil
	}
}

// coordinate checks that n is the path of a number.
func (c *compiler) coordinate(e *entry, n *yaml.Node) {
	kind, ok := c.builder.kindOf(n.Value)
	switch {
	case !ok || strings.Contains(n.Value, "[]"):
		hint := spell.Closest(n.Value, c.builder.names)
		if hint != "" {
			hint = "did you mean " + quote(hint) + "?"
		} else {
			hint = "declare it under fields, as in `" + n.Value + ": number`"
		}
		c.report(e.doc, n, "the places "+quote(e.name)+" are found by the unknown field "+quote(n.Value), hint)
	case kind != event.Number:
		c.report(e.doc, n, "the places "+quote(e.name)+" are found by "+quote(n.Value)+", which is a "+kind.String()+"; wanted: a number", "")
	}
}

// placeTable makes the table of what stands in the file and in the recipe.
func (c *compiler) placeTable(e *entry) *place.Table {
	var all []place.Place
	file, table := value(e.node, "file"), value(e.node, "table")
	at := e.key
	if file != nil {
		list, good := c.placeFile(e, file)
		if !good {
			return nil
		}
		all, at = list, file
	}
	if table != nil {
		for i := 0; i+1 < len(table.Content); i += 2 {
			p, good := c.placeAt(e, table.Content[i], table.Content[i+1])
			if !good {
				return nil
			}
			// One by one, so that a message points at the place that it is about.
			if _, err := place.New([]place.Place{p}); err != nil {
				c.report(e.doc, table.Content[i], err.Error(), "")
				return nil
			}
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		c.report(e.doc, e.key, "there are no places in "+quote(e.name), "write them under `table`, as in `Leeds: {latitude: 53.7997, longitude: -1.5492, radius: 120}`; or name a `file`")
		return nil
	}
	t, err := place.New(all)
	if err != nil {
		c.report(e.doc, at, err.Error(), "")
	}
	return t
}

// placeFile reads the file that n names.
func (c *compiler) placeFile(e *entry, n *yaml.Node) ([]place.Place, bool) {
	if !place.IsFile(n.Value) {
		c.report(e.doc, n, "the file of places "+quote(n.Value)+" ends neither in .csv nor in .geojson", "")
		return nil, false
	}
	text, good := c.data(e, n, "file of places")
	if !good {
		return nil, false
	}
	list, err := place.Read(n.Value, text)
	if err != nil {
		c.report(e.doc, n, "the file of places "+quote(n.Value)+" cannot be read: "+err.Error(), "")
		return nil, false
	}
	return list, true
}

// placeAt reads a place of the recipe: a circle or a polygon.
func (c *compiler) placeAt(e *entry, name, n *yaml.Node) (p place.Place, good bool) {
	p.ID = name.Value
	polygon := value(n, "polygon")
	circle := []struct {
		key string
		to  *float64
	}{{"latitude", &p.Centre.Latitude}, {"longitude", &p.Centre.Longitude}, {"radius", &p.Radius}}
	for _, f := range circle {
		v := value(n, f.key)
		if (v == nil) == (polygon == nil) {
			c.report(e.doc, name, "place "+quote(p.ID)+" is neither a circle nor a polygon", "write latitude, longitude and radius; or polygon")
			return p, false
		}
		if v != nil {
			*f.to, _ = strconv.ParseFloat(v.Value, 64)
		}
	}
	if polygon == nil {
		return p, true
	}
	var ring []place.Point
	for _, corner := range polygon.Content {
		if len(corner.Content) != 2 {
			c.report(e.doc, corner, "a corner of place "+quote(p.ID)+" is not [longitude, latitude]", "")
			return p, false
		}
		var at place.Point
		at.Longitude, _ = strconv.ParseFloat(corner.Content[0].Value, 64)
		at.Latitude, _ = strconv.ParseFloat(corner.Content[1].Value, 64)
		ring = append(ring, at)
	}
	p.Rings = [][]place.Point{ring}
	return p, true
}

// placesOf are the places that an attribute names; nil if there are none, which is reported, or if they are broken, which has been.
func (c *compiler) placesOf(e *entry) *places {
	n := value(e.node, "places")
	if n == nil {
		return nil
	}
	var names []string
	for i := range c.places {
		if p := &c.places[i]; p.entry.name == n.Value {
			if p.entry.bad {
				return nil
			}
			return p
		}
		names = append(names, c.places[i].entry.name)
	}
	hint := "declare them under places, as in `" + n.Value + ": {file: stores.csv}`"
	if len(names) > 0 {
		hint = didYouMean(n.Value, names)
	}
	c.report(e.doc, n, "unknown places "+quote(n.Value), hint)
	return nil
}

// addReports adds the rule by which attribute i hears of positions: the place there, "" where there is none, nothing without a position.
func (c *compiler) addReports(i int, e *entry, p *places) {
	ref, _ := c.builder.field(placeRoot + p.entry.name)
	l := c.builder.schema.Locations[slices.IndexFunc(c.builder.schema.Locations, func(l event.Location) bool { return l.Field == ref.Index })]
	c.rules = append(c.rules, pendingRule{doc: e.doc, entry: e, every: p.every, types: p.types,
		rule: Rule{Attribute: i, Purpose: -1, Fields: []int{ref.Index}, Value: func(env *expr.Env) event.Value {
			v := env.Event.Values
			if v[l.Latitude].Kind == event.Absent || v[l.Longitude].Kind == event.Absent {
				return event.Value{}
			}
			return event.Value{Kind: event.String, Str: v[ref.Index].Str}
		}}})
}

// askConsent reports an expression that reads where somebody is without asking for consent. advice is how to ask, with %s for the purpose.
func (c *compiler) askConsent(e *entry, n *yaml.Node, attributes, purposes []int, advice string) bool {
	for _, i := range attributes {
		a := &c.attributes[i]
		if kind := content(a.node, "kind"); kind != "place" && kind != "place_start" {
			continue
		}
		p := c.placesOf(a)
		if p == nil || p.purpose < 0 || slices.Contains(purposes, p.purpose) {
			continue
		}
		purpose := c.program.Purposes[p.purpose]
		c.report(e.doc, n, "the "+e.what+" "+quote(e.name)+" reads "+quote(a.name)+" and does not ask for the consent to "+quote(purpose)+" that "+quote(p.entry.name)+" wants",
			fmt.Sprintf(advice, purpose))
		return false
	}
	return true
}

// closestPlaces is the hint for a table that is not there.
func closestPlaces(path string, known map[string]location) string {
	names := slices.Sorted(maps.Keys(known))
	if hint := spell.Closest(path, names); hint != "" {
		return "did you mean " + quote(hint) + "?"
	}
	return "declare them under places, as in `" + strings.TrimPrefix(path, placeRoot) + ": {file: stores.csv}`"
}
