package recipe

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// cookbookFiles reads recipe files from disk, their tests aside.
func cookbookFiles(t testing.TB, pattern string) []Source {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	var sources []Source
	for _, file := range files {
		if strings.HasSuffix(file, ".test.yml") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, Source{Name: filepath.Base(file), Text: text})
	}
	return sources
}

func TestDeployedRecipes(t *testing.T) {
	sources := cookbookFiles(t, filepath.Join(recipes, "*.yml"))
	base := sources[0]
	if base.Name != "00-base.yml" {
		t.Fatalf("the base is %s", base.Name)
	}
	for _, s := range sources {
		with := []Source{base}
		if s.Name != base.Name {
			with = append(with, s)
		}
		if p, found := Compile(with); p == nil || len(found) > 0 {
			t.Errorf("%s with the base alone: %v", s.Name, found)
		}
	}
	if p, found := Compile(sources); p == nil || len(found) > 0 {
		t.Errorf("together: %v", found)
	}
}

func TestBenchRecipe(t *testing.T) {
	p, found := Compile(cookbookFiles(t, "../../bench/recipes/bench.yml"))
	if p == nil || len(found) > 0 {
		t.Fatal(found)
	}
	touched := map[int]bool{}
	for _, r := range p.Rules[1+slices.Index(p.Schema.Types, "Order Completed")] {
		touched[r.Attribute] = true
	}
	if len(p.Attributes) != 10 || len(touched) != 10 || len(p.Audiences) != 50 {
		t.Errorf("%d attributes, %d touched, %d audiences", len(p.Attributes), len(touched), len(p.Audiences))
	}
}

// shape is what must be the same on every machine.
func fingerprint(p *Program) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%x %v %v %v %d %d\n", p.Hash, p.Schema.Types, p.Schema.Fields, p.Schema.Arrays, p.FixedSize, p.Segments)
	for _, a := range p.Attributes {
		fmt.Fprintf(&b, "%s %d %v %v %x\n", a.Name, a.Type, a.Slot, a.Reads, a.Definition)
	}
	for _, rules := range p.Rules {
		for _, r := range rules {
			fmt.Fprintf(&b, "%d %d %d %d;", r.Attribute, r.Purpose, r.Op, r.Array)
		}
		b.WriteByte('\n')
	}
	for _, a := range p.Audiences {
		fmt.Fprintf(&b, "%s %v %v %v %v %v %v\n", a.Name, a.Atoms, a.Reads, a.Nested, a.Purposes, a.Emit, a.Requires)
	}
	for _, a := range p.Activations {
		pace := "at once"
		if a.Pace != nil {
			bare := a.Pace.Pace
			if q := bare.Quiet; q != nil {
				pace, bare.Quiet = fmt.Sprint(q.From, q.To, q.Drop), nil
			}
			pace += fmt.Sprintf(" %v %d %v", bare, a.Pace.AtMost, a.Pace.Send)
		}
		a.Where, a.Pace = nil, nil
		fmt.Fprintf(&b, "%v %s\n", a, pace)
	}
	return b.String()
}

// The same sources, in whatever order they come, make the same program.
func TestCompileDeterministic(t *testing.T) {
	sources := append(cookbookFiles(t, filepath.Join(recipes, "*.yml")), Source{Name: "zz.yml", Text: []byte("recipe: zz\naudiences: {a: b, b: c, c: orders > 1, d: a && interest.shoes > 1}\n")})
	p, found := Compile(sources)
	if p == nil {
		t.Fatal(found)
	}
	want := fingerprint(p)
	for i := range 10 {
		s := slices.Clone(sources)
		s[0], s[i%len(s)] = s[i%len(s)], s[0]
		q, _ := Compile(s)
		if got := fingerprint(q); got != want {
			t.Fatalf("another program:\n%s\n%s", got, want)
		}
	}
	index := map[string]int{}
	for i, a := range p.Audiences {
		index[a.Name] = i
		for _, n := range a.Nested {
			if n >= i {
				t.Errorf("%s reads %s, which comes after it", a.Name, p.Audiences[n].Name)
			}
		}
	}
	if !(index["c"] < index["b"] && index["b"] < index["a"]) {
		t.Errorf("order of nested audiences: %v", index)
	}
}

