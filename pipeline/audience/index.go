package audience

import (
	"math/bits"
	"slices"
	"time"

	"dashi/pipeline/expr"
)

// Index knows which audiences a change may concern. It is immutable and may be shared.
type Index struct {
	tests      []test // by audience
	attributes []readers
	purposes   []Bits
	all        Bits
	fresh      Bits // those that a new profile may be in before anything is in it
	timed      Bits // those that change with time
	times      bool // there are such
}

// test is what evaluating an audience needs of its definition, which is five times as large.
type test struct {
	condition  expr.Bool
	watch      func(*expr.Env) (expr.Truth, int64) // the outcome, and when it may change; nil: time changes nothing
	dependents Bits                                // those that read the audience; nil when none
}

// readers are the audiences that read one attribute.
type readers struct {
	constants []float64 // ascending, each once
	crossed   []Bits    // by constant: those that compare with it
	keys      []string  // ascending, each once
	keyed     []Bits    // by key: those that ask for it
	touched   Bits      // those that read it in any other way; nil when none
	any       Bits      // all of the above; nil when nobody reads it
}

// NewIndex prepares definitions for a program with that many attributes and purposes.
// A definition that reads an audience of no smaller index than its own is a programmer's error.
func NewIndex(definitions []Definition, attributes, purposes int) *Index {
	n := len(definitions)
	x := &Index{
		tests:      make([]test, n),
		attributes: make([]readers, attributes),
		purposes:   make([]Bits, purposes),
		all:        NewBits(n),
		fresh:      NewBits(n),
		timed:      NewBits(n),
	}
	for i := range definitions {
		x.all.Set(i)
		if definitions[i].Next != nil || len(definitions[i].Levels) > 0 {
			x.timed.Set(i)
			x.times = true
		}
		x.tests[i] = test{condition: definitions[i].Condition, watch: watch(&definitions[i])}
	}
	for i, d := range definitions {
		for _, a := range d.Atoms {
			r := &x.attributes[a.Attribute]
			at, found := slices.BinarySearch(r.constants, a.Constant)
			if !found {
				r.constants = slices.Insert(r.constants, at, a.Constant)
				r.crossed = slices.Insert(r.crossed, at, NewBits(n))
			}
			r.crossed[at].Set(i)
			r.any = with(r.any, i, n)
		}
		for _, k := range d.Keys {
			r := &x.attributes[k.Attribute]
			at, found := slices.BinarySearch(r.keys, k.Key)
			if !found {
				r.keys = slices.Insert(r.keys, at, k.Key)
				r.keyed = slices.Insert(r.keyed, at, NewBits(n))
			}
			r.keyed[at].Set(i)
			r.any = with(r.any, i, n)
		}
		for _, a := range d.Reads {
			r := &x.attributes[a]
			r.touched = with(r.touched, i, n)
			r.any = with(r.any, i, n)
		}
		for _, p := range d.Purposes {
			x.purposes[p] = with(x.purposes[p], i, n)
		}
		for _, o := range d.Nested {
			if o >= i {
				panic("BUG: audience " + d.Name + " reads one that is not before it")
			}
			x.tests[o].dependents = with(x.tests[o].dependents, i, n)
		}
	}
	x.begin(definitions)
	return x
}

// watch is the condition and its next change; nil when time changes nothing.
func watch(d *Definition) func(*expr.Env) (expr.Truth, int64) {
	if d.Watch != nil || d.Next == nil {
		return d.Watch
	}
	condition, next := d.Condition, d.Next
	return func(env *expr.Env) (expr.Truth, int64) { return condition(env), next(env) }
}

// begin finds out which audiences have to be evaluated for a new profile whatever its first event changes: those that a profile without any state is
// in at some time, and those for which that cannot be said once for all. An evaluation of the others would only say that the profile is not in, and
// whatever changes afterwards marks them.
func (x *Index) begin(definitions []Definition) {
	env := expr.Env{Audiences: make([]uint64, len(x.all))}
	for i := range definitions {
		d := &definitions[i]
		if d.Personal || len(d.Levels) > 0 || slices.ContainsFunc(d.Nested, x.fresh.Has) || !alwaysOut(d, &env) {
			x.fresh.Set(i)
		}
	}
}

// alwaysOut says that the outcome in env is not True whatever the time is. Next looks a hundred years ahead: a question every
// fifty years leaves no gap.
func alwaysOut(d *Definition, env *expr.Env) bool {
	for year := 0; year < 10000; year += 50 {
		env.Now = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		if d.Condition(env) == expr.True || d.Next != nil && d.Next(env) != expr.Never {
			return false
		}
		if d.Next == nil {
			break
		}
	}
	return true
}

