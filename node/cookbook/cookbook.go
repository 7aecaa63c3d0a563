package cookbook

import (
	"strings"

	"dashi/pipeline/recipe"
	"dashi/ring/meta"
)

// Cookbook is the program in force, with its names indexed.
type Cookbook struct {
	*recipe.Program
	Version   uint64 // in the directory
	fields    map[string]int
	audiences map[string]int // those of accounts after those of people
}

// New indexes the names of a program.
func New(p *recipe.Program, version uint64) *Cookbook {
	c := &Cookbook{Program: p, Version: version, fields: map[string]int{}, audiences: map[string]int{}}
	for i := range p.Attributes {
		c.fields[p.Attributes[i].Name] = i
	}
	for i, d := range p.AllAudiences() {
		c.audiences[d.Name] = i
	}
	return c
}

// Field is the index of an attribute in Attributes.
func (c *Cookbook) Field(name []byte) (int, bool) {
	i, ok := c.fields[string(name)]
	return i, ok
}

// Audience is the index of an audience in AllAudiences.
func (c *Cookbook) Audience(name []byte) (int, bool) {
	i, ok := c.audiences[string(name)]
	return i, ok
}

// CheckError is a cookbook that does not compile.
type CheckError struct{ Diagnostics []recipe.Diagnostic }

func (e *CheckError) Error() string {
	var b strings.Builder
	for _, d := range e.Diagnostics {
		b.WriteString(d.String())
		b.WriteByte('\n')
	}
	return "the cookbook has errors:\n" + strings.TrimRight(b.String(), "\n")
}

// Sources are those of a cookbook in the directory.
func Sources(c *meta.Cookbook) []recipe.Source {
	sources := make([]recipe.Source, len(c.Sources))
	for i, s := range c.Sources {
		sources[i] = recipe.Source{Name: s.Name, Text: s.Text}
	}
	return sources
}

// Put is the command that commits sources in the directory as the next cookbook.
func Put(sources []recipe.Source) *meta.PutCookbook {
	c := &meta.PutCookbook{}
	for _, s := range sources {
		c.Sources = append(c.Sources, meta.Source{Name: s.Name, Text: s.Text})
	}
	return c
}
