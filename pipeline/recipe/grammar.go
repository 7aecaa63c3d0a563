package recipe

import (
	"fmt"

	"dashi/pipeline/attribute"
	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
	"dashi/pipeline/place"
)

// The grammar of a recipe file, version 0. Everything that a file may hold is in this table: parsing,
// hints, the JSON Schema and the guide in deploy/recipes follow it.

func textShape(doc string) *shape       { return &shape{is: text, doc: doc} }
func expressionShape(doc string) *shape { return &shape{is: expression, doc: doc} }

func oneOrMany(one *shape) *shape {
	s := *one
	s.def = ""
	s.or = []*shape{{is: listOf, of: one, doc: one.doc}}
	return &s
}

// named gives a shape its name in the JSON Schema.
func (s *shape) named(def string) *shape {
	s.def = def
	return s
}

var (
	describedKey = key{name: "description", doc: "What it is for, shown to people who look it up.", shape: textShape("One or two sentences.")}

	onShape = oneOrMany(textShape(`An event name ("Order Completed"), a call type (page, screen, identify, group, alias), or "*" for every event.`)).named("on")

	onKey    = key{name: "on", doc: "The events that count: one name, a list of names, or \"*\" for every event.", required: true, shape: onShape}
	whereKey = key{name: "where", doc: "Only when this condition on the event, the item or the profile holds.", shape: expressionShape("A CEL condition.")}
	eachKey  = key{name: "each", doc: "Go through the elements of this array of the event; expressions then read `item`.", shape: textShape("The path of an array, such as properties.products.")}
	byKey    = key{name: "by", doc: "The weight of the value; 1 without it.", shape: expressionShape("A CEL number.")}
)

func limitKey(usual, most int) key {
	return key{name: "limit", doc: fmt.Sprintf("The most elements that one profile keeps; %d without it.", usual), shape: &shape{is: integer, min: 1, max: float64(most)}}
}

func valueKey(doc string) key {
	return key{name: "value", doc: doc, required: true, shape: expressionShape("A CEL expression over the event or the item.")}
}

// ruleShape is an update by itself: what stands under rules, minus, raise, lower, add and remove.
func ruleShape(doc string, extra ...key) *shape {
	return &shape{is: object, doc: doc, keys: append([]key{onKey, whereKey, eachKey}, extra...)}
}

// counted are the keys of a kind whose updates are all alike: written in the attribute itself, or under rules.
func counted(extra ...key) []key {
	keys := []key{
		{name: "rules", doc: "Several updates, in place of on, where, each, value and by in the attribute itself.",
			shape: &shape{is: listOf, of: ruleShape("One update.", extra...)}},
	}
	for _, k := range append([]key{onKey, whereKey, eachKey}, extra...) {
		k.required = false // rules may stand in their place
		keys = append(keys, k)
	}
	return keys
}

// windowed adds the keys of a kind that can be bounded to a window or to a session.
func windowed(keys []key) []key {
	return append(keys, sessionKey,
		key{name: "window", doc: "Only what lies in the last 15m, 24h, 30d, 2w or 3mo, or in this day, week, month or year; everything without it.", shape: textShape("A number of s, m, h, d, w or mo; or this day, this week, this month, this year.")},
		key{name: "bucket", doc: "How finely the window is cut: an event leaves it with its bucket. Without it an hour for windows of a day to 7d, a day for longer ones, about a thirtieth for shorter ones.", shape: textShape("A number of s, m or h; 1d, 1w or 1mo.")})
}

// sessionKey bounds a kind to the latest session.
var sessionKey = key{name: "session", doc: "Only what lies in the latest session, also after that has ended: the name of one under sessions.", shape: textShape("A name under sessions.")}

func nthKey(doc string) key {
	return key{name: "nth", doc: doc, shape: &shape{is: integer, min: 1, max: attribute.MaxNth}}
}

// ofSession are the keys of a kind about sessions themselves.
func ofSession(extra ...key) []key {
	k := sessionKey
	k.doc, k.required = "Of which sessions: a name under sessions.", true
	return append([]key{k}, extra...)
}

// ofPlaces are the keys of a kind about where somebody is.
func ofPlaces() []key {
	return []key{{name: "places", doc: "Which places: a name under places.", required: true, shape: textShape("A name under places.")}}
}

