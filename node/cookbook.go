package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"dashi/node/recipetest"
	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
	"dashi/ring/meta"
	"dashi/shard"
	"dashi/shard/group"
)

// cookbook is the program in force, with its names indexed.
type cookbook struct {
	*recipe.Program
	fields    map[string]int
	audiences map[string]int
}

func newCookbook(p *recipe.Program) *cookbook {
	c := &cookbook{Program: p, fields: map[string]int{}, audiences: map[string]int{}}
	for i := range p.Attributes {
		c.fields[p.Attributes[i].Name] = i
	}
	for i := range p.Audiences {
		c.audiences[p.Audiences[i].Name] = i
	}
	return c
}

// ReadRecipes reads the recipe files that the paths name. A directory stands for its .yml and .yaml files, tests aside.
func ReadRecipes(paths []string) ([]recipe.Source, error) {
	files, err := findFiles(paths, func(name string) bool { return !recipetest.IsTestFile(name) })
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("no recipes: name a recipe file or a directory of them")
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

// readData adds the files that the recipes name. One that is not there is for check to report, at its place.
func readData(sources []recipe.Source) ([]recipe.Source, error) {
	for _, s := range slices.Clone(sources) {
		for _, name := range recipe.DataFiles(s) {
			if slices.ContainsFunc(sources, func(o recipe.Source) bool { return o.Name == name }) {
				continue
			}
			text, err := os.ReadFile(name)
			if errors.Is(err, fs.ErrNotExist) {
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

// compileCookbook compiles what the directory has committed. It was compiled before it was, so an error means another version of dashi.
func compileCookbook(c *meta.Cookbook) (*recipe.Program, error) {
	program, diagnostics := recipe.Compile(recipeSources(c))
	if program == nil {
		return nil, fmt.Errorf("cannot use cookbook version %d of the cluster: %w", c.Version, &CheckError{diagnostics})
	}
	return program, nil
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

// renew commits the recipes of a node by itself, if they have changed since they were last committed.
func (n *Node) renew(ctx context.Context) error {
	if n.recipes == nil || n.gossip != nil {
		return nil
	}
	return n.change(ctx, func(s *meta.State) (meta.Command, error) {
		c := putCookbook(n.recipes)
		if slices.EqualFunc(c.Sources, s.Cookbook().Sources, func(a, b meta.Source) bool { return a.Name == b.Name && bytes.Equal(a.Text, b.Text) }) {
			return nil, errNoCommand
		}
		return c, nil
	})
}

// adopt puts a cookbook in force on the shard, if this replica leads. It says whether this replica has it.
func (m *member) adopt(n *Node, program *recipe.Program) (has bool, err error) {
	m.mu.RLock()
	p := m.shard.Program()
	m.mu.RUnlock()
	if p != nil && p.Hash == program.Hash {
		return true, nil
	}
	if !m.leads() {
		return false, nil
	}
	r, err := m.propose(shard.AppendCookbook(nil, n.now(), program.Sources))
	switch {
	case errors.Is(err, group.ErrNotLeader) || errors.Is(err, group.ErrUnknown):
		return false, nil // whoever leads now does it
	case err != nil:
		return false, fmt.Errorf("cannot switch shard %d to the cookbook: %w", m.id, err)
	case r.Outcome != shard.Accepted:
		return false, fmt.Errorf("cannot switch shard %d to the cookbook: %s", m.id, r.Detail)
	}
	return true, nil
}

// settle delivers what shards have for each other, before they are switched to another program: messages can only be read with the
// one under which they were written. No events come in meanwhile.
func (n *Node) settle(next *recipe.Program) error {
	for moved := true; moved; {
		moved = false
		for _, c := range n.couriers {
			if p := c.m.shard.Program(); p == nil || p.Hash == next.Hash {
				continue
			}
			more, err := c.round(context.Background())
			if err != nil {
				return fmt.Errorf("cannot prepare for another cookbook: %w", err)
			}
			moved = moved || more
		}
	}
	return nil
}

// compileOnce compiles the same sources once for all shards.
func compileOnce() func([]recipe.Source) (*recipe.Program, []recipe.Diagnostic) {
	var mu sync.Mutex
	var sources []recipe.Source
	var program *recipe.Program
	var diagnostics []recipe.Diagnostic
	return func(s []recipe.Source) (*recipe.Program, []recipe.Diagnostic) {
		mu.Lock()
		defer mu.Unlock()
		same := slices.EqualFunc(s, sources, func(a, b recipe.Source) bool { return a.Name == b.Name && string(a.Text) == string(b.Text) })
		if !same || sources == nil {
			sources = slices.Clone(s)
			program, diagnostics = recipe.Compile(s)
		}
		return program, diagnostics
	}
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

// checkFormat says whether there is such a decoder in the cookbook.
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
