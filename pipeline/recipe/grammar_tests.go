package recipe

import (
	"strings"

	"dashi/pipeline/activation"
)

// The grammar of tests. The parser of recipes reads what a test is; its steps are for whoever runs it, see node/recipetest. They stand here for the JSON
// Schema, and a test over there sees to it that the two say the same.

// detailed says more of a shape in the JSON Schema than the parser of recipes looks at.
func detailed(s, detail *shape) *shape {
	out := *s
	out.detail = detail
	return &out
}

func patternShape(doc, pattern string) *shape {
	return &shape{is: text, doc: doc, schemaShape: schemaShape{pattern: pattern}}
}

// oneOrAny is a value or a list of them, which may be empty.
func oneOrAny(one *shape) *shape {
	s := *one
	s.or = []*shape{{is: listOf, of: one, doc: one.doc, empty: true}}
	return &s
}

const (
	instantPattern = `\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?| \d\d:\d\d(:\d\d(\.\d+)?)?)?`
	spanPattern    = `(\d+(ms|[smhdw]))+`
)

var (
	bodyShape    = &shape{is: mapOf, names: anyName, empty: true, of: &shape{is: anything}}
	instantShape = patternShape("A time; without a zone it is in UTC.", "^"+instantPattern+"$")
	momentShape  = patternShape("A time, or +2d, -90m.", "^([+-]"+spanPattern+"|"+instantPattern+")$")
	spanShape    = patternShape("ms, s, m, h, d, w; also 1h30m.", "^"+spanPattern+"$")
	personShape  = patternShape("An identifier, NAMESPACE:VALUE.", "^[^:]+:(.|\n)")
	whoShape     = oneOrAny(personShape).named("who")
	countShape   = &shape{is: integer, max: 1 << 53}
	statedShape  = &shape{is: mapOf, names: anyName, empty: true, of: &shape{is: anything}}

	atKey       = key{name: "at", doc: "When: a time, or so long after (+2d) or before (-90m) the clock. The clock moves on to a later one; an event with an earlier one is late.", shape: momentShape}
	repeatKey   = key{name: "repeat", doc: "So often.", shape: &shape{is: integer, min: 1, max: 100_000}}
	everyKey    = key{name: "every", doc: "With repeat: how long after one the next one happens. The clock moves on with them; without it all happen in the same millisecond.", shape: spanShape}
	rejectedKey = key{name: "rejected", doc: "It must be refused: true, or the reason of the dead topic.", shape: textShape("true or a reason.")}

	// besideEvent may stand beside an event.
	besideEvent = []key{atKey,
		{name: "who", doc: "Whom it is about; whom the test is about without it. An account beside a person: the event names it.", shape: whoShape},
		{name: "id", doc: "The message id: the same twice is a duplicate.", shape: textShape("Any text.")},
		repeatKey, everyKey, rejectedKey,
		{name: "context", doc: "The context of the message.", shape: bodyShape},
		{name: "consent", doc: "Short for context.consent.categoryPreferences, as in {email: true}.", shape: bodyShape},
	}
)

// eventStep is a step that sends what is named.
func eventStep(name, doc string) *shape {
	return &shape{is: object, doc: doc, keys: append([]key{{name: name, doc: doc, required: true, shape: bodyShape}}, besideEvent...)}
}

// expectedShape is an activation that is expected.
var expectedShape = &shape{is: text, def: "expected", doc: "NAME, NAME TRANSITION such as `vip enter`, or a mapping.",
	schemaShape: schemaShape{pattern: "^[^ ]+( (" + strings.Join(activation.Transitions(), "|") + "))?$"}, or: []*shape{{is: object, doc: "An activation.", keys: []key{
		{name: "name", doc: "Of the activation, or of the audience that makes it.", required: true, shape: textShape("An activation or an audience.")},
		{name: "transition", doc: "What happened.", shape: &shape{is: text, words: activation.Transitions()}},
		{name: "profile", doc: "Whose it is: the profile's id.", shape: textShape("An identifier.")},
		{name: "type", doc: "Of an event that made it: its name.", shape: textShape("An event name.")},
		{name: "at", doc: "The clock when it left; +2d is from the start of the test.", shape: momentShape},
		{name: "event_time", doc: "When what it tells of happened; +2d is from the start of the test.", shape: momentShape},
		{name: "attributes", doc: "What it carries, each as NAME: VALUE.", shape: statedShape},
	}}}}

var sideShape = &shape{is: object, doc: "How many people.", keys: []key{
	{name: "exposed", doc: "Whom it was for.", shape: countShape},
	{name: "converted", doc: "Who did what it is to bring about.", shape: countShape},
}}

var expectedList = &shape{is: listOf, of: expectedShape, empty: true, doc: "All that left since the last such list, in order."}

