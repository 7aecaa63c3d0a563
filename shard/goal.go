package shard

import (
	"encoding/binary"

	"dashi/pipeline/activation"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
)

// Goals are what activations are for. Who was exposed to one that has a goal is kept with the person, in the schedule
// (pipeline/activation/goal.go); the shard keeps how many there are. Each person counts once: a merge takes off what the two counted for and adds
// what the one does, and an unmerge the other way round. A move to another shard changes no counts, so those of one shard may be below zero, and
// their sum over the shards is right. Those who are erased or expire stay counted: they did see it, or did not, and a number tells nothing of
// anybody.

// GoalCounts counts the people that an activation with a goal was for: those who were shown it, and those it was held back from.
type GoalCounts struct{ Treated, Control GoalSide }

// GoalSide is one side of the comparison: people who were exposed, and how many of them came to the goal in time.
type GoalSide struct{ Exposed, Converted int64 }

func (c *GoalCounts) side(control bool) *GoalSide {
	if control {
		return &c.Control
	}
	return &c.Treated
}

// onGoal notes which event types may be the goal g of activation i.
func (d *program) onGoal(i int, g *recipe.Goal) {
	if d.goals == nil {
		d.goals, d.goalOn = map[uint64]int{}, make([][]int, len(d.Rules))
	}
	d.goals[g.ID] = i
	for t := range d.goalOn {
		if g.Of(t) {
			d.goalOn[t] = append(d.goalOn[t], i)
		}
	}
}

// expose notes that the person is exposed to activation j, which may leave now, and says whether they are of the control group, from whom it is
// held back.
func (a *applier) expose(j int, g *recipe.Goal) (control bool) {
	control, first := a.pace.schedule.Expose(g.ID, g.HoldsBack(a.env.Hash), a.env.Now)
	if first {
		a.s.goals[j].side(control).Exposed++
	}
	return control
}

// reach notes for each of these activations whether an event is the goal that it is for.
func (a *applier) reach(activations []int, e *event.Event) {
	s, p := a.s, a.s.program
	if !activation.Exposes(a.env.State.Segment(p.pacing)) {
		return
	}
	for _, j := range activations {
		g := p.Activations[j].Pace.Goal
		if g.Where != nil && g.Where(&a.env) != expr.True {
			continue
		}
		a.readSchedule()
		control, changed, first := a.pace.schedule.Reach(g.ID, g.Within, e.Time)
		a.pace.changed = a.pace.changed || changed
		if first {
			s.goals[j].side(control).Converted++
		}
	}
}

// countExposures adds what a profile with that schedule counts for, or takes it off. It uses a.pace.other.
func (a *applier) countExposures(segment []byte, by int64) {
	s, p := a.s, a.s.program
	if len(p.goals) == 0 || !activation.Exposes(segment) {
		return
	}
	a.pace.other.Read(segment)
	a.pace.other.EachExposure(func(e *activation.Exposure) {
		j, known := p.goals[e.ID]
		if !known {
			return
		}
		side := s.goals[j].side(e.Control)
		side.Exposed += by
		if e.Converted(p.Activations[j].Pace.Goal.Within) {
			side.Converted += by
		}
	})
}

// divideExposures is for a new profile n that gives fragments to others. It takes out of own, its schedule, the exposures that it had from those
// fragments, and puts in those that its own fragments remember from before they were one person: the ones in have, the schedule of its first
// fragment, and those of the fragments beside it.
func (a *applier) divideExposures(own *activation.Schedule, n int, have []byte) {
	s, c := a.s, &a.comp
	if len(s.program.goals) == 0 || !a.loses(n) {
		return
	}
	remembered := func(ours bool, fn func(o *activation.Schedule)) {
		for i := range c.idents {
			d := &c.idents[i]
			if was := a.marks.was[i]; !d.state || (d.profile == n) != ours || !a.marks.old[was] || c.idents[was].profile != n {
				continue
			}
			if ref, found := s.fragments.Find(d.hash, d.ns, d.value); found {
				a.pace.other.Read(s.fragments.Record(ref).Segment(s.program.pacing))
				fn(&a.pace.other)
			}
		}
	}
	remembered(false, own.Leave)
	remembered(true, own.Remember)
	a.pace.other.Read(have)
	own.Remember(&a.pace.other)
}

// Goals are the counts, by activation of the program: zero for those without a goal. The slice must not be written to.
func (s *Shard) Goals() []GoalCounts { return s.goals }

// carryGoals keeps the counts of goals that both programs have.
func (s *Shard) carryGoals(last, next *program) {
	was := s.goals
	s.goals = make([]GoalCounts, len(next.Activations))
	if last == nil {
		return
	}
	for id, j := range next.goals {
		if o, known := last.goals[id]; known {
			s.goals[j] = was[o]
		}
	}
}

func (s *Shard) appendGoals(dst []byte) []byte {
	for j := range s.goals {
		if s.program.Activations[j].Goal() == nil {
			continue
		}
		for _, side := range []GoalSide{s.goals[j].Treated, s.goals[j].Control} {
			dst = binary.AppendVarint(binary.AppendVarint(dst, side.Exposed), side.Converted)
		}
	}
	return dst
}

func (s *Shard) restoreGoals(src []byte) (rest []byte, err error) {
	s.goals = make([]GoalCounts, len(s.program.Activations))
	for j := range s.goals {
		if s.program.Activations[j].Goal() == nil {
			continue
		}
		c := &s.goals[j]
		for _, n := range []*int64{&c.Treated.Exposed, &c.Treated.Converted, &c.Control.Exposed, &c.Control.Converted} {
			if *n, src, err = varint(src); err != nil {
				return nil, err
			}
		}
	}
	return src, nil
}
