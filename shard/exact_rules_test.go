package shard

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// Conditions for the tests of exactness: each as a recipe has it, and as a page of naive code computes it from everything that has arrived.

// maybe is what CEL makes of something absent.
type maybe int

const (
	no     maybe = 0
	yes    maybe = 1
	absent maybe = -1
)

func maybeOf(b bool) maybe {
	if b {
		return yes
	}
	return no
}

// rule is a condition twice: as a recipe has it, and as the oracle computes it.
type rule struct {
	source string
	holds  func(p *past) maybe
}

type instant struct {
	source string
	at     func(p *past) (int64, bool)
}

func latest(what string) func(p *past) (int64, bool) {
	return func(p *past) (at int64, ok bool) {
		for _, d := range p.deeds {
			if d.what == what && (!ok || d.at > at) {
				at, ok = d.at, true
			}
		}
		return at, ok
	}
}

func drawInstant(t *rapid.T) instant {
	known := []instant{{"last_order", latest("Order Completed")}, {"last_cart", latest("Product Added")},
		{"now", func(p *past) (int64, bool) { return p.now, true }},
		{`timestamp("2026-03-01T15:00:00Z")`, func(p *past) (int64, bool) { return begin + 60*second, true }}}
	x := rapid.SampledFrom(known).Draw(t, "instant")
	if rapid.Bool().Draw(t, "moved") {
		s := rapid.Int64Range(-40, 40).Draw(t, "seconds")
		y := x
		x = instant{fmt.Sprintf(`(%s + duration("%ds"))`, y.source, s), func(p *past) (int64, bool) { v, ok := y.at(p); return v + s*second, ok }}
	}
	return x
}

var relations = []string{"<", "<=", "==", "!=", ">=", ">"}

func related(op string, diff int64) maybe {
	return maybeOf(op == "<" && diff < 0 || op == "<=" && diff <= 0 || op == "==" && diff == 0 || op == "!=" && diff != 0 || op == ">=" && diff >= 0 || op == ">" && diff > 0)
}

