package recipe

import (
	"path"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"dashi/pipeline/place"
)

// A model, or a table of places, may be a file beside the recipe. It is a source of the cookbook like the recipes, so that every
// replica has it.

// maxDataBytes bounds one such file: it travels in one entry of the log with the rest of the cookbook.
const maxDataBytes = 4 << 20

// IsData says whether a source is a file that recipes name rather than a recipe.
func IsData(name string) bool { return isModel(name) || place.IsFile(name) }

func isModel(name string) bool {
	ext := path.Ext(name)
	return ext == ".json" || ext == ".txt"
}

// DataFiles are the names of the files that a recipe refers to, as sources of the cookbook are named: relative to where
// the recipe is. Whoever reads recipes from disk hands these in as well.
func DataFiles(s Source) []string {
	var f findings
	d := parse(s, &f)
	if d.root == nil {
		return nil
	}
	var names []string
	for _, from := range []struct {
		root         *yaml.Node
		section, key string
	}{{d.root, "attributes", "model"}, {d.root, "places", "file"}, {value(d.root, "accounts"), "attributes", "model"}} {
		n := value(from.root, from.section)
		if n == nil || n.Kind != yaml.MappingNode {
			continue
		}
		for i := 1; i < len(n.Content); i += 2 {
			file := content(n.Content[i], from.key)
			if name := dataName(s.Name, file); file != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func dataName(recipe, file string) string { return path.Join(path.Dir(recipe), file) }

// data finds the text of the file that n names. what says in messages what sort of file it is.
func (c *compiler) data(e *entry, n *yaml.Node, what string) (text []byte, good bool) {
	name := dataName(e.doc.source.Name, n.Value)
	i := slices.IndexFunc(c.program.Sources, func(s Source) bool { return s.Name == name })
	if i < 0 {
		c.report(e.doc, n, "there is no "+what+" "+quote(n.Value), "the path is relative to the recipe: put the file there")
		return nil, false
	}
	c.used = append(c.used, name)
	text = c.program.Sources[i].Text
	if len(text) > maxDataBytes {
		c.report(e.doc, n, "the "+what+" "+quote(n.Value)+" is over "+strconv.Itoa(maxDataBytes>>20)+" MB", "the whole cookbook travels in one entry of the log: make it smaller")
		return nil, false
	}
	return text, true
}

// leftData warns of files that no recipe names.
func (c *compiler) leftData() {
	for _, s := range c.program.Sources {
		if IsData(s.Name) && !slices.Contains(c.used, s.Name) {
			c.add(Diagnostic{File: s.Name, Line: 1, Column: 1, Severity: Warning, Message: "no recipe uses this file",
				Hint: "an attribute with kind: score names a model, an entry under places a file of places; a recipe's own name ends in .yml"})
		}
	}
}
