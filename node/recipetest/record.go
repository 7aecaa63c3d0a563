package recipetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
)

// Recorder gathers the events of one profile from live traffic and writes them down as a test.
type Recorder struct {
	id      string
	known   map[string]bool // identifiers of the profile, NAMESPACE:VALUE, normalised
	names   []string        // of the namespaces
	decoder *event.Decoder
	event   event.Event
	taken   []recorded
}

type recorded struct {
	millis int64
	text   []byte
}

// NewRecorder makes a recorder for the profile that has these identifiers. id is the one that the test names.
func NewRecorder(program *recipe.Program, id string, identifiers []string) *Recorder {
	r := &Recorder{id: id, known: map[string]bool{id: true}, decoder: event.NewDecoder(program.Schema, event.DefaultLimits)}
	for _, k := range identifiers {
		r.known[k] = true
	}
	for _, ns := range program.Schema.Namespaces {
		r.names = append(r.names, ns.Name)
	}
	return r
}

// Take keeps a message, which arrived at an instant, if it is about the profile.
func (r *Recorder) Take(message []byte, millis int64) {
	if r.decoder.Decode(message, millis, &r.event) != nil {
		return
	}
	for i := range r.event.Identifiers {
		id := &r.event.Identifiers[i]
		if r.known[r.names[id.Namespace]+":"+string(id.Value)] {
			r.taken = append(r.taken, recorded{millis, bytes.Clone(message)})
			return
		}
	}
}

// Len is how many messages were kept.
func (r *Recorder) Len() int { return len(r.taken) }

// Write writes the test: the messages in the order of their arrival, each at its instant, and then what the profile, as
// GET /v1/profiles gives it, is at an instant.
func (r *Recorder) Write(profile []byte, now int64) ([]byte, error) {
	var p seen
	if err := json.Unmarshal(profile, &p); err != nil {
		return nil, fmt.Errorf("cannot read the profile: %w", err)
	}
	slices.SortStableFunc(r.taken, func(a, b recorded) int { return int(min(max(a.millis-b.millis, -1), 1)) })
	start := now
	if len(r.taken) > 0 {
		start = r.taken[0].millis
	}
	var b strings.Builder
	fmt.Fprintf(&b, "tests:\n  %s:\n    start: %s\n    who: %s\n    steps:\n", strconv.Quote("recorded "+r.id), show(start), strconv.Quote(r.id))
	for _, m := range r.taken {
		var line bytes.Buffer
		if err := json.Compact(&line, m.text); err != nil {
			return nil, fmt.Errorf("cannot write a message: %w", err)
		}
		fmt.Fprintf(&b, "      - at: %s\n        message: %s\n", show(m.millis), &line)
	}
	fmt.Fprintf(&b, "      - at: %s\n        expect:\n          attributes:\n", show(now))
	for _, name := range slices.Sorted(maps.Keys(p.Attributes)) {
		fmt.Fprintf(&b, "            %s: %s\n", name, p.Attributes[name])
	}
	b.WriteString("          audiences: {")
	for i, name := range slices.Sorted(maps.Keys(p.Audiences)) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name + ": {since: " + p.Audiences[name].Since + "}")
	}
	b.WriteString("}\n          consent: {")
	for i, name := range slices.Sorted(maps.Keys(p.Consent)) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name + ": " + strconv.FormatBool(p.Consent[name].Granted))
	}
	b.WriteString("}\n")
	return []byte(b.String()), nil
}
