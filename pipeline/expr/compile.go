package expr

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
)

// Expr is a compiled expression. It is immutable.
type Expr struct {
	Type Type
	// The one that fits Type is set. For DurationType it is Num, in milliseconds.
	Bool Bool
	Num  Num
	Str  Str
	Time Time
	// Any is set for every type but DurationType.
	Any Any
	// Field and Item are 1 + the field of the event, or of the element of an array, that the expression is as it stands: who
	// has the event at hand need not ask Any. 0 for anything else.
	Field, Item int

	Interpreted bool   // fell back to cel-go's interpreter
	Why         string // which part made it fall back

	// Attributes, Audiences and Purposes are everything that is read, derived attributes expanded into
	// what they read; sorted, each once.
	Attributes, Audiences, Purposes []int
	// Fields are the fields of the event that are read, items too; sorted, each once.
	Fields []int
	// Atoms are the comparisons "number or time attribute OP constant", sorted, each once.
	Atoms []Atom
	// Keys are the elements of sets, tallies and lists that are asked for by name, sorted, each once.
	Keys []Key
	// Coarse are the attributes that are read in any other way too; sorted. They have no atoms and no keys.
	Coarse    []int
	Levels    []int // indices in Env.Levels that are read; sorted, each once
	UsesNow   bool
	UsesEvent bool
	// Personal says that an A/B bucket is read: the value depends on who the profile is, whatever its state.
	Personal bool

	// Next gives the first instant after Env.Now at which the outcome of a condition may change although nothing else
	// does, in milliseconds, Never for none within a hundred years. Until then the outcome stays. It may be too early, but not
	// too late. nil: time changes nothing. It does not allocate, but where the expression is interpreted.
	Next func(*Env) int64
	// Watch is Bool and Next at once, for less than both cost; nil where Next is.
	Watch func(*Env) (outcome Truth, next int64)
	// Unscheduled says why Next cannot be relied on: nobody can be woken for every change. Nil: it can.
	Unscheduled *Error
	// Clock is for the AttributeRef of a derived attribute.
	Clock Clock
	// Void is a part that never has a value, or compares with a value that never occurs, whatever the event and the profile are; nil: none that can be seen.
	Void *Error
}

// Clock is how the value of an expression changes with time.
type Clock struct{ n *node }

// Atom is a comparison of a stored number or time attribute with a constant.
type Atom struct {
	Attribute int
	Constant  float64 // for times, milliseconds
}

// Key is one element, of a constant name, of a stored set, tally or list: whether it is in, or its number.
type Key struct {
	Attribute int
	Key       string
}

