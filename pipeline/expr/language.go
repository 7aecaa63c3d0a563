package expr

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// language is the cel-go environment without variables: what is kept of the standard library, and what
// works on doubles instead. Building it costs milliseconds, so it is built once; it is immutable.
var language = sync.OnceValue(func() *cel.Env {
	opts := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(standardSubset())),
		cel.HomogeneousAggregateLiterals(),
		cel.EnableMacroCallTracking(),
		cel.EnableHiddenAccumulatorName(true),
		cel.ParserRecursionLimit(MaxDepth),
		cel.ParserExpressionSizeLimit(MaxSource),
		cel.ParserErrorRecoveryLimit(4),
		cel.ExpressionNodeLimit(MaxNodes),
		cel.Macros(macros()...),
	}
	opts = append(opts, arithmetic()...)
	opts = append(opts, sizes()...)
	opts = append(opts, presenceFunctions()...)
	opts = append(opts, conversions()...)
	opts = append(opts, numberFunctions()...)
	opts = append(opts, collectionFunctions()...)
	opts = append(opts, clock()...)
	e, err := cel.NewCustomEnv(opts...)
	if err != nil {
		panic(fmt.Sprintf("BUG: the language does not build: %v", err))
	}
	return e
})

func standardSubset() *env.LibrarySubset {
	keep := func(name string, overloads ...string) *env.Function {
		f := &env.Function{Name: name}
		for _, id := range overloads {
			f.Overloads = append(f.Overloads, &env.Overload{ID: id})
		}
		return f
	}
	order := func(name, word string) *env.Function {
		return keep(name, word+"_double", word+"_string", word+"_timestamp", word+"_duration")
	}
	return &env.LibrarySubset{
		DisableMacros: true,
		IncludeFunctions: []*env.Function{
			keep(operators.Conditional), keep(operators.LogicalAnd), keep(operators.LogicalOr),
			keep(operators.LogicalNot), keep(operators.NotStrictlyFalse),
			keep(operators.Equals), keep(operators.NotEquals),
			order(operators.Less, "less"), order(operators.LessEquals, "less_equals"),
			order(operators.Greater, "greater"), order(operators.GreaterEquals, "greater_equals"),
			keep(operators.In), keep("contains"), keep("startsWith"), keep("endsWith"), keep("matches"),
		},
	}
}

var (
	number   = cel.DoubleType
	text     = cel.StringType
	truth    = cel.BoolType
	instant  = cel.TimestampType
	span     = cel.DurationType
	elem     = cel.TypeParamType("A")
	listOf   = cel.ListType(elem)
	texts    = cel.ListType(text)
	tallyOf  = cel.MapType(text, number)
	scalars  = []*cel.Type{truth, number, text, instant, span}
	notThere = types.NewErr("absent")
)

func args(t ...*cel.Type) []*cel.Type { return t }

// real makes the result of arithmetic, which must be finite.
func real(v float64) ref.Val {
	if !finite(v) {
		return notThere
	}
	return types.Double(v)
}

func finite(v float64) bool { return v-v == 0 }

// numbers binds a function of two numbers.
func numbers(fn func(a, b float64) float64) cel.OverloadOpt {
	return cel.BinaryBinding(func(a, b ref.Val) ref.Val {
		x, ok := a.(types.Double)
		y, ok2 := b.(types.Double)
		if !ok || !ok2 {
			return notThere
		}
		return real(fn(float64(x), float64(y)))
	})
}

func oneNumber(fn func(a float64) float64) cel.OverloadOpt {
	return cel.UnaryBinding(func(a ref.Val) ref.Val {
		x, ok := a.(types.Double)
		if !ok {
			return notThere
		}
		return real(fn(float64(x)))
	})
}

var plus = cel.BinaryBinding(func(a, b ref.Val) ref.Val { return a.(traits.Adder).Add(b) })
var minus = cel.BinaryBinding(func(a, b ref.Val) ref.Val { return a.(traits.Subtractor).Subtract(b) })

func arithmetic() []cel.EnvOption {
	concat := cel.BinaryBinding(func(a, b ref.Val) ref.Val {
		s, ok := a.(traits.Adder).Add(b).(types.String)
		if !ok || len(s) > MaxString {
			return notThere
		}
		return s
	})
	return []cel.EnvOption{
		cel.Function(operators.Add,
			cel.Overload("add_double", args(number, number), number, numbers(func(a, b float64) float64 { return a + b })),
			cel.Overload("add_string", args(text, text), text, concat),
			cel.Overload("add_timestamp_duration", args(instant, span), instant, plus),
			cel.Overload("add_duration_timestamp", args(span, instant), instant, plus),
			cel.Overload("add_duration_duration", args(span, span), span, plus),
			cel.Overload("add_list", args(listOf, listOf), listOf, plus)),
		cel.Function(operators.Subtract,
			cel.Overload("subtract_double", args(number, number), number, numbers(func(a, b float64) float64 { return a - b })),
			cel.Overload("subtract_timestamp_timestamp", args(instant, instant), span, minus),
			cel.Overload("subtract_timestamp_duration", args(instant, span), instant, minus),
			cel.Overload("subtract_duration_duration", args(span, span), span, minus)),
		cel.Function(operators.Multiply,
			cel.Overload("multiply_double", args(number, number), number, numbers(func(a, b float64) float64 { return a * b }))),
		cel.Function(operators.Divide,
			cel.Overload("divide_double", args(number, number), number, numbers(func(a, b float64) float64 { return a / b }))),
		cel.Function(operators.Modulo,
			cel.Overload("modulo_double", args(number, number), number, numbers(math.Mod))),
		cel.Function(operators.Negate,
			cel.Overload("negate_double", args(number), number, oneNumber(func(a float64) float64 { return -a }))),
	}
}

