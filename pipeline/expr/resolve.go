package expr

import (
	"math"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"dashi/pipeline/attribute"
)

// resolver walks the parsed tree once: it puts variables in the place of names, doubles in the place of
// integers, and refuses what the language does not have.
type resolver struct {
	scope *Scope
	tree  *tree
	vars  []*variable
	names map[string]int // source text of a chain to index in vars
	make  ast.ExprFactory
}

func (r *resolver) walk(e ast.Expr, bound []string) *Error {
	switch e.Kind() {
	case ast.LiteralKind:
		return r.literal(e)
	case ast.IdentKind, ast.SelectKind:
		return r.name(e, bound)
	case ast.CallKind:
		return r.call(e, bound)
	case ast.ListKind:
		return r.walkAll(e.AsList().Elements(), bound)
	case ast.ComprehensionKind:
		return r.loop(e.AsComprehension(), bound)
	case ast.MapKind:
		return r.tree.fail(e, "maps cannot be written in an expression", "")
	}
	return r.tree.fail(e, "messages cannot be written in an expression", "")
}

func (r *resolver) walkAll(list []ast.Expr, bound []string) *Error {
	for _, e := range list {
		if err := r.walk(e, bound); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) loop(c ast.ComprehensionExpr, bound []string) *Error {
	if err := r.walk(c.IterRange(), bound); err != nil {
		return err
	}
	if err := r.walk(c.AccuInit(), bound); err != nil {
		return err
	}
	inner := append(append([]string(nil), bound...), c.IterVar(), c.AccuVar())
	if c.HasIterVar2() {
		inner = append(inner, c.IterVar2())
	}
	return r.walkAll([]ast.Expr{c.LoopCondition(), c.LoopStep(), c.Result()}, inner)
}

func (r *resolver) literal(e ast.Expr) *Error {
	var v float64
	switch l := e.AsLiteral().(type) {
	case types.Int:
		if v = float64(l); l > maxExact || l < -maxExact {
			v = math.Inf(1)
		}
	case types.Uint:
		if v = float64(l); l > maxExact {
			v = math.Inf(1)
		}
	case types.Double:
		v = float64(l)
	case types.String, types.Bool:
		return nil
	case types.Null:
		return r.tree.fail(e, "null can only be compared with: x == null, x != null", "has(x) says whether x is there, coalesce(x, y) takes y where it is not")
	default:
		return r.tree.fail(e, "bytes cannot be written in an expression", "drop the b before the quote")
	}
	if !finite(v) {
		return r.tree.fail(e, "`"+r.tree.text(e)+"` is too large: numbers are exact up to 9007199254740992", "identifiers and card numbers are strings: put it in quotes")
	}
	e.SetKindCase(r.make.NewLiteral(e.ID(), types.Double(v)))
	return nil
}

func (r *resolver) call(e ast.Expr, bound []string) *Error {
	c := e.AsCall()
	args := c.Args()
	if err := r.tree.checkLiterals(e); err != nil {
		return err
	}
	r.tree.noteVoid(e)
	r.noteChoice(e, bound)
	switch name := c.FunctionName(); {
	case asksPeople(e) && !isLoopName(c.Target(), bound) && r.scope.Attributes[peopleName].Type == 0:
		return r.people(e)
	case name == operators.Index && !isLoopName(e, bound) && r.isEventRoot(rootName(e)):
		if chainText(e) == "" {
			return r.tree.fail(e, "the name of a field must be written out, and have no dot in it: `"+r.tree.text(e)+"`", "")
		}
		return r.name(e, bound)
	case (name == operators.Equals || name == operators.NotEquals) && (isNull(args[0]) || isNull(args[1])):
		return r.compareNull(e, bound)
	case (name == "has" || name == "known") && len(args) == 1:
		if done, err := r.hasKey(e, args[0], bound); done || err != nil {
			return err
		}
		e.SetKindCase(r.make.NewCall(e.ID(), "known", args[0])) // cel-go keeps the name has for its macro
	}
	if c.FunctionName() == "top" && !c.IsMemberFunction() {
		return r.top(e, args)
	}
	if c.IsMemberFunction() {
		if err := r.walk(c.Target(), bound); err != nil {
			return err
		}
	}
	return r.walkAll(args, bound)
}

// compareNull writes x == null as !known(x) and x != null as known(x).
func (r *resolver) compareNull(e ast.Expr, bound []string) *Error {
	c := e.AsCall()
	x, not := c.Args()[0], c.FunctionName() == operators.Equals
	if isNull(x) {
		x = c.Args()[1]
	}
	if err := r.walk(x, bound); err != nil {
		return err
	}
	known := r.make.NewCall(r.tree.fresh(e), "known", x)
	if not {
		known = r.make.NewCall(r.tree.fresh(e), operators.LogicalNot, known)
	}
	e.SetKindCase(known)
	return nil
}

// hasKey writes has(tally.shoes) as "shoes" in tally: the value itself is never absent.
func (r *resolver) hasKey(e, arg ast.Expr, bound []string) (done bool, err *Error) {
	var operand, key ast.Expr
	switch {
	case arg.Kind() == ast.SelectKind:
		operand = arg.AsSelect().Operand()
		key = r.make.NewLiteral(r.tree.fresh(e), types.String(arg.AsSelect().FieldName()))
	case arg.Kind() == ast.CallKind && arg.AsCall().FunctionName() == operators.Index:
		operand, key = arg.AsCall().Args()[0], arg.AsCall().Args()[1]
	default:
		return false, nil
	}
	if operand.Kind() != ast.IdentKind || isLoopName(operand, bound) {
		return false, nil
	}
	if a, ok := r.scope.Attributes[operand.AsIdent()]; !ok || a.Type != attribute.Tally {
		return false, nil
	}
	e.SetKindCase(r.make.NewCall(e.ID(), operators.In, key, operand))
	return true, r.walkAll([]ast.Expr{key, operand}, bound)
}

// top writes top(attribute, percent) as attribute >= its level.
func (r *resolver) top(e ast.Expr, args []ast.Expr) *Error {
	const usage = "write top(ATTRIBUTE, PERCENT), as in top(likely, 10)"
	if r.scope.Level == nil {
		return r.tree.fail(e, "`top` compares people with each other, and here is one alone", "make an audience of it, and read that")
	}
	if len(args) != 2 || args[0].Kind() != ast.IdentKind || args[1].Kind() != ast.LiteralKind {
		return r.tree.fail(e, "`"+r.tree.text(e)+"` is not an attribute and a number", usage)
	}
	a, known := r.scope.Attributes[args[0].AsIdent()]
	if !known || a.Type != attribute.Number {
		return r.tree.fail(args[0], "`"+args[0].AsIdent()+"` is no attribute that is a number", usage)
	}
	name := args[0].AsIdent()
	if err := r.walkAll(args, nil); err != nil {
		return err
	}
	percent, isNumber := args[1].AsLiteral().(types.Double)
	if !isNumber || !(percent > 0 && percent < 100) {
		return r.tree.fail(args[1], "`"+r.tree.text(args[1])+"` is no percentage between 0 and 100", usage)
	}
	index, why := r.scope.Level(name, float64(percent))
	if why != "" {
		return r.tree.fail(e, why, "")
	}
	level := r.make.NewIdent(r.tree.fresh(e), "")
	r.replace(level, r.tree.text(e), &variable{source: fromLevel, index: index, kind: NumberType})
	e.SetKindCase(r.make.NewCall(e.ID(), operators.GreaterEquals, args[0], level))
	return nil
}

func isNull(e ast.Expr) bool {
	return e.Kind() == ast.LiteralKind && e.AsLiteral() == types.NullValue
}

// rootName is the identifier that a chain of selections starts with.
func rootName(e ast.Expr) string {
	for {
		switch e.Kind() {
		case ast.IdentKind:
			return e.AsIdent()
		case ast.SelectKind:
			e = e.AsSelect().Operand()
		case ast.CallKind:
			if e.AsCall().FunctionName() != operators.Index {
				return ""
			}
			e = e.AsCall().Args()[0]
		default:
			return ""
		}
	}
}

// chainText is the path of a chain such as properties.total or properties["total"]; empty when e is none.
func chainText(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent()
	case ast.SelectKind:
		if base := chainText(e.AsSelect().Operand()); base != "" {
			return base + "." + e.AsSelect().FieldName()
		}
	case ast.CallKind:
		c := e.AsCall()
		if c.FunctionName() != operators.Index || c.Args()[1].Kind() != ast.LiteralKind {
			return ""
		}
		key, ok := c.Args()[1].AsLiteral().(types.String)
		base := chainText(c.Args()[0])
		// A dot in a key would read as a path in the parts of an event; elsewhere (row) there are no paths.
		if ok && base != "" && key != "" && (!eventRoots[base] || !strings.Contains(string(key), ".")) {
			return base + "." + string(key)
		}
	}
	return ""
}

