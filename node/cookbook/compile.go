package cookbook

import (
	"slices"
	"sync"

	"dashi/pipeline/recipe"
)

// Compiler compiles each cookbook once for all who ask, and keeps the last few. Its programs are shared: nobody may write to them.
type Compiler struct {
	mu   sync.Mutex
	kept []compiled // newest last
}

type compiled struct {
	sources     []recipe.Source
	program     *recipe.Program
	diagnostics []recipe.Diagnostic
}

// compilerKeeps is how many cookbooks are kept: the one in force, one that is on its way, one that somebody asks about, and one more.
const compilerKeeps = 4

// Compile is recipe.Recompile.
func (c *Compiler) Compile(sources []recipe.Source) (*recipe.Program, []recipe.Diagnostic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.kept, func(k compiled) bool { return slices.EqualFunc(k.sources, sources, SameSource) })
	if i < 0 {
		k := compiled{sources: slices.Clone(sources)}
		k.program, k.diagnostics = recipe.Recompile(sources)
		c.kept = append(c.kept[max(0, len(c.kept)-compilerKeeps+1):], k)
		i = len(c.kept) - 1
	}
	return c.kept[i].program, c.kept[i].diagnostics
}

// Oversize says that a cookbook is too large to come into force; nothing if it is not. One that is in force already may stay: see recipe.Recompile.
func Oversize(p *recipe.Program) []recipe.Diagnostic {
	if p.Oversize == nil {
		return nil
	}
	return []recipe.Diagnostic{*p.Oversize}
}

// SameSource says whether two sources have the same name and text.
func SameSource(a, b recipe.Source) bool { return a.Name == b.Name && string(a.Text) == string(b.Text) }
