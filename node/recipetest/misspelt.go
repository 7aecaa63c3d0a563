package recipetest

import (
	"slices"
	"strconv"
	"strings"

	"dashi/pipeline/spell"

	"go.yaml.in/yaml/v3"
)

// stepWords are what a step may begin with, besides the name of an event, and what may stand beside one.
var stepWords = slices.Concat([]string{"expect", "advance", "row", "message", "unlink", "identify", "group", "alias", "page", "screen", "map"}, stepKeys)

// misspelt reports a step that would be sent as an event which no recipe reads, though something else was meant: its name is nearly a word of
// ours or an event that a recipe reads, or it holds what only an expectation does. A test that sends `expct` states nothing, and passes whatever the recipe does.
func (p *parser) misspelt(k, v *yaml.Node) bool {
	if slices.Contains(p.events, k.Value) {
		return false
	}
	if strings.EqualFold(k.Value, "track") {
		p.report(k, "there is no step `"+k.Value+"`, and no recipe reads an event of that name",
			"an event is named: `Order Completed: {total: 5}` is a track call; one as it is sent stands under `message`")
		return true
	}
	what, meant := "there is no step `"+k.Value+"`", nearly(k.Value)
	if read := p.nearlyRead(k.Value); meant == "" && read != "" {
		what, meant = "`"+k.Value+"` is nearly `"+read+"`", read
	}
	if meant == "" {
		if !statesOnly(v) {
			return false
		}
		what, meant = "`"+k.Value+"` holds what an `expect` states", "expect"
	}
	p.report(k, what+", and no recipe reads an event of that name",
		"write `"+meant+"`; to send an event of that name nevertheless: `message: {type: track, event: "+strconv.Quote(k.Value)+", userId: ada}`")
	return true
}

// nearly is the word of ours that a name is, but for case and a slip: none in a word of two letters, one in one of up to five, two in a longer
// one. spell.Closest allows more, which is too much here: nobody who sends a Rate means `at`.
func nearly(name string) string {
	name = strings.ToLower(name)
	for _, word := range stepWords {
		slips := 2
		switch n := len(word); {
		case n <= 2:
			slips = 0
		case n <= 5:
			slips = 1
		}
		if spell.Distance(name, word, slips+1) <= slips {
			return word
		}
	}
	return ""
}

// nearlyRead is the event of the recipes that a name is, but for case or one slip: it would be sent, and change nothing.
func (p *parser) nearlyRead(name string) string {
	for _, e := range p.events {
		if len(e) > 3 && spell.Distance(strings.ToLower(name), strings.ToLower(e), 2) < 2 {
			return e
		}
	}
	return ""
}

// statesOnly says whether a body holds nothing but what an expectation does. A name such as consent is left out: events have it, too.
func statesOnly(v *yaml.Node) bool {
	if v.Kind != yaml.MappingNode || len(v.Content) == 0 {
		return false
	}
	for i := 0; i < len(v.Content); i += 2 {
		switch v.Content[i].Value {
		case "attributes", "audiences", "activations":
		default:
			return false
		}
	}
	return true
}