// opposed are the keys of a kind with two operations.
func opposed(up, upDoc, down, downDoc string, extra ...key) []key {
	return []key{
		{name: up, doc: upDoc, required: true, shape: oneOrMany(ruleShape(upDoc, extra...))},
		{name: down, doc: downDoc, shape: oneOrMany(ruleShape(downDoc, extra...))},
	}
}

var (
	lengthShape = textShape("A number of s, m, h, d or w such as 90m.")

	stepKeyKey = key{name: "key", doc: "The value by which occurrences belong together.", shape: expressionShape("A CEL expression that gives a string.")}

	stepShape = &shape{is: object, def: "step", doc: "One step: `on` or `not`.", keys: []key{
		{name: "on", doc: "The event of this step.", shape: onShape},
		{name: "not", doc: "No such event between the steps around it; as the last step, none until within has passed.", shape: onShape},
		whereKey, eachKey, stepKeyKey,
		{name: "within", doc: "Less than this after the step before. For a last step with not: how long there must be none.", shape: lengthShape},
		{name: "times", doc: "So often, each within `within` of the one before.", shape: &shape{is: integer, min: 1, max: attribute.MaxStages}},
		{name: "optional", doc: "May be left out.", shape: &shape{is: boolean}},
	}}
)

var attributeShape = &shape{
	is: object, def: "attribute",
	doc:  "One attribute of a profile.",
	keys: []key{describedKey},
	tag:  "kind",
	variants: []variant{
		{"count", "How many events (or items, with each).", windowed(counted())},
		{"sum", "The sum of a number.", append(windowed(counted(valueKey("The number that is added."))),
			key{name: "minus", doc: "Updates that subtract their value, such as refunds.", shape: oneOrMany(ruleShape("An update that subtracts.", valueKey("The number that is subtracted.")))})},
		{"min", "The smallest number seen.", windowed(counted(valueKey("The number.")))},
		{"max", "The largest number seen.", windowed(counted(valueKey("The number.")))},
		{"avg", "The mean of a number.", windowed(counted(valueKey("The number.")))},
		{"first", "The value of the earliest event.", append(counted(valueKey("A number, string, time or boolean.")), sessionKey)},
		{"last", "The value of the latest event.", append(counted(valueKey("A number, string, time or boolean.")), sessionKey)},
		{"first_at", "The time of the earliest event.", append(counted(), sessionKey, nthKey("Of the 2nd, 3rd, ... event instead; absent until there are so many."))},
		{"last_at", "The time of the latest event.", append(counted(), sessionKey, nthKey("Of the 2nd, 3rd, ... latest event instead; absent until there are so many."))},
		{"in_session", "Whether a session is going on.", ofSession()},
		{"session_start", "When the latest session began.", ofSession()},
		{"session_end", "The time of the last event of the latest session so far.", ofSession()},
		{"session_count", "How many sessions began within the window, exactly.", ofSession(
			key{name: "window", doc: "The last 24h, 30d, 4w, ...", required: true, shape: textShape("A number of s, m, h, d or w.")})},
		{"flag", "True or false, as the latest of its events says; also called a badge.",
			opposed("raise", "Events that make it true.", "lower", "Events that make it false.")},
		{"set", "The distinct strings that were added and not removed since.",
			append(opposed("add", "Events that add their value.", "remove", "Events that remove their value.", valueKey("The string.")), limitKey(attribute.DefaultSet, attribute.MaxSet))},
		{"distinct", "About how many distinct values there are (HyperLogLog), for sets too large to keep. In a window it is exact, up to `limit`.", append(windowed(counted(valueKey("The value."))),
			key{name: "limit", doc: fmt.Sprintf("With window: the most values that are told apart; %d without it.", attribute.DefaultSet), shape: &shape{is: integer, min: 1, max: attribute.MaxSet}},
			key{name: "precision", doc: "2^precision bytes a profile at most; the standard error is 1.04 / sqrt of that. 11 (2.3 %) without it.",
				shape: &shape{is: integer, min: attribute.MinPrecision, max: attribute.MaxPrecision}})},
		{"tally", "A number for each string: how often, or how much by weight. The favourite is the largest.",
			append(windowed(counted(valueKey("The string that is tallied."), byKey)), limitKey(attribute.DefaultTally, attribute.MaxTally),
				key{name: "top", doc: "Show only so many, largest first.", shape: &shape{is: integer, min: 1, max: attribute.MaxTally}})},
		{"list", "The last strings, newest first.", append(counted(valueKey("The string.")), sessionKey, limitKey(attribute.DefaultList, attribute.MaxList),
			key{name: "unique", doc: "A string stands in it once, at its latest time.", shape: &shape{is: boolean}})},
		{"sequence", "Steps that follow one another, such as a cart and then no order within an hour.", []key{
			{name: "steps", doc: "What happens, in order.", required: true, shape: &shape{is: listOf, of: stepShape}},
			{name: "until", doc: "Events that undo what has begun and what is complete.", shape: &shape{is: object, doc: "Events that undo.", keys: []key{onKey, whereKey, eachKey, stepKeyKey}}},
			{name: "key", doc: "Only occurrences with the same value belong together, such as those of one product; for steps that have no key of their own.", shape: expressionShape("A CEL expression that gives a string.")},
			{name: "within", doc: "The last step comes less than this after the first.", shape: lengthShape},
			{name: "show", doc: "What the attribute is: count (how often it was complete; without show), last_at (when last), complete (whether it is), open (whether it has begun and can go on), complete_keys or open_keys (of which keys).",
				shape: &shape{is: text, words: attribute.SequenceShows}},
			{name: "keep", doc: "Forget occurrences that are older than the newest by this; up to limit they are kept without it.", shape: lengthShape},
			limitKey(attribute.DefaultSequence, attribute.MaxSequence),
		}},
		{"place", "The place where somebody is, by the latest report of a position; absent elsewhere, and when the report is older than the time-out.", ofPlaces()},
		{"place_start", "Since when somebody is there, exact but for a sixteenth of the time-out.", ofPlaces()},
		{"bucket", "One of several variants, chosen for good by a hash of the profile's identifier: an A/B test.", []key{
			{name: "salt", doc: "Another salt makes another choice. Without it, the attribute's name.", shape: textShape("Any text.")},
			{name: "weights", doc: "How many parts each variant gets.", required: true, shape: &shape{is: mapOf, names: plainName,
				of: &shape{is: number, min: 0, max: 1e6, parts: true}}},
		}},
		{"score", "What a model says of the profile: a likelihood, an amount. It is not stored.", []key{
			{name: "model", doc: "The model's file, relative to the recipe: LightGBM's text or JSON, XGBoost's JSON, or what dashi train wrote.", required: true, shape: textShape("A path such as purchase.json.")},
			{name: "inputs", doc: "What the inputs of the model are, each as INPUT: CEL over attributes. An input that is not here is the attribute of the same name.",
				shape: &shape{is: mapOf, names: anyName, empty: true, of: expressionShape("A CEL expression over attributes.")}},
		}},
		{"derived", "An expression over other attributes, not stored.", []key{
			{name: "value", doc: "A CEL expression over attributes.", required: true, shape: expressionShape("A CEL expression over attributes.")},
		}},
	},
}

