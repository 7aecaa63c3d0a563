package recipe

// form is the YAML form of a shape.
type form uint8

const (
	object     form = iota // fixed keys
	mapOf                  // free keys, one shape of value
	listOf                 // a sequence
	text                   // a string
	expression             // a CEL expression: a string, or a plain number or boolean
	literal                // a number, boolean or string that stands for itself
	integer
	number
	boolean
	anything // not looked at
)

// shape is what may stand at one place of a recipe. The parser, the hints and the JSON Schema all read
// this one table, so they cannot disagree.
type shape struct {
	is  form
	doc string
	def string // its name in the JSON Schema, for what stands at many places

	keys []key // object

	// tag names the key whose value chooses among variants: an object has its own keys and those of its variant.
	tag      string
	variants []variant
	// oneKey says that exactly one of the keys is there.
	oneKey bool

	of    *shape // mapOf, listOf: of each value
	names naming // mapOf: what the keys may be
	empty bool   // mapOf, listOf: may be empty

	words    []string // text: the only ones that are good
	min, max float64  // number, integer: bounds; both zero: none
	parts    bool     // number: of a sum, whatever that is

	// or are other forms that may stand here; the forms of one place differ, so the YAML node decides.
	or []*shape

	schemaShape
}

// schemaShape is what the JSON Schema alone says of a shape. The parser of recipes does not look at it: steps are read by whoever runs them.
type schemaShape struct {
	detail  *shape   // what the JSON Schema says in place of the shape
	pattern string   // text: it matches this
	size    int      // listOf: so many elements
	rest    *shape   // object: of the values of keys that are none of its own
	not     []string // object with rest: names that such keys may not have
	some    bool     // object: it has at least one key
}

// key is one key of an object.
type key struct {
	name     string
	doc      string
	required bool
	shape    *shape
}

// variant is what an object with this tag may hold besides the common keys.
type variant struct {
	name string
	doc  string
	keys []key
}

// naming is the rule for the keys of a mapOf.
type naming uint8

const (
	anyName    naming = iota
	identifier        // a CEL identifier that is not reserved: it can be read in expressions
	plainName         // letters, digits, "_", "-" and "."
	fieldPath         // a dotted path
)

// find returns the key with this name among the object's own and those of the variant.
func (s *shape) find(name string, v *variant) *key {
	for i := range s.keys {
		if s.keys[i].name == name {
			return &s.keys[i]
		}
	}
	if v != nil {
		for i := range v.keys {
			if v.keys[i].name == name {
				return &v.keys[i]
			}
		}
	}
	return nil
}

// keyNames lists what may be written in the object.
func (s *shape) keyNames(v *variant) []string {
	var names []string
	for i := range s.keys {
		names = append(names, s.keys[i].name)
	}
	if v != nil {
		for i := range v.keys {
			names = append(names, v.keys[i].name)
		}
	}
	return names
}

func (s *shape) variant(name string) *variant {
	for i := range s.variants {
		if s.variants[i].name == name {
			return &s.variants[i]
		}
	}
	return nil
}

// A few words for messages.
func (s *shape) describe() string {
	words := s.describeOne()
	for i, o := range s.or {
		if i == len(s.or)-1 {
			words += " or " + o.describeOne()
		} else {
			words += ", " + o.describeOne()
		}
	}
	return words
}

func (s *shape) describeOne() string {
	switch s.is {
	case object, mapOf:
		return "a mapping (key: value)"
	case listOf:
		return "a list"
	case text:
		return "text"
	case expression:
		return "an expression"
	case literal:
		return "a number, true, false or text"
	case integer:
		return "a whole number"
	case number:
		return "a number"
	case boolean:
		return "true or false"
	}
	return "anything"
}