func isLoopName(e ast.Expr, bound []string) bool {
	root := rootName(e)
	for _, b := range bound {
		if b == root {
			return true
		}
	}
	return false
}

// isEventRoot says whether a name can only be the start of a path in the event.
func (r *resolver) isEventRoot(root string) bool {
	if _, ok := r.scope.Attributes[root]; ok {
		return false
	}
	_, ok := r.scope.Audiences[root]
	return !ok && root != "" && root != "consent" && root != "now"
}

// name resolves an identifier or a chain of selections.
func (r *resolver) name(e ast.Expr, bound []string) *Error {
	if isLoopName(e, bound) {
		return nil
	}
	path := chainText(e)
	if path == "" { // a selection from something that is computed: the checker judges it
		return r.walk(e.AsSelect().Operand(), bound)
	}
	root := rootName(e)
	if a, ok := r.scope.Attributes[root]; ok && !Reserved(root) {
		return r.replaceRoot(e, &variable{source: fromAttribute, index: a.Index, kind: attributeType(a.Type), attr: &a})
	}
	if i, ok := r.scope.Audiences[root]; ok && !Reserved(root) {
		return r.replaceRoot(e, &variable{source: fromAudience, index: i, kind: BoolType})
	}
	v, err := r.lookup(e, root, path)
	if err != nil {
		return err
	}
	r.replace(e, path, v)
	return nil
}

