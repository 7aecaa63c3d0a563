package recipetest

import (
	"go.yaml.in/yaml/v3"
)

// Case is one test.
type Case struct {
	Name string
	File string
	Line int

	start   int64 // the clock at first, in milliseconds
	who     []string
	mapping string
	byEvent bool // clock: event
	steps   []step
}

// step is one entry of a test's list.
type step struct {
	line int
	at   moment // when it happens; none: now
	sent bool   // it is an event or a row, whose time may lie before the clock
	do   func(r *rig, s *step)
}

// eventStep is a step that sends a message, repeat times, each so many milliseconds after the one before.
type eventStep struct {
	message map[string]any // of the Segment spec; without identifiers, time and id unless given
	who     []string       // none: the case's, or nobody else for a whole message
	whole   bool           // the message is as it was sent
	id      string
	repeat  int
	every   int64
	// rejected, when not empty, is why the event must be refused: any, or a reason of the dead topic.
	rejected string
}

// rowStep is a step that sends a row through a mapping.
type rowStep struct {
	mapping  string
	row      map[string]any
	repeat   int
	rejected string
}

// unlinkStep says that two identifiers are never one person.
type unlinkStep struct{ ids []string }

// expectStep states what must hold.
type expectStep struct {
	who         []string
	profile     *bool
	attributes  []stated
	audiences   []stated
	exactly     []string // the audiences that the profile is in; nil: not stated
	exactlyLine int
	consent     []stated
	sizes       []stated
	goals       []wantedGoal
	activations *expectedActivations
}

// stated is one thing that must have a value.
type stated struct {
	name string
	line int
	want *yaml.Node
}

// expectedActivations are those that must have left since the last step that named any.
type expectedActivations struct {
	line   int
	exact  bool // all of them, in this order; otherwise at least these
	wanted []wantedActivation
}

type wantedActivation struct {
	line                             int
	name, transition, profile, typed string
	at, eventTime                    moment
	attributes                       []stated
}
