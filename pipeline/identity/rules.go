package identity

import "time"

// Rules say which identifiers may be one person: what the identity of a cookbook compiles to.
type Rules struct {
	// Namespaces has one Rule for each of event.Schema.Namespaces, at the same index: the strongest first.
	Namespaces []Rule
	// MaxIdentifiers is the most identifiers of all namespaces that one profile holds: at least 2. A link that
	// would make a larger one is refused, like any other that a rule forbids.
	MaxIdentifiers int
}

// Rule is what holds for the identifiers of one namespace.
type Rule struct {
	Name string
	// Unique: a profile holds at most one value, so two people with different values never merge. Limit is 1 then.
	Unique bool
	// Limit is the most values of the namespace that come to one profile in any Period; 0: as many as
	// MaxIdentifiers allows. What is over it is refused: see Excess.
	Limit int
	// Period is in milliseconds of event time; 0: ever.
	Period int64
	// Excess says which values are over the limit.
	Excess Excess
	// Shared says who keeps an identifier of this namespace that was seen with people who must not merge.
	Shared Shared
}

// Excess is what goes when a profile would have more values of a namespace than its limit. Event time decides, never arrival.
type Excess uint8

// The choices. The zero value is Refuse.
const (
	Refuse Excess = 0 // the newest: of two links the one that was seen first later is refused
	Oldest Excess = 1 // the oldest: of two links the one that was seen last earlier is refused, so a new value takes the place of one long unused
)

// ExcessNames are the words for them in recipes, by their numbers.
var ExcessNames = [...]string{Refuse: "refuse", Oldest: "oldest"}

func (e Excess) String() string { return ExcessNames[e] }

// Shared is the policy for an identifier that several people use: a family's tablet, a kiosk, a common mailbox.
// Event time decides, never arrival. The numbers may stand in logs and snapshots: never reuse one.
type Shared uint8

// The policies. The zero value is First.
const (
	First             Shared = 0 // who was seen with it first keeps it
	LastAuthenticated Shared = 1 // it goes with the one who was seen with it last
	Isolate           Shared = 2 // from the second person on it is nobody's: a profile of its own
)

// SharedNames are the words for the policies in recipes, by their numbers.
var SharedNames = [...]string{First: "first", LastAuthenticated: "last_authenticated", Isolate: "isolate"}

func (s Shared) String() string { return SharedNames[s] }

// Bounds and defaults of Rules.
const (
	// DefaultMaxIdentifiers is four times what a busy person gathers in a year of expiring cookies on two devices.
	DefaultMaxIdentifiers = 200
	// MostIdentifiers bounds what one message between shards must carry.
	MostIdentifiers = 10_000
	// LongestPeriod of a limit: beyond it write "ever".
	LongestPeriod = 10 * 366 * 24 * time.Hour
)