// replaceRoot puts v in the place of the identifier that the chain starts with.
func (r *resolver) replaceRoot(e ast.Expr, v *variable) *Error {
	for e.Kind() == ast.SelectKind {
		e = e.AsSelect().Operand()
	}
	r.replace(e, e.AsIdent(), v)
	return nil
}

func (r *resolver) replace(e ast.Expr, path string, v *variable) {
	e.SetKindCase(r.make.NewIdent(e.ID(), variableName(r.variable(path, v))))
}

// variable is the index of what is read under a name: v, when it is the first time.
func (r *resolver) variable(name string, v *variable) int {
	i, ok := r.names[name]
	if !ok {
		i = len(r.vars)
		r.names[name] = i
		r.vars = append(r.vars, v)
	}
	return i
}

// lookup finds what is neither an attribute nor an audience.
func (r *resolver) lookup(e ast.Expr, root, path string) (*variable, *Error) {
	s := r.scope
	switch {
	case root == "consent":
		if i, ok := s.Purposes[strings.TrimPrefix(path, "consent.")]; ok && path != root {
			return &variable{source: fromPurpose, index: i, kind: BoolType}, nil
		}
		return nil, r.unknownPurpose(e, path)
	case path == "now":
		return &variable{source: fromNow, kind: TimeType}, nil
	case !s.Event && eventRoots[root]:
		return nil, r.tree.fail(e, "`"+path+"` belongs to an event, and there is no event here", "use an attribute that keeps what you need of the event")
	case path == "type":
		return &variable{source: fromType, kind: StringType}, nil
	case path == "time":
		return &variable{source: fromTime, kind: TimeType}, nil
	case root == "item" && !s.Item:
		return nil, r.tree.fail(e, "`"+path+"` is an element of an array, and there is no each here", "add \"each\" with the array's path")
	case s.Event && s.Field != nil:
		if f, ok := s.Field(path); ok {
			return r.field(e, root, path, f)
		}
	}
	return nil, r.unknownName(e, root, path)
}

func (r *resolver) field(e ast.Expr, root, path string, f FieldRef) (*variable, *Error) {
	v := &variable{source: fromField, index: f.Index, kind: kindType(f.Kind), value: f.Kind}
	if v.kind == AnyType {
		return nil, r.tree.fail(e, "the type of `"+path+"` is not known", "declare it under fields")
	}
	switch {
	case f.Repeated && root == "item":
		v.source = fromItem
	case f.Repeated:
		v.source, v.kind = fromList, ListType
	}
	return v, nil
}