func TestFixedSizesComeBeforeSegments(t *testing.T) {
	p := compileText(t, `
recipe: layout
attributes:
  s: {kind: set, add: {on: A, value: properties.sku}}
  n: {kind: count, on: A}
  d: {kind: derived, value: n + size(t)}
  t: {kind: tally, on: [B, A], value: properties.sku}
  m: {kind: max, on: "*", value: time}
`)
	end := 0
	for _, name := range []string{"n", "m", "s", "t"} {
		a := p.Attributes[slices.IndexFunc(p.Attributes, func(a Attribute) bool { return a.Name == name })]
		if a.Slot.Offset != end || end%8 != 0 {
			t.Errorf("%s is at %d, want %d", name, a.Slot.Offset, end)
		}
		end += a.Kind.FixedSize()
		if want := map[string]int{"n": -1, "m": -1, "s": 0, "t": 1}[name]; a.Slot.Segment != want {
			t.Errorf("%s has segment %d, want %d", name, a.Slot.Segment, want)
		}
	}
	if p.FixedSize != end || p.Segments != 2 {
		t.Errorf("%d bytes, %d segments", p.FixedSize, p.Segments)
	}
	if d := p.Attributes[2]; !reflect.DeepEqual(d.Reads, []int{1, 3}) || d.Slot.Offset != -1 || d.Slot.Segment != -1 {
		t.Errorf("derived: %+v", d)
	}
	var rules []string
	for i, list := range p.Rules {
		for _, r := range list {
			rules = append(rules, fmt.Sprintf("%d:%s", i, p.Attributes[r.Attribute].Name))
		}
	}
	if got, want := strings.Join(rules, " "), "0:m 1:s 1:n 1:t 1:m 2:t 2:m"; got != want {
		t.Errorf("rules %s, want %s", got, want)
	}
}

// An attribute whose meaning stays keeps its definition, whatever else changes; one whose meaning changes does not.
func TestDefinition(t *testing.T) {
	definition := func(attributes string) uint64 {
		t.Helper()
		p := compileText(t, "recipe: r\nfields: {properties.x: number}\nattributes:\n"+attributes)
		return p.Attributes[len(p.Attributes)-1].Definition
	}
	f := func(a, b string, same bool) {
		t.Helper()
		if (definition(a) == definition(b)) != same {
			t.Errorf("%q and %q: same is not %v", a, b, same)
		}
	}
	f("  a: {kind: count, on: A}", "  b: {on: [A], kind: count, description: D}", true)
	f("  a: {kind: count, on: A}", "  z: {kind: count, on: B}\n  a: {kind: count, on: A}", true)
	f("  a: {kind: count, on: A}", "  a: {kind: count, on: B}", false)
	f("  a: {kind: count, on: A}", "  a: {kind: count, on: A, where: properties.x > 1}", false)
	f("  a: {kind: last, on: A, value: properties.x}", "  a: {kind: first, on: A, value: properties.x}", false)
	f("  a: {kind: set, add: {on: A, value: properties.sku}}", "  a: {kind: set, limit: 5, add: {on: A, value: properties.sku}}", false)
	n := "  n: {kind: sum, on: A, value: properties.x}\n"
	f(n+"  d: {kind: derived, value: n > 1}\n  e: {kind: derived, value: d}", n+"  d: {kind: derived, value: n > 2}\n  e: {kind: derived, value: d}", false)
	f(n+"  d: {kind: derived, value: n > 1}\n  a: {kind: count, on: A, where: d}", n+"  d: {kind: derived, value: n > 2}\n  a: {kind: count, on: A, where: d}", false)
}

func TestMergeOfSections(t *testing.T) {
	one := Source{Name: "1.yml", Text: []byte("recipe: one\nfields: {properties.x: number}\npurposes: {email: context.consent.categoryPreferences.email}\nidentity: {namespaces: [{name: id, from: userId}]}\n")}
	two := Source{Name: "2.yml", Text: []byte("recipe: two\nidentity:\n  namespaces:\n    - {name: id, from: userId}\nfields: {properties.x: number}\npurposes: {email: context.consent.categoryPreferences.email, ads: {granted: {on: Yes}, withdrawn: {on: No}}}\n")}
	p, found := Compile([]Source{one, two})
	if p == nil || len(found) > 0 {
		t.Fatal(found)
	}
	if got := strings.Join(p.Purposes, " "); got != "email ads" {
		t.Errorf("purposes %s", got)
	}
	if len(p.Schema.Namespaces) != 1 || len(p.Rules[0]) != 1 || len(p.Rules[1]) != 2 || len(p.Rules[2]) != 2 {
		t.Errorf("namespaces %v, rules %v", p.Schema.Namespaces, p.Rules)
	}
}

func TestEmptyCookbook(t *testing.T) {
	p, found := Compile(nil)
	if p == nil || len(found) > 0 || len(p.Rules) != 1 || len(p.Schema.Namespaces) != 6 {
		t.Fatalf("%+v %v", p, found)
	}
}

// Any bytes give a program or an error, and no panic.
func FuzzCompile(f *testing.F) {
	files, _ := filepath.Glob("testdata/broken/*.yml")
	good, _ := filepath.Glob(filepath.Join(recipes, "*.yml"))
	for _, file := range append(files, good...) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, found := Compile([]Source{{Name: "f.yml", Text: text}})
		if p == nil && (len(found) == 0 || found[0].Severity != Error) {
			t.Fatalf("no program and no error: %v", found)
		}
		for _, d := range found {
			_ = d.Format(text)
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	sources := cookbookFiles(b, filepath.Join(recipes, "*.yml"))
	b.Run("recipes=deploy", func(b *testing.B) {
		for b.Loop() {
			Compile(sources)
		}
	})
}
