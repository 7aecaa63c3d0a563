package recipe

import (
	"math"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// Level is the threshold above which the top so many percent of all profiles are, by an attribute. Whoever can read all profiles has to compute it (Of),
// and tell those that evaluate audiences (expr.Env.Levels).
type Level struct {
	Attribute int // index in Program.Attributes: a number
	Percent   float64
	// ID is a hash of the attribute's name and definition and of the percentage: a new cookbook keeps a level of the same id.
	ID uint64
}

// maxLevels bounds the thresholds of a cookbook: for each one every profile is read once an hour.
const maxLevels = 64

// level is expr.Scope's Level for conditions of the cookbook.
func (c *compiler) level(name string, percent float64) (index int, why string) {
	if c.people != nil {
		return 0, "accounts are not compared with each other: `top` is for audiences of people"
	}
	i := indexOf(c.attributes, name)
	a := &c.program.Attributes[i]
	l := Level{Attribute: i, Percent: percent,
		ID: xxhash.Sum64String("level\x00" + name + "\x00" + strconv.FormatUint(a.Definition, 16) + "\x00" + strconv.FormatFloat(percent, 'g', -1, 64))}
	if at := slices.Index(c.program.Levels, l); at >= 0 {
		return at, ""
	}
	if len(c.program.Levels) == maxLevels {
		return 0, "a cookbook asks for at most " + strconv.Itoa(maxLevels) + " percentages"
	}
	c.program.Levels = append(c.program.Levels, l)
	return len(c.program.Levels) - 1, ""
}

// Of is the threshold among the values of all profiles that have one: the smallest of the ceil(percent of them) largest. So at least that many are at it
// or above, and more only if several have that very value. It is NaN for no values. It sorts the values.
func (l *Level) Of(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	top := int(math.Ceil(float64(len(values)) * l.Percent / 100))
	return values[len(values)-min(max(top, 1), len(values))]
}
