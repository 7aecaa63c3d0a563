//go:build !race

package expr

import "testing"

// I2. The regexp of a pattern keeps its scratch space in a pool, from which the race detector takes at random.
func TestAllocations(t *testing.T) {
	w := newWorld()
	env := w.env(ada())
	for _, src := range []string{
		`lifetime_value > 2000 && "P1" in products_owned && member && now - last_order > duration("30d")`,
		`type == "Order Completed" && properties.total > 50`,
		`type in ["a", "b", "c", "d", "e", "f", "g", "Order Completed"]`,
		`interests["shoes"] > 3 && favourite(interests) == "shoes"`,
		`lower(traits.plan) + "/" + string(orders) == "gold/5"`,
		`traits.plan.matches("^G.*d$") && time.getHours("+09:00") > 3`,
		`coalesce(properties.coupon, "none") == "none" && !has(properties.coupon) && consent.ads`,
		`"sale" in properties.tags && item.price * 2 > 30`,
	} {
		x, err := Compile(src, w.scope, BoolType)
		if err != nil {
			t.Fatal(err)
		}
		if x.Bool(env) != True {
			t.Errorf("%s: %v", src, x.Bool(env))
		}
		if n := testing.AllocsPerRun(100, func() {
			env.Scratch = env.Scratch[:0]
			x.Bool(env)
		}); n != 0 {
			t.Errorf("%s: %v allocations (I2)", src, n)
		}
	}
}
