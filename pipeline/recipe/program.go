package recipe

import (
	"math"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
)

// Program is a compiled cookbook. It is immutable and may be shared between goroutines and shards.
// The same Sources compile to the same Program on every machine: same indices, offsets and hashes.
type Program struct {
	// Sources are the recipe files it was compiled from, sorted by name.
	Sources []Source
	// Hash is the xxhash64 of the sources: two programs with the same hash are the same.
	Hash uint64

	Schema *event.Schema
	// Identity says which identifiers may be one person; one rule for each of Schema.Namespaces.
	Identity   identity.Rules
	Attributes []Attribute
	// Rules are the updates, by Event.Type (so Rules[0] is for types that the cookbook does not name).
	// Each list holds the rules for every event too, in recipe order.
	Rules [][]Rule
	// Audiences are in an order in which nested ones come before those that read them.
	Audiences   []audience.Definition
	Purposes    []string
	Consents    []uint64 // by purpose: a hash of what the recipe says of how it is granted
	Readings    []uint64 // by namespace: a hash of what the recipe says of how its identifiers are read from events
	Levels      []Level  // what audiences compare people with each other by
	Expire      []int64  // by namespace: a profile of it goes after a silence of so many milliseconds; 0: never
	Activations []Activation
	Mappings    map[string]*Mapping
	// Accounts are what the cookbook says of companies or households; nil when it says nothing.
	Accounts *Accounts
	// LookUp are the namespaces by which something can be looked up: those of people, and that of accounts.
	LookUp []event.Namespace

	// FixedSize is the size of State.Fixed, Segments the number of variable segments.
	FixedSize, Segments int

	// Warnings are what check says about a cookbook that is good: conditions that fell back to the interpreter, for one.
	Warnings []Diagnostic
	// Oversize says that a record may become larger than MaxProfileBytes; nil: it does not. Compile refuses such a cookbook, Recompile does not.
	Oversize *Diagnostic
}

// Source is one recipe file, or the file of a model that a recipe names.
type Source struct {
	Name string // as in messages: the path that the user gave
	Text []byte
}

// Attribute is one attribute of the cookbook.
type Attribute struct {
	Name        string
	Description string
	Type        attribute.Type
	// Kind is nil for derived attributes, scores and buckets, which have no state.
	Kind attribute.Kind
	Slot attribute.Slot
	// Timed is Kind if time alone changes its value; else nil. A derived attribute changes with time if one of its Reads does.
	Timed attribute.Timed
	// Num, Str and Truth read the attribute, stored or not. Those that do not fit the type are nil.
	Num   expr.Num
	Str   expr.Str
	Truth expr.Bool
	// Clock says when a derived attribute changes with time.
	Clock expr.Clock
	// Reads are the stored attributes a derived one depends on, through others too.
	Reads []int
	// Score is not nil for an attribute that a model computes. Scored says that it is one, or derived from one.
	Score  *Score
	Scored bool
	// Definition is a hash of the kind, options and rules: a new cookbook keeps the state of an
	// attribute whose name and definition are the same.
	Definition uint64
}

// AppendJSON appends the value of the attribute for the profile in env.
func (a *Attribute) AppendJSON(dst []byte, env *expr.Env) []byte { return appendAttribute(dst, a, env) }

// Value is the value of the attribute for the profile in env, as expressions read it; Absent where there is none, and for sets, tallies and
// lists. A text is good until env is used again.
func (a *Attribute) Value(env *expr.Env) event.Value {
	switch a.Type {
	case attribute.Number:
		if v, ok := a.Num(env); ok {
			return event.Value{Kind: event.Number, Bits: math.Float64bits(v)}
		}
	case attribute.Time:
		if v, ok := a.Num(env); ok {
			return event.Value{Kind: event.Time, Bits: uint64(int64(v))}
		}
	case attribute.String:
		if s, ok := a.Str(env); ok {
			return event.Value{Kind: event.String, Str: s}
		}
	case attribute.Bool:
		if t := a.Truth(env); t != expr.Absent {
			return event.Value{Kind: event.Bool, Bits: truthBits(t)}
		}
	}
	return event.Value{}
}

func truthBits(t expr.Truth) uint64 {
	if t == expr.True {
		return 1
	}
	return 0
}

// Rule updates one attribute, or one purpose, with one event.
type Rule struct {
	Attribute int // index in Program.Attributes; -1 for a consent rule
	Purpose   int // index in Program.Purposes, for a consent rule
	Op        attribute.Op
	Step      uint8     // for a sequence: the step that occurred
	Where     expr.Bool // nil: always. May read the event, the item and the profile's attributes
	Array     int       // 1 + index in Schema.Arrays: once per element; 0: once
	Value     expr.Any  // nil for kinds that need none. For a consent rule: a Bool, Absent changes nothing
	Field     int       // 1 + the field of the event, if Value is just that; else 0
	Item      int       // 1 + the field of the element, if Value is just that; else 0
	By        expr.Num  // nil: 1
	Fields    []int     // fields of the event that Where, Value and By read
}

// take makes x the value.
func (r *Rule) take(x *expr.Expr) {
	r.Value, r.Field, r.Item = x.Any, x.Field, x.Item
	r.Fields = append(r.Fields, x.Fields...)
}

// Trigger is what makes an activation.
type Trigger uint8

// The triggers.
const (
	OnEnter Trigger = iota
	OnExit
	OnChange // an attribute changed its value
	OnEvent  // an event matched
	OnSessionStart
	OnSessionEnd
)

// Activation is an activation that a recipe names, besides the transitions that audiences emit.
type Activation struct {
	Name        string
	Description string
	Trigger     Trigger
	Audience    int       // for OnEnter and OnExit
	Attribute   int       // for OnChange
	Session     string    // for OnSessionStart and OnSessionEnd
	Sessions    int       // for OnSessionStart and OnSessionEnd, and with Pace.PerSession: the attribute whose kind is attribute.Sessions
	Type        int       // for OnEvent: Event.Type; -1 for every event
	Where       expr.Bool // nil: always
	Fields      []int     // fields of the event that Where reads
	Requires    []int     // purposes that must be granted
	Include     []int     // attributes in the payload, under "attributes"
	Pace        *Pace     // nil: it always leaves at once
	Definition  uint64    // a hash of all that the recipe says of it, except the description

	whereReadsEvent bool
}

// Goal is what the activation is for; nil: nothing that is counted.
func (a *Activation) Goal() *Goal {
	if a.Pace == nil {
		return nil
	}
	return a.Pace.Goal
}

// Diagnostic is one finding of check.
type Diagnostic struct {
	File         string
	Line, Column int
	Message      string // what is wrong
	Hint         string // what to do; may be empty
	Severity     Severity
}