func sizes() []cel.EnvOption {
	size := cel.UnaryBinding(func(v ref.Val) ref.Val {
		n, ok := v.(traits.Sizer).Size().(types.Int)
		if !ok {
			return notThere
		}
		return types.Double(n)
	})
	return []cel.EnvOption{cel.Function("size",
		cel.Overload("size_string", args(text), number, size), cel.MemberOverload("string_size", args(text), number, size),
		cel.Overload("size_list", args(listOf), number, size), cel.MemberOverload("list_size", args(listOf), number, size),
		cel.Overload("size_map", args(tallyOf), number, size), cel.MemberOverload("map_size", args(tallyOf), number, size))}
}

// presenceFunctions declares the functions that see an absence instead of passing it on.
func presenceFunctions() []cel.EnvOption {
	known := cel.UnaryBinding(func(v ref.Val) ref.Val {
		if types.IsUnknownOrError(v) {
			return types.False
		}
		if s, ok := v.(traits.Sizer); ok && v.Type() != types.StringType {
			return types.Bool(s.Size() != types.IntZero)
		}
		return types.True
	})
	coalesce := cel.BinaryBinding(func(a, b ref.Val) ref.Val {
		if types.IsUnknownOrError(a) {
			return b
		}
		return a
	})
	var k, o []cel.FunctionOpt
	for _, t := range append([]*cel.Type{listOf, tallyOf}, scalars...) {
		k = append(k, cel.Overload("known_"+t.TypeName(), args(t), truth, cel.OverloadIsNonStrict(), known))
	}
	for _, t := range scalars {
		o = append(o, cel.Overload("coalesce_"+t.TypeName(), args(t, t), t, cel.OverloadIsNonStrict(), coalesce))
	}
	return []cel.EnvOption{cel.Function("known", k...), cel.Function("coalesce", o...)}
}

func conversions() []cel.EnvOption {
	parse := func(fn func(s string) ref.Val) cel.OverloadOpt {
		return cel.UnaryBinding(func(v ref.Val) ref.Val {
			s, ok := v.(types.String)
			if !ok {
				return notThere
			}
			return fn(string(s))
		})
	}
	print := cel.UnaryBinding(func(v ref.Val) ref.Val {
		switch v := v.(type) {
		case types.Double:
			return types.String(appendNumber(nil, float64(v)))
		case types.Bool:
			return types.String(fmt.Sprint(bool(v)))
		case types.Timestamp:
			return types.String(appendTime(nil, v.UnixMilli()))
		case types.String:
			return v
		}
		return notThere
	})
	return []cel.EnvOption{
		cel.Function("timestamp", cel.Overload("string_to_timestamp", args(text), instant, parse(func(s string) ref.Val {
			ms, err := parseTime(s)
			if err != nil {
				return notThere
			}
			return types.Timestamp{Time: time.UnixMilli(ms).UTC()}
		}))),
		cel.Function("duration", cel.Overload("string_to_duration", args(text), span, parse(func(s string) ref.Val {
			ms, err := parseDuration(s)
			if err != nil {
				return notThere
			}
			return types.Duration{Duration: time.Duration(ms) * time.Millisecond}
		}))),
		cel.Function("double", cel.Overload("string_to_double", args(text), number, parse(func(s string) ref.Val {
			v, err := parseNumber(s)
			if err != nil {
				return notThere
			}
			return real(v)
		}))),
		cel.Function("string",
			cel.Overload("double_to_string", args(number), text, print),
			cel.Overload("bool_to_string", args(truth), text, print),
			cel.Overload("timestamp_to_string", args(instant), text, print),
			cel.Overload("string_to_string", args(text), text, print)),
		cel.Function("lower", cel.Overload("lower_string", args(text), text, parse(func(s string) ref.Val {
			return types.String(strings.ToLower(s))
		}))),
	}
}

func numberFunctions() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Function("abs", cel.Overload("abs_double", args(number), number, oneNumber(math.Abs))),
		cel.Function("floor", cel.Overload("floor_double", args(number), number, oneNumber(math.Floor))),
		cel.Function("round", cel.Overload("round_double", args(number), number, oneNumber(math.Round))),
		cel.Function("min", cel.Overload("min_double", args(number, number), number, numbers(math.Min))),
		cel.Function("max", cel.Overload("max_double", args(number, number), number, numbers(math.Max))),
	}
}

func collectionFunctions() []cel.EnvOption {
	best := cel.UnaryBinding(func(v ref.Val) ref.Val {
		if b, ok := v.(interface{ best() ref.Val }); ok {
			return b.best()
		}
		return notThere
	})
	index := cel.BinaryBinding(func(a, b ref.Val) ref.Val { return a.(traits.Indexer).Get(b) })
	return []cel.EnvOption{
		cel.Function("favourite", cel.Overload("favourite_map", args(tallyOf), text, best)),
		cel.Function("latest", cel.Overload("latest_list", args(texts), text, best)),
		cel.Function(operators.Index,
			cel.Overload("index_list", args(listOf, number), elem, index),
			cel.Overload("index_map", args(tallyOf, text), number, index)),
	}
}
