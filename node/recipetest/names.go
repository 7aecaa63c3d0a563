package recipetest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"dashi/pipeline/activation"
	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
	"dashi/pipeline/spell"

	"go.yaml.in/yaml/v3"
)

// maxNamed is how many names a message lists: beyond them nobody reads on.
const maxNamed = 16

// unknownName says that there is no such thing, and which was meant: the nearest name, or else those that there are.
func unknownName(what, name string, names []string) string {
	return "there is no " + what + " " + strconv.Quote(name) + "; " + meant(name, names)
}

// otherKind says that what is asked of a person is of accounts, or the other way round.
func otherKind(what, name, id string) string {
	if isAccount(id) {
		return name + " is an " + what + " of people: name one, as in {who: user_id:somebody, ..}"
	}
	return name + " is an " + what + " of accounts: name one, as in {who: " + recipe.AccountNamespace + ":acme, ..}"
}

// meant is the name that was probably meant by one that nobody knows, or else those that there are.
func meant(name string, names []string) string {
	near := spell.Closest(name, names)
	for _, n := range names {
		if near == "" && name != "" && (strings.Contains(n, name) || strings.Contains(name, n)) {
			near = n
		}
	}
	switch more := len(names) - maxNamed; {
	case near != "":
		return "is it " + near + "?"
	case len(names) == 0:
		return "there are none"
	case more > 0:
		return "there are " + strings.Join(names[:maxNamed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return "there are " + strings.Join(names, ", ")
}

// activationNames are the names under which something can leave: of audiences, of activations, and what a shard says by itself.
func (c *coverage) activationNames() []string {
	names := []string{string(activation.Merged), string(activation.Unmerged), string(activation.Erased)}
	for _, d := range c.program.AllAudiences() {
		names = append(names, d.Name)
	}
	for _, a := range allActivations(c.program) {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// goalNames are those of activations that have a goal.
func (c *coverage) goalNames() (names []string) {
	for _, a := range allActivations(c.program) {
		if a.Goal() != nil {
			names = append(names, a.Name)
		}
	}
	slices.Sort(names)
	return names
}

// allActivations are those of people and of accounts.
func allActivations(p *recipe.Program) []recipe.Activation {
	if p.Accounts == nil {
		return p.Activations
	}
	return slices.Concat(p.Activations, p.Accounts.Program.Activations)
}

// unknown is what is wrong with the names of an expected activation; empty when there is nothing.
func (w *wantedActivation) unknown(c *coverage) string {
	if names := c.activationNames(); !slices.Contains(names, w.name) {
		return unknownName("activation", w.name, names)
	}
	for _, a := range w.attributes {
		if c.attributes[a.name] == nil && c.accounts[a.name] == nil {
			return unknownName("attribute", a.name, slices.Compact(slices.Sorted(slices.Values(slices.Concat(
				slices.Collect(maps.Keys(c.attributes)), slices.Collect(maps.Keys(c.accounts)))))))
		}
	}
	return ""
}

// consentPath is where `consent` beside an event puts what it says.
var consentPath = []string{"context", "consent", "categoryPreferences"}

// categories are the names that the recipes read there.
func categories(s *event.Schema) (names []string) {
	for _, f := range s.Fields {
		if n := len(consentPath); len(f.Path) == n+1 && slices.Equal(f.Path[:n], consentPath) {
			names = append(names, f.Path[n])
		}
	}
	slices.Sort(names)
	return names
}

// consent reads what `consent` beside an event says. What no recipe reads would state nothing.
func (p *parser) consent(v *yaml.Node) map[string]any {
	if p.program != nil {
		known := categories(p.program.Schema)
		p.each(v, func(key string, k, _ *yaml.Node) {
			if !slices.Contains(known, key) {
				p.report(k, "no recipe reads consent to `"+key+"` at "+strings.Join(consentPath, "."), meant(key, known))
			}
		})
	}
	return map[string]any{"consent": map[string]any{consentPath[2]: p.object(v)}}
}