func with(b Bits, i, n int) Bits {
	if b == nil {
		b = NewBits(n)
	}
	b.Set(i)
	return b
}

// Len is the number of audiences.
func (x *Index) Len() int { return len(x.tests) }

// Read says whether any audience reads the attribute.
func (x *Index) Read(attribute int) bool { return x.attributes[attribute].any != nil }

// All marks every audience.
func (x *Index) All(dirty Bits) { copy(dirty, x.all) }

// Fresh marks the audiences that a new profile may be in although nothing is known of it.
func (x *Index) Fresh(dirty Bits) { copy(dirty, x.fresh) }

// Timed marks the audiences whose conditions change with time or with thresholds alone, and says whether there are any.
func (x *Index) Timed(dirty Bits) bool {
	copy(dirty, x.timed)
	return x.times
}

// Changed marks the audiences that may flip because a number went from before to after; had and has say
// whether there was a number before and after.
func (x *Index) Changed(attribute int, before float64, had bool, after float64, has bool, dirty Bits) {
	r := &x.attributes[attribute]
	if r.any == nil || (had == has && (!has || before == after)) {
		return
	}
	if had != has {
		dirty.Or(r.any)
		return
	}
	if r.touched != nil {
		dirty.Or(r.touched)
	}
	// A comparison of any kind with a constant can change its truth only when the constant lies in the
	// closed interval between the two values.
	low, high := before, after
	if low > high {
		low, high = high, low
	}
	for i := firstFrom(r.constants, low); i < len(r.constants) && r.constants[i] <= high; i++ {
		dirty.Or(r.crossed[i])
	}
}

// firstFrom is the index of the first constant that is low or more. slices.BinarySearch, which minds NaN at every step, took
// longer than all else that Changed does.
func firstFrom(constants []float64, low float64) int {
	from := 0
	for n := len(constants); n > 0; { // halves without a branch: which way it goes cannot be foretold
		half := (n + 1) / 2
		if constants[from+half-1] < low {
			from += half
		}
		n -= half
	}
	return from
}

// TouchedKey marks the audiences that may flip because one element of a set or tally came, went or has another number.
func (x *Index) TouchedKey(attribute int, key []byte, dirty Bits) {
	r := &x.attributes[attribute]
	if r.touched != nil {
		dirty.Or(r.touched)
	}
	from, to := 0, len(r.keys)
	for from < to {
		m := int(uint(from+to) >> 1)
		switch k := r.keys[m]; {
		case k == string(key):
			dirty.Or(r.keyed[m])
			return
		case k < string(key):
			from = m + 1
		default:
			to = m
		}
	}
}

// Touched marks the audiences that read an attribute that is not a number.
func (x *Index) Touched(attribute int, dirty Bits) {
	if r := &x.attributes[attribute]; r.any != nil {
		dirty.Or(r.any)
	}
}

// Consented marks the audiences that read a purpose.
func (x *Index) Consented(purpose int, dirty Bits) {
	if b := x.purposes[purpose]; b != nil {
		dirty.Or(b)
	}
}

// Evaluate evaluates the marked audiences and those that read one that flipped, in index order. It flips
// the membership bits in env.Audiences, writes the indices of flipped audiences to flipped[:0] and returns
// it, and leaves dirty empty. next is the first instant after env.Now at which one of the evaluated conditions may
// change although nothing else does: they have to be evaluated again then.
func (x *Index) Evaluate(env *expr.Env, dirty Bits, flips []int) (flipped []int, next int64) {
	flipped, next = flips[:0], expr.Never
	member := Bits(env.Audiences)
	env.Remember()
	for w := range dirty {
		for dirty[w] != 0 {
			i := w<<6 + bits.TrailingZeros64(dirty[w])
			dirty[w] &= dirty[w] - 1
			t := &x.tests[i]
			var outcome expr.Truth
			if t.watch == nil {
				outcome = t.condition(env)
			} else {
				var until int64
				outcome, until = t.watch(env)
				next = min(next, until)
			}
			in := outcome == expr.True
			if in == member.Has(i) {
				continue
			}
			if in {
				member.Set(i)
			} else {
				member.Clear(i)
			}
			flipped = append(flipped, i)
			dirty.Or(t.dependents) // all of a larger index: none is passed by
		}
	}
	env.Forget()
	return flipped, next
}