var sessionShape = &shape{is: object, def: "session", doc: "When events make one session.", keys: []key{
	describedKey,
	{name: "on", doc: "The events of the session: every event without it.", shape: onShape},
	{name: "where", doc: "Only events for which this condition on the event holds, such as those of one source.", shape: expressionShape("A CEL condition.")},
	{name: "gap", doc: "How long nothing must happen for the session to be over; 30m without it.", shape: textShape("A number of s, m, h or d.")},
	{name: "longest", doc: "No session is longer; 12h without it.", shape: textShape("A number of s, m, h or d.")},
}}

var placesShape = &shape{is: object, def: "places", doc: "A table of places, and how events say where they happened.", keys: []key{
	describedKey,
	{name: "on", doc: "The events that say where somebody is: every event with a position without it.", shape: onShape},
	{name: "latitude", doc: "The field that holds it, in degrees; " + latitudePath + " without it.", shape: textShape("The path of a number.")},
	{name: "longitude", doc: "The field that holds it, in degrees; " + longitudePath + " without it.", shape: textShape("The path of a number.")},
	{name: "timeout", doc: "Without another report somebody is there no longer after this; 1h without it.", shape: textShape("A number of m, h or d.")},
	{name: "consent", doc: "The purpose that every condition must ask for which reads where somebody is.", shape: textShape("A purpose.")},
	{name: "file", doc: "A CSV file with the columns id, latitude, longitude and radius (metres), or a GeoJSON FeatureCollection; relative to the recipe.", shape: textShape("A path such as stores.csv.")},
	{name: "table", doc: "Places by id. Where they overlap, the first counts; those of the file come before.", shape: &shape{is: mapOf, names: anyName, of: &shape{
		is: object, def: "place", doc: "A circle or a polygon.", keys: []key{
			{name: "latitude", doc: "Of the centre, in degrees.", shape: &shape{is: number, min: -90, max: 90}},
			{name: "longitude", doc: "Of the centre, in degrees.", shape: &shape{is: number, min: -180, max: 180}},
			{name: "radius", doc: "In metres.", shape: &shape{is: number, min: 1, max: place.MaxRadius}},
			{name: "polygon", doc: "The corners, each as [longitude, latitude] as in GeoJSON.", shape: &shape{is: listOf, of: &shape{is: listOf, of: &shape{is: number, min: -180, max: 180}}}},
		}}}},
}}

