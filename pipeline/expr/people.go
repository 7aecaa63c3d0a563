package expr

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// An expression about an account asks about its people: people.count(active), people.any(active), people.sum(spent). What such a call
// reads is a number of the account that whoever owns the Scope keeps, as an attribute under the call's own text: people.any, all and none
// are comparisons of people.count. So a call costs what an attribute costs, and says in the same way when it may become another.

// peopleName is what such calls begin with.
const peopleName = "people"

// peopleFunctions are those of an audience first, then those of a number.
var peopleFunctions = []string{"count", "any", "all", "none", "sum", "avg", "min", "max"}

// PeopleCall is one question about the people of an account.
type PeopleCall struct {
	Function string // count, any, all or none of an audience; sum, avg, min or max of an attribute
	Of       string // its name; empty for people.count() alone
}

// Counts says whether the call is about an audience, rather than an attribute.
func (c PeopleCall) Counts() bool { return slices.Index(peopleFunctions, c.Function) < 4 }

// Names are those of the attributes that the Scope must have for the call.
func (c PeopleCall) Names() []string {
	all := peopleName + ".count()"
	switch {
	case c.Function == "all":
		return []string{peopleName + ".count(" + c.Of + ")", all}
	case c.Of == "":
		return []string{all}
	case c.Counts():
		return []string{peopleName + ".count(" + c.Of + ")"}
	}
	return []string{peopleName + "." + c.Function + "(" + c.Of + ")"}
}

// PeopleCalls lists the questions about people in an expression, in their order, each once. Those that are written wrongly are left
// out, as is everything of an expression that does not parse: Compile says why.
func PeopleCalls(src string) []PeopleCall {
	if !strings.Contains(src, peopleName) || checkSource(src) != nil {
		return nil
	}
	parsed, issues := language().Parse(src)
	if issues.Err() != nil || depth(parsed.NativeRep().Expr()) > MaxDepth {
		return nil
	}
	var calls []PeopleCall
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if !asksPeople(e) {
			return
		}
		if c, ok := readPeople(e); ok && !slices.Contains(calls, c) {
			calls = append(calls, c)
		}
	}))
	return calls
}

// asksPeople says whether e is a call that begins with people.
func asksPeople(e ast.Expr) bool {
	if e.Kind() != ast.CallKind || !e.AsCall().IsMemberFunction() {
		return false
	}
	target := e.AsCall().Target()
	return target.Kind() == ast.IdentKind && target.AsIdent() == peopleName
}

func readPeople(e ast.Expr) (c PeopleCall, ok bool) {
	call := e.AsCall()
	c.Function = call.FunctionName()
	switch args := call.Args(); {
	case !slices.Contains(peopleFunctions, c.Function) || len(args) > 1:
		return c, false
	case len(args) == 0:
		return c, c.Function == "count"
	case args[0].Kind() != ast.IdentKind:
		return c, false
	default:
		c.Of = args[0].AsIdent()
	}
	return c, true
}

// people puts what a question about people reads in its place.
func (r *resolver) people(e ast.Expr) *Error {
	c, ok := readPeople(e)
	if !ok {
		return r.tree.fail(e, "`"+r.tree.text(e)+"` is no question about people",
			"people.count(), or count, any, all or none of the name of an audience, or sum, avg, min or max of the name of an attribute")
	}
	read := make([]ast.Expr, 0, 2)
	for _, name := range c.Names() {
		a, ok := r.scope.Attributes[name]
		if !ok {
			return r.tree.fail(e, "`"+name+"` is not kept here", "only what is under accounts asks about people, and a query what that asks")
		}
		i := r.variable(name, &variable{source: fromAttribute, index: a.Index, kind: attributeType(a.Type), attr: &a})
		read = append(read, r.make.NewIdent(r.tree.fresh(e), variableName(i)))
	}
	call := func(id int64, operator string, a, b ast.Expr) ast.Expr { return r.make.NewCall(id, operator, a, b) }
	zero := r.make.NewLiteral(r.tree.fresh(e), types.Double(0))
	switch c.Function {
	case "any":
		e.SetKindCase(call(e.ID(), operators.Greater, read[0], zero))
	case "none":
		e.SetKindCase(call(e.ID(), operators.Equals, read[0], zero))
	case "all":
		some := call(r.tree.fresh(e), operators.Greater, read[0], zero)
		e.SetKindCase(call(e.ID(), operators.LogicalAnd, some, call(r.tree.fresh(e), operators.Equals, read[0], read[1])))
	default:
		e.SetKindCase(read[0])
	}
	return nil
}