var expectShape = &shape{is: object, def: "expect", doc: "What must hold now.", schemaShape: schemaShape{some: true}, keys: []key{
	{name: "who", doc: "Whom it is about; whom the test is about without it. account:acme for an account.", shape: whoShape},
	{name: "profile", doc: "Whether there is one.", shape: &shape{is: boolean}},
	{name: "attributes", doc: "Each as NAME: VALUE, as GET /v1/profiles shows it; ~ for none.", shape: statedShape},
	{name: "audiences", doc: "Each as NAME: true, false, or the time since when; or a list: in these and in no other.", shape: &shape{is: mapOf, names: anyName, empty: true, of: &shape{is: anything},
		or: []*shape{{is: listOf, empty: true, of: textShape("An audience.")}}}},
	{name: "consent", doc: "Each as PURPOSE: true, false, or ~ for never said.", shape: statedShape},
	{name: "sizes", doc: "How many people are in an audience, each as NAME: NUMBER.", shape: &shape{is: mapOf, names: anyName, empty: true, of: countShape}},
	{name: "goals", doc: "How many people an activation with a goal was for, on either side.", shape: &shape{is: mapOf, names: anyName, empty: true, of: &shape{is: object, keys: []key{
		{name: "treated", doc: "Those whom it left for.", shape: sideShape},
		{name: "control", doc: "Those who were held back.", shape: sideShape},
	}}}},
	{name: "activations", doc: "All that left since the last such list, in order; {include: [..]}: at least these.", shape: &shape{is: listOf, of: expectedShape, empty: true,
		or: []*shape{{is: object, keys: []key{{name: "include", doc: "At least these, in any order.", required: true, shape: expectedList}}}}}},
}}

// testStepShape is one step: a mapping of one of these forms. What stands beside the name of an event and is none of its keys is another event.
var testStepShape = &shape{is: object, def: "test_step", doc: "An event such as `Order Completed: {total: 5}`, or what is done to the clock, or what must hold.",
	keys: besideEvent, schemaShape: schemaShape{rest: bodyShape,
		not: []string{"expect", "advance", "unlink", "row", "map", "message", "identify", "group", "alias", "page", "screen"}},
	or: []*shape{
		{is: object, doc: "The clock moves there.", keys: []key{{name: "at", doc: "The clock moves there.", required: true, shape: momentShape}}},
		{is: object, doc: "What must hold now.", keys: []key{{name: "expect", doc: "What must hold now.", required: true, shape: expectShape}, atKey}},
		{is: object, doc: "The clock moves.", keys: []key{{name: "advance", doc: "The clock moves so far.", required: true, shape: patternShape("ms, s, m, h, d, w; also 1h30m.", `^\+?`+spanPattern+"$")}}},
		{is: object, doc: "Two are never one person.", keys: []key{{name: "unlink", doc: "Two identifiers that are never one person.", required: true,
			shape: &shape{is: listOf, of: personShape, schemaShape: schemaShape{size: 2}}}, atKey}},
		{is: object, doc: "A row of a file, through a mapping.", keys: []key{{name: "row", doc: "Its columns.", required: true, shape: bodyShape}, atKey, repeatKey, rejectedKey,
			{name: "map", doc: "The mapping; that of the test without it.", shape: textShape("A mapping.")}}},
		eventStep("message", "A message of the Segment spec as it is sent, word for word."),
		eventStep("identify", "An identify call with these traits."),
		eventStep("group", "A group call with these traits."),
		eventStep("alias", "An alias call with these fields, such as previousId."),
		eventStep("page", "A page call with these properties."),
		eventStep("screen", "A screen call with these properties."),
	}}

var stepsShape = detailed(&shape{is: listOf, doc: "Events, advance and expect, in their order.", of: &shape{is: mapOf, names: anyName, of: &shape{is: anything}}},
	&shape{is: listOf, doc: "Events, advance and expect, in their order.", of: testStepShape})

var testShape = &shape{is: object, def: "test", doc: "A test: what happens, and what must hold then.", keys: []key{
	describedKey,
	{name: "start", doc: "Where the clock stands at first; 2026-01-01T09:00:00Z without it.", shape: detailed(&shape{is: anything}, instantShape)},
	{name: "who", doc: "Whom it is about, NAMESPACE:VALUE; user_id:somebody without it.", shape: detailed(oneOrMany(textShape("An identifier.")), whoShape)},
	{name: "map", doc: "The mapping of its rows.", shape: textShape("A mapping.")},
	{name: "clock", doc: "wall (the default): the test moves the clock; event: people live by the times of their events.", shape: &shape{is: text, words: []string{"wall", "event"}}},
	{name: "steps", doc: "What happens, in order.", required: true, shape: stepsShape},
}, or: []*shape{stepsShape}}

var testsKey = key{name: "tests", doc: "What dashi test runs: by name, a list of steps, or a mapping with steps. Beside the recipe, in NAME.test.yml, they are no part of the cookbook.",
	shape: &shape{is: mapOf, names: anyName, empty: true, of: testShape}}

var testFileShape = &shape{is: object, doc: "Tests of the recipe beside it.", keys: []key{testsKey}}