var audienceShape = &shape{
	is: expression, def: "audience",
	doc: "The condition alone, or a mapping with `when`.",
	or: []*shape{{is: object, doc: "One audience.", keys: []key{
		describedKey,
		{name: "when", doc: "Who is in: a CEL condition over attributes, other audiences and consent. In its place, enter and leave.", shape: expressionShape("A CEL condition.")},
		{name: "enter", doc: "With leave: who comes in. Whoever is in stays in until leave holds, so that nobody goes to and fro at one threshold.", shape: expressionShape("A CEL condition.")},
		{name: "leave", doc: "With enter: who goes out again, unless enter holds as well.", shape: expressionShape("A CEL condition.")},
		{name: "emit", doc: "Which transitions leave as activations; both without it.", shape: &shape{is: text, words: []string{"both", "enter", "exit", "none"}}},
		{name: "requires", doc: "Purposes without which no activation of this audience leaves.", shape: oneOrMany(textShape("A purpose."))},
	}}},
}

var purposeShape = &shape{
	is: text, def: "purpose",
	doc: "The path of a boolean field, or a mapping.",
	or: []*shape{{is: object, doc: "How consent for one purpose is read from events.", keys: []key{
		describedKey,
		{name: "from", doc: "A boolean field: true grants, false withdraws, absent changes nothing.", shape: textShape("A path such as context.consent.categoryPreferences.Email.")},
		{name: "on", doc: "With from: only these events; every event without it.", shape: onShape},
		{name: "granted", doc: "Events that grant it.", shape: oneOrMany(&shape{is: object, doc: "Events that grant it.", keys: []key{onKey, whereKey}})},
		{name: "withdrawn", doc: "Events that withdraw it.", shape: oneOrMany(&shape{is: object, doc: "Events that withdraw it.", keys: []key{onKey, whereKey}})},
	}}},
}

var activationShape = &shape{is: object, def: "activation", doc: "One activation.", keys: append([]key{
	describedKey,
	{name: "on", doc: "What makes it.", required: true, shape: &shape{is: object, doc: "Exactly one of these.", oneKey: true, keys: []key{
		{name: "enter", doc: "Someone enters this audience.", shape: textShape("An audience.")},
		{name: "exit", doc: "Someone leaves this audience.", shape: textShape("An audience.")},
		{name: "change", doc: "This attribute changes its value.", shape: textShape("A stored attribute.")},
		{name: "event", doc: "This event arrives.", shape: textShape("An event name, or \"*\".")},
		{name: "session_start", doc: "A session begins.", shape: textShape("A name under sessions.")},
		{name: "session_end", doc: "A session is over: at the instant at which its gap has passed.", shape: textShape("A name under sessions.")},
	}}},
	{name: "where", doc: "Only when this condition holds.", shape: expressionShape("A CEL condition over attributes, audiences, consent and, with on event, the event.")},
	{name: "requires", doc: "Purposes that must be granted.", shape: oneOrMany(textShape("A purpose."))},
	{name: "include", doc: "Attributes that the activation carries.", shape: oneOrMany(textShape("An attribute."))},
}, paceKeys...)}