// Error says what is wrong with an expression, for the person who wrote it.
type Error struct {
	Line, Column int // within the source, from 1; columns count characters
	Message      string
	Hint         string // what to do; may be empty
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Compile parses, checks and compiles src. want is the type that the result must have. The result is a
// scalar: a set, tally or list is refused whatever want says.
func Compile(src string, scope *Scope, want Type) (*Expr, *Error) {
	c, err := check(src, scope)
	if err != nil {
		return nil, err
	}
	if err := c.wants(want); err != nil {
		return nil, err
	}
	root, stop := c.expr(c.checked.NativeRep().Expr())
	if stop != nil && stop.err != nil {
		return nil, stop.err
	}
	x := &Expr{Type: c.result(), Void: c.tree.void}
	if stop != nil {
		if root, err = c.interpret(cel.CostLimit(maxCost)); err != nil {
			return nil, err
		}
		x.Interpreted, x.Why = true, stop.why
		root.timing = c.interpretedTiming(stop.why)
	}
	x.take(root)
	x.Field, x.Item = root.field, root.item
	x.Next, x.Watch, x.Unscheduled, x.Clock = root.schedule(), root.scheduled(), root.refused, Clock{root}
	if root.moves && x.Unscheduled == nil && root.kind == BoolType {
		panic("BUG: a condition moves")
	}
	x.dependencies(c, stop != nil)
	return x, nil
}

// compiler holds one expression on its way from the checked tree to closures.
type compiler struct {
	tree    *tree
	env     *cel.Env
	checked *cel.Ast
	ast     *ast.AST
	vars    []*variable
	atoms   []Atom
	keys    []Key
	coarse  []int
}

// check goes from the source to the checked tree.
func check(src string, scope *Scope) (*compiler, *Error) {
	if err := checkSource(src); err != nil {
		return nil, err
	}
	env := language()
	parsed, issues := env.Parse(src)
	if issues.Err() != nil {
		return nil, parseError(src, issues)
	}
	native := parsed.NativeRep()
	t := newTree(src, native)
	r := &resolver{scope: scope, tree: t, names: map[string]int{}, make: ast.NewExprFactory()}
	if err := t.tooDeep(native.Expr()); err != nil {
		return nil, err
	}
	if err := r.walk(native.Expr(), nil); err != nil {
		return nil, err
	}
	declared := make([]cel.EnvOption, len(r.vars))
	for i, v := range r.vars {
		declared[i] = cel.Variable(variableName(i), v.celType())
	}
	env, err := env.Extend(declared...)
	if err != nil {
		return nil, &Error{Line: 1, Column: 1, Message: "cannot declare the names: " + err.Error()}
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, t.checkError(issues)
	}
	return &compiler{tree: t, env: env, checked: checked, ast: checked.NativeRep(), vars: r.vars}, nil
}

func checkSource(src string) *Error {
	switch {
	case len(src) > MaxSource:
		return &Error{Line: 1, Column: 1, Message: fmt.Sprintf("the expression has %d bytes; at most %d are allowed", len(src), MaxSource), Hint: "make a derived attribute or an audience of a part of it"}
	case strings.TrimSpace(src) == "":
		return &Error{Line: 1, Column: 1, Message: "the expression is empty"}
	case !utf8.ValidString(src):
		return &Error{Line: 1, Column: 1, Message: "the expression is not UTF-8"}
	}
	return nil
}

// result is the type of the whole expression.
func (c *compiler) result() Type { return c.typeOf(c.ast.Expr()) }

// wants checks the type of the whole against what the caller can use.
func (c *compiler) wants(want Type) *Error {
	e := c.ast.Expr()
	got := c.result()
	text := "`" + c.tree.text(e) + "`"
	switch {
	case got == want && got <= DurationType || want == AnyType && got != AnyType && got < SetType:
		return nil
	case want == BoolType:
		return c.tree.fail(e, "a condition is needed here, and "+text+" is "+c.words(e), "compare it with something")
	case want == AnyType:
		return c.tree.fail(e, "a single value is needed here, and "+text+" is "+c.words(e), "")
	}
	return c.tree.fail(e, "a "+want.String()+" is needed here, and "+text+" is "+c.words(e), "")
}

func (c *compiler) words(e ast.Expr) string {
	return plainType(cel.FormatCELType(c.ast.GetType(e.ID())))
}

// take sets the closures of the result.
func (x *Expr) take(n *node) {
	switch x.Type {
	case BoolType:
		x.Bool, x.Any = n.b, anyBool(n.b)
	case NumberType:
		x.Num, x.Any = n.n, anyNum(n.n)
	case StringType:
		x.Str, x.Any = n.s, anyStr(n.s)
	case TimeType:
		x.Time, x.Any = n.t, anyTime(n.t)
	case DurationType:
		t := n.t
		x.Num = func(env *Env) (float64, bool) {
			ms, ok := t(env)
			return float64(ms), ok
		}
	}
}

// dependencies fills in what the outcome depends on.
func (x *Expr) dependencies(c *compiler, all bool) {
	for _, v := range c.vars {
		switch v.source {
		case fromNow:
			x.UsesNow = true
		case fromTime, fromType:
			x.UsesEvent = true
		case fromField, fromItem, fromList:
			x.UsesEvent = true
			x.Fields = append(x.Fields, v.index)
		case fromAudience:
			x.Audiences = append(x.Audiences, v.index)
		case fromLevel:
			x.Levels = append(x.Levels, v.index)
		case fromPurpose:
			x.Purposes = append(x.Purposes, v.index)
		case fromAttribute:
			x.UsesNow = x.UsesNow || v.attr.UsesNow
			x.Personal = x.Personal || v.attr.Personal
			x.Audiences = append(x.Audiences, v.attr.Audiences...)
			x.Purposes = append(x.Purposes, v.attr.Purposes...)
			x.Attributes = append(x.Attributes, v.attr.stored()...)
		}
	}
	x.Attributes, x.Audiences, x.Purposes, x.Fields = set(x.Attributes), set(x.Audiences), set(x.Purposes), set(x.Fields)
	x.Levels = set(x.Levels)
	if all {
		x.Coarse = slices.Clone(x.Attributes)
		return
	}
	x.Coarse = set(c.coarse)
	for _, a := range c.atoms {
		if _, ok := slices.BinarySearch(x.Coarse, a.Attribute); !ok {
			x.Atoms = append(x.Atoms, a)
		}
	}
	for _, k := range c.keys {
		if _, ok := slices.BinarySearch(x.Coarse, k.Attribute); !ok {
			x.Keys = append(x.Keys, k)
		}
	}
	slices.SortFunc(x.Keys, func(a, b Key) int {
		return cmp.Or(a.Attribute-b.Attribute, strings.Compare(a.Key, b.Key))
	})
	x.Keys = slices.Compact(x.Keys)
	slices.SortFunc(x.Atoms, func(a, b Atom) int {
		return cmp.Or(a.Attribute-b.Attribute, cmp.Compare(a.Constant, b.Constant))
	})
	x.Atoms = slices.Compact(x.Atoms)
}

// set sorts, and drops what stands twice.
func set(list []int) []int {
	slices.Sort(list)
	return slices.Compact(list)
}

// stored are the attributes with a state that reading a depends on.
func (a *AttributeRef) stored() []int {
	if a.Kind != nil {
		return []int{a.Index}
	}
	return a.Reads
}
