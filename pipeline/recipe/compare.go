package recipe

import (
	"fmt"
	"slices"
	"strings"

	"dashi/pipeline/audience"
)

// Fate is what becomes of a part of the cookbook in force when another takes its place.
type Fate string

// The fates.
const (
	Kept    Fate = "kept"    // it is as it was, with its state
	New     Fate = "new"     // it starts empty; an audience with whoever its condition is true for
	Changed Fate = "changed" // it has another definition, and no state of its own to lose
	Reset   Fate = "reset"   // it has another definition: what is known of everybody is forgotten, and it starts empty
	Dropped Fate = "dropped" // it is no more, and what it knew of everybody is forgotten
	Gone    Fate = "gone"    // it is no more, and had nothing of its own to lose
)

// Loses says whether something is forgotten that only the events could bring back.
func (f Fate) Loses() bool { return f == Reset || f == Dropped }

// Change is the fate of one part.
type Change struct {
	Name string `json:"name"`
	Fate Fate   `json:"fate"`
}

// Changes are what another cookbook would do, by name.
type Changes struct {
	Attributes []Change `json:"attributes"`
	Audiences  []Change `json:"audiences"`
	Purposes   []Change `json:"purposes"` // of consent
}

// Compare says what becomes of a cookbook when next takes its place.
func Compare(last, next *Program) *Changes {
	c := &Changes{Attributes: []Change{}, Audiences: []Change{}, Purposes: []Change{}}
	c.Attributes = fates(c.Attributes, last.Attributes, next.Attributes, func(a *Attribute) string { return a.Name }, func(a, b *Attribute) Fate {
		switch {
		case b == nil && a.Kind != nil:
			return Dropped
		case b == nil:
			return Gone
		case a == nil:
			return New
		case a.Definition == b.Definition && (a.Kind == nil) == (b.Kind == nil):
			return Kept
		case a.Kind != nil:
			return Reset
		}
		return Changed
	})
	c.Audiences = fates(c.Audiences, last.Audiences, next.Audiences, func(a *audience.Definition) string { return a.Name }, func(a, b *audience.Definition) Fate {
		switch {
		case b == nil:
			return Gone
		case a == nil:
			return New
		case a.Source != b.Source || a.Emit != b.Emit || !slices.Equal(last.purposeNames(a.Requires), next.purposeNames(b.Requires)):
			return Changed
		}
		return Kept
	})
	c.Purposes = fates(c.Purposes, last.Purposes, next.Purposes, func(s *string) string { return *s }, func(a, b *string) Fate {
		switch {
		case b == nil:
			return Dropped
		case a == nil:
			return New
		}
		return Kept
	})
	return c
}

// fates appends what becomes of every part that last or next has, by name. fate is given nil for the one that does not have it.
func fates[T any](dst []Change, last, next []T, name func(*T) string, fate func(a, b *T) Fate) []Change {
	find := func(all []T, wanted string) *T {
		i := slices.IndexFunc(all, func(p T) bool { return name(&p) == wanted })
		if i < 0 {
			return nil
		}
		return &all[i]
	}
	for i := range last {
		n := name(&last[i])
		dst = append(dst, Change{n, fate(&last[i], find(next, n))})
	}
	for i := range next {
		if n := name(&next[i]); find(last, n) == nil {
			dst = append(dst, Change{n, fate(nil, &next[i])})
		}
	}
	slices.SortFunc(dst, func(a, b Change) int { return strings.Compare(a.Name, b.Name) })
	return dst
}

// purposeNames are the names of purposes, sorted.
func (p *Program) purposeNames(indices []int) (names []string) {
	for _, i := range indices {
		names = append(names, p.Purposes[i])
	}
	slices.Sort(names)
	return names
}

// Losses are the parts that lose what they know, as "attribute visits".
func (c *Changes) Losses() (parts []string) {
	for _, of := range []struct {
		what    string
		changes []Change
	}{{"attribute", c.Attributes}, {"consent to", c.Purposes}} {
		for _, change := range of.changes {
			if change.Fate.Loses() {
				parts = append(parts, of.what+" "+change.Name)
			}
		}
	}
	return parts
}

// Summary counts the fates in one line, as "attributes: 12 kept, 1 new; audiences: 3 kept".
func (c *Changes) Summary() string {
	var parts []string
	for _, of := range []struct {
		what    string
		changes []Change
	}{{"attributes", c.Attributes}, {"audiences", c.Audiences}, {"purposes", c.Purposes}} {
		var counts []string
		for _, fate := range []Fate{Kept, New, Changed, Reset, Dropped, Gone} {
			n := 0
			for _, change := range of.changes {
				if change.Fate == fate {
					n++
				}
			}
			if n > 0 {
				counts = append(counts, fmt.Sprintf("%d %s", n, fate))
			}
		}
		if len(counts) > 0 {
			parts = append(parts, of.what+": "+strings.Join(counts, ", "))
		}
	}
	return strings.Join(parts, "; ")
}