var mappingShape = &shape{is: object, def: "mapping", doc: "How rows of a file become events of the Segment spec.", keys: []key{
	describedKey,
	{name: "format", doc: "The form of the file; csv without it.", shape: &shape{is: text, words: []string{"csv", "jsonl"}}},
	{name: "delimiter", doc: "What stands between the columns of a csv file; \",\" without it.", shape: textShape("One character.")},
	{name: "event", doc: "The event's name: plain text, or a CEL expression that reads `row`.", required: true, shape: expressionShape("Text, or CEL over row.")},
	{name: "time", doc: "The event time.", required: true, shape: &shape{is: expression, doc: "CEL over row; the text is RFC 3339.", or: []*shape{{is: object, keys: []key{
		{name: "from", doc: "CEL over row that gives the text of the time.", required: true, shape: expressionShape("CEL over row.")},
		{name: "layout", doc: "How it is written: rfc3339, unix (seconds), unix_ms, or the time 2006-01-02 15:04:05 in that form.", shape: textShape("A layout.")},
		{name: "zone", doc: "The time zone of times that do not say theirs; UTC without it.", shape: textShape("An IANA name such as Europe/London.")},
	}}}}},
	{name: "identifiers", doc: "Which identifiers a row has, each as NAMESPACE: CEL over row. A row in which one is empty does not have it.", required: true, shape: &shape{is: mapOf, names: identifier, of: expressionShape("CEL over row.")}},
	{name: "anonymous", doc: "Rows without any identifier: count them (the default), or reject them as bad.", shape: &shape{is: text, words: []string{"count", "reject"}}},
	{name: "message_id", doc: "none (the default); row: a hash of the whole row, so that exact duplicates count once; or CEL over row.", shape: expressionShape("none, row, or CEL over row.")},
	{name: "properties", doc: "Each as PROPERTY: CEL over row. A property whose value is empty is left out.", shape: &shape{is: mapOf, names: fieldPath, empty: true, of: expressionShape("CEL over row.")}},
	{name: "traits", doc: "Each as TRAIT: CEL over row.", shape: &shape{is: mapOf, names: fieldPath, empty: true, of: expressionShape("CEL over row.")}},
	{name: "context", doc: "Each as FIELD: CEL over row.", shape: &shape{is: mapOf, names: fieldPath, empty: true, of: expressionShape("CEL over row.")}},
}}

var limitShape = &shape{is: object, doc: "The most values of the namespace that come to one profile.", keys: []key{
	{name: "count", doc: "How many: 3, for instance.", required: true, shape: &shape{is: integer, min: 1, max: identity.MostIdentifiers}},
	{name: "period", doc: "Within any stretch of event time this long, such as 24h, 7d or 4w; ever (the default): altogether.", shape: textShape("ever, or a number and h, d or w.")},
	{name: "excess", doc: "Which value goes when there are too many. refuse (the default): the newest, which is not linked. oldest: the one that was not seen with the person for longest; it comes away with what is known by it alone. The event that brings one too many counts for its strongest identifier; refusals are counted and shown.",
		shape: &shape{is: text, words: identity.ExcessNames[:]}},
}}

var identityShape = &shape{is: object, doc: "Who an event is about.", keys: []key{
	{name: "namespaces", doc: "Kinds of identifier, strongest first.", required: true, shape: &shape{is: listOf, of: &shape{is: object, doc: "One namespace.", keys: []key{
		{name: "name", doc: "As in name:value.", required: true, shape: textShape("An identifier.")},
		{name: "from", doc: "Where events hold it: paths, tried in order.", required: true, shape: oneOrMany(textShape("A path such as userId or traits.email."))},
		{name: "normalise", doc: "How a value is brought to one form: exact (as it is), trim (the default), lower, email, phone (E.164).", shape: &shape{is: text, words: identity.NormaliserNames()}},
		{name: "region", doc: "For phone: the country (ISO 3166, such as GB) of numbers without a country code.", shape: textShape("A country code.")},
		{name: "hash", doc: "Keep only the SHA-256 of the normalised value, in hexadecimal. A value that is one already is taken as it is.", shape: &shape{is: text, words: []string{"sha256"}}},
		{name: "blocked", doc: "Values that are nobody's identifier, besides those that are always blocked: a value, a glob (*@test.example) or an RE2 expression between slashes (/^kiosk-[0-9]+$/). Case does not matter.",
			shape: oneOrMany(textShape("A value, a glob or /an expression/."))},
		{name: "unique", doc: "A profile has at most one value of it: people with different values never merge.", shape: &shape{is: boolean}},
		{name: "expire", doc: "A profile that has only this identifier goes when nothing is heard of it for so long: a number of h, d or w, or never. 30d for anonymous_id, never for others, without it.", shape: textShape("A length of time, or never.")},
		{name: "limit", doc: "The most values of it that come to one profile.", shape: limitShape},
		{name: "shared", doc: "Who keeps a value that was seen with people who must not merge: the first one (first, the default), the last one by event time (last_authenticated), or nobody (isolate).",
			shape: &shape{is: text, words: identity.SharedNames[:]}},
	}}}},
	{name: "max_identifiers", doc: fmt.Sprintf("The most identifiers, of all namespaces, that one profile has; %d without it. A link beyond it is refused, counted and shown.", identity.DefaultMaxIdentifiers),
		shape: &shape{is: integer, min: 2, max: identity.MostIdentifiers}},
}}

