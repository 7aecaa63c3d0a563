package recipetest

import (
	"slices"
	"strconv"

	"dashi/pipeline/recipe"
	"dashi/shard"

	"go.yaml.in/yaml/v3"
)

// wantedGoal is how many people an activation with a goal was for.
type wantedGoal struct {
	name   string
	line   int
	counts map[string]map[string]int64 // treated and control: exposed, converted
}

// goals reads NAME: {treated: {exposed: 2, converted: 1}, control: {..}} pairs.
func (p *parser) goals(v *yaml.Node) (list []wantedGoal) {
	const hint = "as in `goals: {welcome: {treated: {exposed: 2, converted: 1}, control: {exposed: 1, converted: 0}}}`"
	if v.Kind != yaml.MappingNode {
		p.report(v, "goals is a mapping of activations", hint)
	}
	p.each(v, func(name string, k, v *yaml.Node) {
		w := wantedGoal{name: name, line: k.Line, counts: map[string]map[string]int64{}}
		if v.Kind != yaml.MappingNode {
			p.report(v, "a goal has two sides", hint)
		}
		p.each(v, func(side string, k, v *yaml.Node) {
			if side != "treated" && side != "control" {
				p.unknown(k, []string{"treated", "control"})
				return
			}
			w.counts[side] = map[string]int64{}
			p.each(v, func(what string, k, v *yaml.Node) {
				n, err := strconv.ParseInt(v.Value, 10, 64)
				switch {
				case what != "exposed" && what != "converted":
					p.unknown(k, []string{"exposed", "converted"})
				case err != nil:
					p.report(v, "`"+what+"` is a number of people", hint)
				}
				w.counts[side][what] = n
			})
		})
		list = append(list, w)
	})
	return list
}

// compare compares with what the shard has counted.
func (w *wantedGoal) compare(g *rig) {
	counts, found := goalOf(g.shard, g.shard.Program(), w.name)
	if in := g.shard.Accounts(); !found && in != nil {
		counts, found = goalOf(in, in.Program(), w.name)
	}
	if !found {
		g.fail(w.line, "goal of "+w.name, "a goal", unknownName("activation with a goal", w.name, g.cover.goalNames()))
		return
	}
	compare := func(side, what string, have int64) {
		if want, stated := w.counts[side][what]; stated && want != have {
			g.fail(w.line, what+" of goal of "+w.name+", "+side, strconv.FormatInt(want, 10), strconv.FormatInt(have, 10))
		}
	}
	compare("treated", "exposed", counts.Treated.Exposed)
	compare("treated", "converted", counts.Treated.Converted)
	compare("control", "exposed", counts.Control.Exposed)
	compare("control", "converted", counts.Control.Converted)
}

func goalOf(s *shard.Shard, p *recipe.Program, name string) (counts shard.GoalCounts, found bool) {
	j := slices.IndexFunc(p.Activations, func(a recipe.Activation) bool { return a.Name == name && a.Goal() != nil })
	if j < 0 {
		return counts, false
	}
	return s.Goals()[j], true
}
