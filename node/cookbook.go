package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"dashi/node/recipetest"
	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
	"dashi/ring/meta"
)

// cookbook is the program in force, with its names indexed.
type cookbook struct {
	*recipe.Program
	version   uint64
	fields    map[string]int
	audiences map[string]int // those of accounts after those of people
}

func newCookbook(p *recipe.Program, version uint64) *cookbook {
	c := &cookbook{Program: p, version: version, fields: map[string]int{}, audiences: map[string]int{}}
	for i := range p.Attributes {
		c.fields[p.Attributes[i].Name] = i
	}
	for i, d := range p.AllAudiences() {
		c.audiences[d.Name] = i
	}
	return c
}

var errNoRecipes = errors.New("no recipes: name recipe files, or a directory of them (a node: recipes in its settings, or --recipes)")

// ReadRecipes reads the recipe files that the paths name. A directory stands for its .yml and .yaml files, tests aside.
func ReadRecipes(paths []string) ([]recipe.Source, error) {
	files, err := findFiles(paths, func(name string) bool { return !recipetest.IsTestFile(name) })
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errNoRecipes
	}
	return readSources(files)
}

// ReadTests reads the recipes that the paths name, and the files of tests: those in a directory, and NAME.test.yml beside the file
// NAME.yml. A path may also be that of a file of tests, and stands for the recipe beside it too.
func ReadTests(paths []string) (recipes, tests []recipe.Source, err error) {
	var all []string
	for _, path := range paths {
		all = append(all, path)
		for _, ext := range []string{".yml", ".yaml"} {
			beside, isRecipe := strings.CutSuffix(path, ext)
			if !isRecipe {
				continue
			}
			if name, isTest := strings.CutSuffix(beside, ".test"); isTest {
				beside = name + ext
			} else {
				beside += ".test" + ext
			}
			if _, err := os.Stat(beside); err == nil {
				all = append(all, beside)
			}
		}
	}
	if recipes, err = ReadRecipes(all); err != nil {
		return nil, nil, err
	}
	files, err := findFiles(all, recipetest.IsTestFile)
	if err != nil {
		return nil, nil, err
	}
	if tests, err = readSources(files); err != nil {
		return nil, nil, err
	}
	return recipes, append(slices.Clone(recipes), tests...), nil
}

// findFiles lists the files among the paths, and in the directories among them, that are chosen.
func findFiles(paths []string, chosen func(name string) bool) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read recipes: %w", err)
		}
		if !info.IsDir() {
			if chosen(path) {
				files = append(files, path)
			}
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read recipes: %w", err)
		}
		found := 0
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yml" || ext == ".yaml") {
				if found++; chosen(e.Name()) {
					files = append(files, filepath.Join(path, e.Name()))
				}
			}
		}
		if found == 0 {
			return nil, fmt.Errorf("cannot read recipes: no .yml file in %q: %w", path, fs.ErrNotExist)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

func readSources(files []string) ([]recipe.Source, error) {
	sources := make([]recipe.Source, 0, len(files))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("cannot read recipe: %w", err)
		}
		sources = append(sources, recipe.Source{Name: f, Text: text})
	}
	return readData(sources)
}

// readData adds the data files that the recipes name. It passes over one that does not exist or is a directory: compiling reports that, with its place.
func readData(sources []recipe.Source) ([]recipe.Source, error) {
	for _, s := range slices.Clone(sources) {
		for _, name := range recipe.DataFiles(s) {
			if slices.ContainsFunc(sources, func(o recipe.Source) bool { return o.Name == name }) {
				continue
			}
			text, err := os.ReadFile(name)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("cannot read a file of a recipe: %w", err)
			}
			sources = append(sources, recipe.Source{Name: name, Text: text})
		}
	}
	return sources, nil
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

func recipeSources(c *meta.Cookbook) []recipe.Source {
	sources := make([]recipe.Source, len(c.Sources))
	for i, s := range c.Sources {
		sources[i] = recipe.Source{Name: s.Name, Text: s.Text}
	}
	return sources
}

func putCookbook(sources []recipe.Source) *meta.PutCookbook {
	c := &meta.PutCookbook{}
	for _, s := range sources {
		c.Sources = append(c.Sources, meta.Source{Name: s.Name, Text: s.Text})
	}
	return c
}

// format is how the records of one topic are read.
type format struct {
	name string // segment, msgpack, mapping:NAME
	last *recipe.Program
	made decoder
}

type decoder interface {
	decode(value []byte, millis int64, e *event.Event) error
}

// decoder returns the decoder for a program. It belongs to the source's calls, which never overlap.
func (f *format) decoder(p *recipe.Program) decoder {
	if f.last != p {
		f.last, f.made = p, newDecoder(f.name, p)
	}
	return f.made
}

// checkFormat returns an error unless there is a decoder of that name, or the cookbook has its mapping.
func checkFormat(name string, p *recipe.Program) error {
	mapping, isMapping := strings.CutPrefix(name, "mapping:")
	switch {
	case name == "segment", name == "msgpack":
		return nil
	case isMapping && p.Mappings[mapping] != nil:
		return nil
	case isMapping:
		return fmt.Errorf("decoder %q: no recipe has a mapping %q", name, mapping)
	}
	return fmt.Errorf("decoder %q is unknown: it is segment, msgpack or mapping:NAME", name)
}

// checkFormats returns an error unless a cookbook has the decoders that the input topics need.
func (n *Node) checkFormats(p *recipe.Program) error {
	for _, in := range n.settings.Kafka.Inputs {
		if err := checkFormat(in.Decoder, p); err != nil {
			return fmt.Errorf("cannot read topic %q: %w", in.Topic, err)
		}
	}
	return nil
}

func newDecoder(name string, p *recipe.Program) decoder {
	d := event.NewDecoder(p.Schema, event.DefaultLimits)
	switch name {
	case "segment":
		return segmentDecoder{d}
	case "msgpack":
		return msgpackDecoder{d}
	}
	return newRowDecoder(p.Mappings[strings.TrimPrefix(name, "mapping:")], d)
}

type segmentDecoder struct{ *event.Decoder }

func (d segmentDecoder) decode(value []byte, millis int64, e *event.Event) error {
	return d.Decode(value, millis, e)
}

type msgpackDecoder struct{ *event.Decoder }

func (d msgpackDecoder) decode(value []byte, millis int64, e *event.Event) error {
	return d.DecodeMsgpack(value, millis, e)
}

// rowDecoder reads JSON rows through a recipe's mapping: a row becomes a Segment message, which is decoded as any other.
type rowDecoder struct {
	columns []string
	binding *recipe.Binding
	err     error // of the binding: every row is bad then
	next    *event.Decoder
	row     []string
	buf     []byte
}

func newRowDecoder(m *recipe.Mapping, next *event.Decoder) *rowDecoder {
	d := &rowDecoder{columns: m.Columns, next: next, row: make([]string, len(m.Columns))}
	d.binding, d.err = m.Bind(m.Columns)
	return d
}

func (d *rowDecoder) decode(value []byte, millis int64, e *event.Event) error {
	if d.err != nil {
		return d.err
	}
	if err := recipe.ParseRow(value, d.columns, d.row); err != nil {
		return err
	}
	var err error
	if d.buf, _, _, err = d.binding.AppendEvent(d.buf[:0], d.row); err != nil {
		return err
	}
	return d.next.Decode(d.buf, millis, e)
}
