package expr

import (
	"testing"

	"cel.dev/cel-go/cel"
)

// BenchmarkCondition shows what a condition costs as closures and in cel-go's interpreter.
func BenchmarkCondition(b *testing.B) {
	w := newWorld()
	env := w.env(ada())
	for _, c := range []struct{ name, src string }{
		{"event", `type == "Order Completed" && properties.total > 50`},
		{"number", `lifetime_value > 2000`},
		{"profile", `lifetime_value > 2000 && "P1" in products_owned && member && now - last_order > duration("30d")`},
		{"nested", `lapsed && !vip && consent.ads && orders >= 3`},
		{"text", `lower(traits.plan) + "/" + string(orders) == "gold/5"`},
	} {
		fast, err := Compile(c.src, w.scope, BoolType)
		if err != nil {
			b.Fatal(err)
		}
		for _, run := range []struct {
			name string
			x    *Expr
		}{{"closure", fast}, {"interpreter", plain(b, c.src, w.scope)}} {
			b.Run("condition="+c.name+"/run="+run.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					env.Scratch = env.Scratch[:0]
					if run.x.Bool(env) != True {
						b.Fatal("not true")
					}
				}
			})
		}
	}
}

// plain is the interpreter as fast as cel-go makes it: optimised, and without the limit on its cost.
func plain(b *testing.B, src string, s *Scope) *Expr {
	c, err := check(src, s)
	if err != nil {
		b.Fatal(err)
	}
	n, err := c.interpret(cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		b.Fatal(err)
	}
	return &Expr{Type: BoolType, Bool: n.b}
}

func BenchmarkCompile(b *testing.B) {
	w := newWorld()
	for b.Loop() {
		if _, err := Compile(`lifetime_value > 2000 && "P1" in products_owned && member`, w.scope, BoolType); err != nil {
			b.Fatal(err)
		}
	}
}
