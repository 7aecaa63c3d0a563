package attribute

import (
	"errors"
	"fmt"
	"strings"
)

// SequenceSpec is a sequence as a recipe gives it. Lengths are in milliseconds; 0 is no bound.
type SequenceSpec struct {
	Steps  []StepSpec // Input.Step is the index in it
	Until  bool       // there is an until: Input.Step is len(Steps)
	Within int64      // from the first step to the last that is not negated
	Keep   int64      // occurrences that are older than the newest by so much are forgotten
	Keyed  bool       // Input.Value is the key
	Show   string     // one of SequenceShows; "count" by default
}

// StepSpec is one step.
type StepSpec struct {
	Not      bool
	Optional bool
	Times    int   // how often; 0 and 1: once
	Within   int64 // since the step before; for a negated last step: how long there must be none
}

// The occurrences that a profile keeps of one sequence, and the steps that one may have.
const (
	DefaultSequence, MaxSequence = 200, 2000
	MaxSteps                     = 16
)

// SequenceShows are the words for what a sequence shows: how often it was complete, when last, whether it is, whether one
// has begun and can still go on, and the keys of which these are true.
var SequenceShows = []string{"count", "last_at", "complete", "open", "complete_keys", "open_keys"}

func newSequence(s *SequenceSpec, limit int) (*sequence, error) {
	k := &sequence{steps: len(s.Steps), within: s.Within, keep: s.Keep, limit: limit, keyed: s.Keyed, show: s.Show}
	if k.show == "" {
		k.show = "count"
	}
	if strings.HasSuffix(k.show, "_keys") && !s.Keyed {
		return nil, errors.New("it shows keys and has no key; say by which value occurrences belong together")
	}
	if len(s.Steps) > MaxSteps-1 {
		return nil, fmt.Errorf("it has %d steps; at most %d", len(s.Steps), MaxSteps-1)
	}
	if s.Until {
		k.until = 1 << k.steps
		k.steps++
	}
	for i, step := range s.Steps {
		if err := k.add(i, step, i == len(s.Steps)-1); err != nil {
			return nil, fmt.Errorf("step %d %w", i+1, err)
		}
	}
	switch {
	case strings.HasPrefix(k.show, "open"):
		k.opens = 1
	case strings.HasPrefix(k.show, "complete"):
		k.completes = 1 | unknown
	}
	k.bound()
	switch n := len(k.stages); {
	case n > MaxStages:
		return nil, fmt.Errorf("its steps are %d with their times; at most %d", n, MaxStages)
	case n == 0 || n == 1 && k.last == 0:
		return nil, errors.New("it has one step, once; a sequence has two, or a step with times")
	case k.stages[n-1].optional:
		return nil, errors.New("its last step is optional, so it would be complete without it; remove the step or optional")
	}
	return k, nil
}

// bound says what must be known of the steps together.
func (k *sequence) bound() {
	k.wait = max(k.lastWithin, k.within)
	bounded := true
	for i, s := range k.stages {
		k.nots |= s.not
		k.wait = max(k.wait, s.within)
		k.reach += s.within
		bounded = bounded && (i == 0 || s.within > 0)
	}
	k.kills = k.until | k.last | k.nots
	switch {
	case k.within > 0 && (!bounded || k.within < k.reach):
		k.reach = k.within
	case !bounded:
		k.reach = maxTime + 1
	}
	k.reach += k.lastWithin
}

// add adds a step.
func (k *sequence) add(i int, s StepSpec, last bool) error {
	bit := uint64(1) << i
	n := len(k.stages)
	if s.Not {
		switch {
		case n == 0:
			return errors.New("is negated and the first; a sequence begins with something that happens")
		case s.Optional || s.Times > 1:
			return errors.New("is negated; it has neither optional nor times")
		case k.stages[n-1].optional:
			return errors.New("is negated and follows an optional one; put it in front of that")
		case last && s.Within == 0:
			return errors.New("is negated and the last; say within which time there must be none, as in within: 1h")
		case !last && s.Within != 0:
			return errors.New("is negated and has within; the step behind it says how long the wait may be")
		}
		if last {
			k.last, k.lastWithin = bit, s.Within
		} else {
			k.stages[n-1].not |= bit
		}
		return nil
	}
	switch {
	case n == 0 && s.Optional:
		return errors.New("is optional and the first; a sequence begins with something that happens")
	case n == 0 && s.Within != 0 && s.Times < 2:
		return errors.New("has within and is the first; it says how long after the step before")
	case s.Optional && s.Times > 1:
		return errors.New("is optional and has times; make several optional steps")
	}
	for t := range max(s.Times, 1) {
		within := s.Within
		if n == 0 && t == 0 {
			within = 0
		}
		k.stages = append(k.stages, stage{bit: bit, within: within, optional: s.Optional})
	}
	return nil
}