var accountsShape = &shape{is: object, doc: "What is known about accounts: companies or households. A cookbook has one kind of them; several recipes may add to it.", keys: []key{
	{name: "member_of", doc: "The attribute of people that says to which accounts they belong: a set, or a string for one at a time. One recipe says it, or all say the same.", shape: textShape("An attribute of people.")},
	{name: "id", doc: "Where events say of which account they are too, in this order; groupId, then context.groupId, without it.", shape: oneOrMany(textShape("A path such as properties.account_id."))},
	{name: "people", doc: fmt.Sprintf("The most people of one account that are kept; %d without it.", DefaultPeople), shape: &shape{is: integer, min: 1, max: MostPeople}},
	{name: "attributes", doc: "What is known about each account, computed from its events; derived ones may also ask about its people, as in people.sum(spent).", shape: &shape{is: mapOf, names: identifier, empty: true, of: attributeShape}},
	{name: "audiences", doc: "Named conditions on accounts, such as people.count(active) >= 3.", shape: &shape{is: mapOf, names: identifier, empty: true, of: audienceShape}},
	{name: "activations", doc: "Events about accounts that leave because something changed, besides the transitions of audiences.", shape: &shape{is: mapOf, names: identifier, empty: true, of: activationShape}},
}}

var recipeShape = &shape{is: object, doc: "One recipe of the cookbook.", keys: []key{
	{name: "recipe", doc: "The name of this recipe.", required: true, shape: textShape("A short name.")},
	describedKey,
	{name: "zone", doc: "The time zone of days, weeks, months and years in this recipe's windows; UTC without it.", shape: textShape("An IANA name such as Europe/London.")},
	{name: "identity", doc: "The kinds of identifier, and when they are one person. At most one in a cookbook, or equal ones; without it user_id (unique), crm_id, email, phone, anonymous_id (shared: last_authenticated) and match_id.", shape: identityShape},
	{name: "fields", doc: "Event fields that are not in the Segment spec, with their types.", shape: &shape{is: mapOf, names: anyName, empty: true,
		of: &shape{is: text, doc: "The type.", words: []string{"string", "number", "bool", "time"}}}},
	{name: "purposes", doc: "What people consent to.", shape: &shape{is: mapOf, names: identifier, empty: true, of: purposeShape}},
	{name: "sessions", doc: "Runs of activity, which attributes can be about.", shape: &shape{is: mapOf, names: identifier, empty: true, of: sessionShape}},
	{name: "places", doc: "Where things happen; expressions over events then read places.NAME.", shape: &shape{is: mapOf, names: identifier, empty: true, of: placesShape}},
	{name: "attributes", doc: "What is known about each person, computed from events.", shape: &shape{is: mapOf, names: identifier, empty: true, of: attributeShape}},
	{name: "audiences", doc: "Named conditions; a profile is in or out.", shape: &shape{is: mapOf, names: identifier, empty: true, of: audienceShape}},
	{name: "activations", doc: "Events that leave because something changed, besides the transitions of audiences.", shape: &shape{is: mapOf, names: identifier, empty: true, of: activationShape}},
	{name: "accounts", doc: "What is known about companies or households, from their people and their events.", shape: accountsShape},
	{name: "mappings", doc: "How rows of files become events.", shape: &shape{is: mapOf, names: identifier, empty: true, of: mappingShape}},
	testsKey,
}}

// Bounds on what a cookbook may hold. Beyond them it is refused: a cookbook is held in memory by every shard.
const (
	maxSourceBytes = 1 << 20 // one file
	maxSources     = 1000
	maxNodes       = 200_000 // YAML nodes of one file, aliases counted as often as they are used
	maxDepth       = 32      // nesting of YAML, far above the grammar's
	maxName        = 64      // bytes of a name: it is repeated in each activation and answer
	maxAttributes  = 1000
	maxAudiences   = 4096
	maxPurposes    = 64
	maxActivations = 1000
	maxNamespaces  = 64
	maxBlocked     = 10_000 // patterns of one namespace
	maxTypes       = 4096
	maxFields      = 1000
	maxPlaceTables = 64
	maxExpression  = expr.MaxSource // bytes
	maxDiagnostics = 100            // beyond them nobody reads on
)