func drawRule(t *rapid.T, before []string, depth int) rule {
	if depth > 0 {
		a, b := drawRule(t, before, depth-1), drawRule(t, before, depth-1)
		switch rapid.IntRange(0, 4).Draw(t, "join") {
		case 0:
			return rule{"(" + a.source + " && " + b.source + ")", func(p *past) maybe {
				x, y := a.holds(p), b.holds(p)
				switch {
				case x == no || y == no:
					return no
				case x == absent || y == absent:
					return absent
				}
				return yes
			}}
		case 1:
			return rule{"(" + a.source + " || " + b.source + ")", func(p *past) maybe {
				x, y := a.holds(p), b.holds(p)
				switch {
				case x == yes || y == yes:
					return yes
				case x == absent || y == absent:
					return absent
				}
				return no
			}}
		case 2:
			return rule{"!" + a.source, func(p *past) maybe {
				if x := a.holds(p); x != absent {
					return 1 - x
				}
				return absent
			}}
		}
	}
	op := rapid.SampledFrom(relations).Draw(t, "op")
	switch kind := rapid.IntRange(0, 9).Draw(t, "rule"); {
	case kind == 0 && len(before) > 0:
		name := rapid.SampledFrom(before).Draw(t, "nested")
		return rule{"(" + name + ")", func(p *past) maybe { return maybeOf(p.in[name]) }}
	case kind == 1:
		n := rapid.IntRange(0, 3).Draw(t, "n")
		return rule{fmt.Sprintf("(orders %s %d)", op, n), func(p *past) maybe {
			k := 0
			for _, d := range p.deeds {
				if d.what == "Order Completed" {
					k++
				}
			}
			if k == 0 {
				return absent
			}
			return related(op, int64(k-n))
		}}
	case kind == 4:
		n := rapid.IntRange(0, 3).Draw(t, "n")
		return rule{fmt.Sprintf("(rush %s %d)", op, n), func(p *past) maybe {
			k := 0
			for range inWindow(p, "Order Completed", 20*second, 10*second) {
				k++
			}
			if _, ever := latest("Order Completed")(p); !ever {
				return absent
			}
			return related(op, int64(k-n))
		}}
	case kind == 5:
		n := rapid.IntRange(0, 9).Draw(t, "n")
		return rule{fmt.Sprintf("(dearest %s %d)", op, n), func(p *past) maybe {
			most := -1
			for _, d := range inWindow(p, "Order Completed", 40*second, 20*second) {
				most = max(most, d.total)
			}
			if most < 0 {
				return absent
			}
			return related(op, int64(most-n))
		}}
	case kind == 6:
		return rule{"in_visit", func(p *past) maybe {
			if len(p.deeds) == 0 {
				return absent
			}
			runs := visits(p)
			return maybeOf(p.now < runs[len(runs)-1][1]+20*second)
		}}
	case kind == 7:
		n := rapid.IntRange(0, 3).Draw(t, "n")
		return rule{fmt.Sprintf("(visits %s %d)", op, n), func(p *past) maybe {
			k := 0
			for _, run := range visits(p) {
				if run[0] > p.now-60*second {
					k++
				}
			}
			if len(p.deeds) == 0 {
				return absent
			}
			return related(op, int64(k-n))
		}}
	case kind == 8:
		n := rapid.IntRange(0, 2).Draw(t, "n")
		return rule{fmt.Sprintf("(abandoned %s %d)", op, n), func(p *past) maybe {
			_, cart := latest("Product Added")(p)
			_, order := latest("Order Completed")(p)
			if !cart && !order {
				return absent
			}
			return related(op, int64(abandonedCarts(p)-n))
		}}
	case kind == 2:
		n := rapid.IntRange(0, 2).Draw(t, "n")
		return rule{fmt.Sprintf("(minutes %s %d)", op, n), func(p *past) maybe {
			v, ok := latest("Product Added")(p)
			if !ok {
				return absent
			}
			return related(op, (p.now-v)/(60*second)-int64(n))
		}}
	case kind == 3:
		m := rapid.SampledFrom([]int{0, 1, 58, 59}).Draw(t, "minute")
		return rule{fmt.Sprintf("(now.getMinutes() %s %d)", op, m), func(p *past) maybe {
			return related(op, int64(time.UnixMilli(p.now).UTC().Minute()-m))
		}}
	}
	a, b := drawInstant(t), drawInstant(t)
	if rapid.Bool().Draw(t, "difference") {
		s := rapid.Int64Range(-60, 60).Draw(t, "seconds")
		return rule{fmt.Sprintf(`(%s - %s %s duration("%ds"))`, a.source, b.source, op, s), func(p *past) maybe {
			x, ok := a.at(p)
			y, ok2 := b.at(p)
			if !ok || !ok2 {
				return absent
			}
			return related(op, x-y-s*second)
		}}
	}
	return rule{fmt.Sprintf("(%s %s %s)", a.source, op, b.source), func(p *past) maybe {
		x, ok := a.at(p)
		y, ok2 := b.at(p)
		if !ok || !ok2 {
			return absent
		}
		return related(op, x-y)
	}}
}

// inWindow lists what lies in the last so many milliseconds: an event counts as long as the beginning of its bucket does.
func inWindow(p *past, what string, window, bucket int64) (in []deed) {
	for _, d := range p.deeds {
		if d.what == what && p.now-d.at/bucket*bucket < window {
			in = append(in, d)
		}
	}
	return in
}

// visits are the sessions of everything that somebody did, as begin and end: a gap of 20 s, and cut at every 100 s when they last that long.
func visits(p *past) (runs [][2]int64) {
	var times []int64
	for _, d := range p.deeds {
		times = append(times, d.at)
	}
	slices.Sort(times)
	const gap, longest = 20 * second, 100 * second
	for from := 0; from < len(times); {
		to := from + 1
		for to < len(times) && times[to]-times[to-1] < gap {
			to++
		}
		run := times[from:to]
		pieces := [][2]int64{}
		for i, at := range run {
			if i == 0 || at/longest != run[i-1]/longest {
				pieces = append(pieces, [2]int64{at, at})
			}
			pieces[len(pieces)-1][1] = at
		}
		if len(pieces) == 2 && run[len(run)-1]-run[0] < longest {
			pieces = [][2]int64{{run[0], run[len(run)-1]}}
		}
		runs = append(runs, pieces...)
		from = to
	}
	return runs
}

// abandonedCarts counts carts that no order followed within 15 s; a cart within that time of one that counts belongs to it.
func abandonedCarts(p *past) (n int) {
	carts := []int64{}
	for _, d := range p.deeds {
		if d.what == "Product Added" {
			carts = append(carts, d.at)
		}
	}
	slices.Sort(carts)
	next := int64(0)
	for _, at := range carts {
		ordered := slices.ContainsFunc(p.deeds, func(d deed) bool {
			return d.what == "Order Completed" && d.at >= at && d.at < at+15*second
		})
		if at >= next && at+15*second <= p.now && !ordered {
			n++
			next = at + 15*second
		}
	}
	return n
}
