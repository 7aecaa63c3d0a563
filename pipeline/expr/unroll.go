package expr

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
)

// macros are CEL's loops. exists and all over a list that is written out become || and &&, which compile;
// has is an ordinary function here.
func macros() []cel.Macro {
	return []cel.Macro{
		cel.ReceiverMacro("exists", 2, unroll(operators.LogicalOr, types.False, parser.MakeExists)),
		cel.ReceiverMacro("all", 2, unroll(operators.LogicalAnd, types.True, parser.MakeAll)),
		cel.ExistsOneMacro, cel.MapMacro, cel.MapFilterMacro, cel.FilterMacro,
	}
}

// unroll writes [a, b].exists(x, p(x)) as p(a) || p(b). Both aggregate absences in the same way.
func unroll(operator string, empty types.Bool, loop cel.MacroFactory) cel.MacroFactory {
	return func(eh cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
		if target.Kind() != ast.ListKind || args[0].Kind() != ast.IdentKind {
			return loop(eh, target, args)
		}
		elements := target.AsList().Elements()
		if len(elements) > maxUnroll || len(elements)*count(args[1]) > maxUnrolled {
			return loop(eh, target, args)
		}
		for _, e := range elements {
			if e.Kind() != ast.LiteralKind {
				return loop(eh, target, args)
			}
		}
		if len(elements) == 0 {
			return eh.NewLiteral(empty), nil
		}
		var terms []ast.Expr
		for _, e := range elements {
			term := eh.Copy(args[1])
			substitute(term, args[0].AsIdent(), e, eh)
			terms = append(terms, term)
		}
		return balance(eh, operator, terms), nil
	}
}

// count is the number of nodes of e.
func count(e ast.Expr) int {
	n := 0
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(ast.Expr) { n++ }))
	return n
}

// balance builds a tree of two-sided calls that is as shallow as it can be.
func balance(eh cel.MacroExprFactory, operator string, terms []ast.Expr) ast.Expr {
	if len(terms) == 1 {
		return terms[0]
	}
	half := len(terms) / 2
	return eh.NewCall(operator, balance(eh, operator, terms[:half]), balance(eh, operator, terms[half:]))
}

// substitute puts value in the place of the free occurrences of a name in e.
func substitute(e ast.Expr, name string, value ast.Expr, eh cel.MacroExprFactory) {
	if e.Kind() == ast.ComprehensionKind {
		c := e.AsComprehension()
		substitute(c.IterRange(), name, value, eh)
		if c.IterVar() == name || c.IterVar2() == name {
			return
		}
		for _, part := range []ast.Expr{c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			substitute(part, name, value, eh)
		}
		return
	}
	if e.Kind() == ast.IdentKind && e.AsIdent() == name {
		e.SetKindCase(eh.Copy(value))
		return
	}
	for _, child := range children(e) {
		substitute(child, name, value, eh)
	}
}

// children are the operands of a node that is not a comprehension.
func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			return append([]ast.Expr{c.Target()}, c.Args()...)
		}
		return c.Args()
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	}
	return nil
}
