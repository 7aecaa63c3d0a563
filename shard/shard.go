package shard

import (
	"encoding/binary"
	"fmt"

	"dashi/pipeline/activation"
	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
	"dashi/shard/timer"

	"github.com/RoaringBitmap/roaring/v2"
)

// Settings are what a shard is made with. They must be the same on every replica.
type Settings struct {
	// OutboxBytes bounds the outbox; when it is reached, batches are answered Full until the sink acknowledges.
	OutboxBytes int64
	// RecentMillis and RecentIDs bound the memory of message ids, by time and by number.
	RecentMillis int64
	RecentIDs    int
	// Self is this shard's number, Home(hash) the number of the shard that is the home of identifiers with that hash; neither ever changes. A nil
	// Home means that there is no other shard.
	Self int
	Home func(hash uint64) int
	// Memory is where the pages of the table come from. It may differ between replicas.
	Memory profile.Memory
	// Compile makes the program of a cookbook; nil: recipe.Recompile. A host of many shards with one cookbook can share the work with it. It
	// must return what recipe.Recompile would.
	Compile func([]recipe.Source) (*recipe.Program, []recipe.Diagnostic)
}

// DefaultSettings: Segment's SDKs retry the same message id for up to 12 hours; a million ids take 28 MB.
var DefaultSettings = Settings{
	OutboxBytes:  16 << 20,
	RecentMillis: 12 * 60 * 60 * 1000,
	RecentIDs:    1 << 20,
}

func (s *Settings) compile(sources []recipe.Source) (*recipe.Program, []recipe.Diagnostic) {
	if s.Compile != nil {
		return s.Compile(sources)
	}
	return recipe.Recompile(sources)
}

// MaxActivation is the size of the longest activation in bytes. With its key and its headers that is below what brokers take by default (1 MiB).
// One that would be longer leaves without its attributes, and is counted (Counters.Shortened).
const MaxActivation = 768 << 10

// Outcome says what became of an entry.
type Outcome uint8

// The outcomes.
const (
	Accepted Outcome = iota
	Gap              // a batch began beyond the mark: send again from Mark
	Full             // the outbox is full: send again later
	Stale            // the batch was projected with another cookbook than the one in force: project again
	Refused          // the entry cannot be understood, or the cookbook has errors: see Detail
	Held             // a cookbook is being switched, or the shard is settling: send again later
)

func (o Outcome) String() string {
	return [...]string{"accepted", "gap", "full", "stale", "refused", "held"}[o]
}

// Result is the answer to one entry.
type Result struct {
	Outcome     Outcome
	Mark        int64   // of the batch's stream, or the position of the next message of the peer, afterwards
	Applied     int     // events applied
	Repeated    int     // events dropped because their message id had been seen
	Skipped     int     // events at or below the mark
	Activations int     // entries added to the outbox
	Messages    int     // messages added for other shards
	Detail      string  // for Refused
	Report      *Report // for an entry of AppendHold
}

// Counters count since the shard was made; they are part of the state.
type Counters struct {
	Events      uint64 // applied
	Repeated    uint64 // dropped by message id
	Activations uint64 // put into the outbox
	Withheld    uint64 // activations that a missing consent stopped
	OutOfRange  uint64 // numbers too large for exact sums
	Corrupt     uint64 // packed events that could not be read back: a bug or a broken disk
	Shortened   uint64 // activations that left without their attributes: see MaxActivation
	Woken       uint64 // profiles that a timer woke
	// Suppressed are triggered activations that did not leave, by activation.Reason minus 1.
	Suppressed [activation.Reasons]uint64
	Expired    uint64 // profiles that went because nothing was heard of them

	Forwarded     uint64 // events passed on to where their strongest identifier lies
	Merges        uint64 // profiles that took others in
	Unmerges      uint64 // profiles that came out of others
	Junk          uint64 // identifiers that are nobody's from then on: see identity.MaxPartners
	Saturated     uint64 // links passed over because the weaker identifier is junk
	ComponentFull uint64 // links passed over because of MaxComponent
	LinksOver     uint64 // identifiers of events that were not linked because of MaxLinks
	Erased        uint64 // profiles that were erased
	Buried        uint64 // events and links not taken in because they are older than an erasure

	Departed uint64 // activations that had left when the shard went back to a state before them
	Remade   uint64 // of these, those that were made again, and did not leave a second time

	TooLarge uint64 // updates and merges of attributes left out because the profile has MaxProfile: see grow.go

	AccountEvents uint64 // events told to accounts
	People        uint64 // times that an account was told something of a person
	PeopleOver    uint64 // people that an account does not count because it has its fill
	AccountsOver  uint64 // times that a person belonged to more accounts than MaxAccounts
}

// Shard is the state. See the package comment for who may call what when.
type Shard struct {
	settings Settings
	now      int64
	marks    map[Stream]int64 // never ranged over for output without sorting
	byEvents bool             // every profile's clock follows its events; only clock entries move now then
	latest   int64            // with byEvents: the latest event time
	counters *Counters
	outbox   *outbox
	recent   recent
	timers   *timer.Queue // when profiles wake, by ordinal
	expiries *timer.Queue // when profiles that expire may go
	first    int64        // no timer is due before this instant
	version  uint64       // of the cookbook in force
	held     *hold        // nil: no cookbook is on its way
	flows    []hourFlows  // of the last hours, oldest first
	goals    []GoalCounts // by activation
	levelsAt int64        // the instant as of which the levels are; NoTime: they have not been found out yet

	generation uint64   // see recovered.go
	settling   bool     // the shard has gone back to a cut, and takes nothing but what departed
	departed   departed // activations that have left and were not made again

	program    *program
	namespaces []string // the names behind profile.Record.Namespace, in order of first use
	table      *profile.Table
	fragments  *profile.Table // of profiles that have several: see fragment.go
	pointers   pointers
	erased     erasures
	holders    int               // records of the table that are no profile: they only hold the component of a root without an event
	peers      []peer            // by number of the shard
	peerBytes  int64             // what their outboxes hold
	parked     [][]byte          // messages that overtook a component: see applier.park
	everyone   *roaring.Bitmap   // ordinals of all profiles
	members    []*roaring.Bitmap // by audience: ordinals of profiles

	foldAnew bool // set by tests: a merge never takes the short cut of grow.go

	// accounts is the state of the accounts whose home is here, a shard without entries of its own: see account.go. nil: the cookbook has none.
	// people is set in that inner shard: the shard around it.
	accounts *Shard
	people   *Shard

	apply applier // scratch space of Apply
}

// program is a recipe.Program with what the shard derives from it.
type program struct {
	*recipe.Program
	index  *audience.Index
	folds  []fold // by attribute
	sticky stickiness
	// namespace maps the program's namespaces to the shard's numbers, rank the other way round.
	namespace   []uint8
	rank        []int
	periods     bool             // a limit of identifiers has a period
	consentAt   int              // offset of the consent words in the fixed part
	membersAt   int              // offset of the membership bits
	words       int              // of membership bits
	aloneAt     int              // of fragments: offset of the instant that program.until reads; -1: time changes no sticky audience
	since       int              // segment of the entry times
	pacing      int              // segment of the schedule; -1: no activation is paced
	told        int              // segment of what accounts were told; -1: there are no accounts
	links       int              // segment of the component, the last
	crowd       int              // if it is the program of accounts: segment of their people, after links; else -1
	of          *recipe.Accounts // if it is the program of accounts: what the cookbook says of them
	word        []int            // if it is the program of accounts: by item, which word of a contribution it is; 0: it is only a bit
	paced       map[uint64]int   // activations by Pace.ID
	goals       map[uint64]int   // activations by Goal.ID
	goalOn      [][]int          // by event type: activations whose goal it may be; nil when there is no goal
	expire      []int64          // by number of the namespace: see expireFrom
	onEnter     [][]int
	onExit      [][]int
	changes     []int               // activations on the change of an attribute
	onChange    [][]int             // by event type: those whose attribute a rule of that type may change
	byTime      []int               // activations whose attribute changes with time alone
	byTimeParts []*recipe.Attribute // attributes whose change by time must be noticed: for byTime, sessions, and what accounts are told
	sessions    []watchedSession
	onEvent     [][]int               // by event type
	enters      []*activation.Subject // by audience: its own transitions
	exits       []*activation.Subject
	subjects    []*activation.Subject // by activation
	levels      []float64             // by Program.Levels: the thresholds in force, which are state
	merged      *activation.Subject
	unmerged    *activation.Subject
	erased      *activation.Subject
}

// New makes an empty shard.
func New(settings Settings) *Shard {
	s := &Shard{
		settings: settings,
		marks:    map[Stream]int64{},
		counters: &Counters{},
		outbox:   &outbox{limit: settings.OutboxBytes},
		recent:   newRecent(settings.RecentMillis, settings.RecentIDs),
		everyone: roaring.New(),
		timers:   &timer.Queue{},
		expiries: &timer.Queue{},
		first:    expr.Never,
		levelsAt: NoTime,
	}
	s.pointers.s = s
	s.apply.init(s)
	return s
}

// Close gives the table's memory back. After it neither views may be used nor entries applied; a reader that comes late sees an empty shard.
func (s *Shard) Close() {
	if s.table != nil {
		s.table.Close()
		s.fragments.Close()
	}
	s.table, s.fragments, s.pointers, s.program, s.namespaces, s.members, s.everyone = nil, nil, pointers{s: s}, nil, nil, nil, roaring.New()
	s.timers, s.expiries, s.first = &timer.Queue{}, &timer.Queue{}, expr.Never
	s.dropAccounts()
}

// Apply applies one entry. It never fails: the result says what is wrong with an entry. The entry is not kept.
func (s *Shard) Apply(entry []byte) *Result {
	r, before := &Result{}, s.counters.Activations
	s.apply.mail.sent = 0
	s.applyEntry(entry, r)
	r.Activations, r.Messages = int(s.counters.Activations-before), s.apply.mail.sent
	return r
}

func (s *Shard) applyEntry(entry []byte, r *Result) {
	if len(entry) < entryHead {
		r.refuse("entry of %d bytes", len(entry))
		return
	}
	now, body := int64(binary.LittleEndian.Uint64(entry[1:])), entry[entryHead:]
	if entry[0] == kindDeparted {
		s.applyDeparted(body, r)
		return
	}
	if s.settling {
		r.Outcome = Held
		return
	}
	if !s.byEvents && s.held == nil {
		s.now = max(s.now, min(now, maxNow))
	}
	if s.held == nil {
		s.wake()
		s.wakeAccounts()
	}
	s.recent.expire(s.now)
	if s.holdsOut(entry[0]) {
		r.Outcome = Held
		return
	}
	switch entry[0] {
	case kindBatch:
		s.applyBatch(body, r)
	case kindTick:
		s.pointers.forget(s.now)
	case kindAck:
		if len(body) != 8 {
			r.refuse("acknowledgement of %d bytes", len(body))
			return
		}
		s.outbox.ack(binary.LittleEndian.Uint64(body))
	case kindCookbook:
		s.applyCookbook(body, r)
	case kindClock:
		s.applyClock(body, r)
	case kindMessages:
		s.applyMessages(body, r)
	case kindPeerAck:
		s.applyPeerAcks(body, r)
	case kindUnlink:
		s.applyUnlink(body, r)
	case kindHold:
		s.applyHold(body, r)
	case kindLevels:
		s.applyLevels(body, r)
	case kindErase:
		s.applyErase(body, r)
	default:
		r.refuse("entry of unknown kind %d", entry[0])
	}
}

func (r *Result) refuse(format string, args ...any) {
	r.Outcome, r.Detail = Refused, fmt.Sprintf(format, args...)
}

// applyBatch applies a batch of events by the rule of marks (I2).
func (s *Shard) applyBatch(body []byte, r *Result) {
	if len(body) < batchHead-entryHead {
		r.refuse("batch of %d bytes", len(body))
		return
	}
	hash := binary.LittleEndian.Uint64(body)
	var stream Stream
	copy(stream.Topic[:], body[8:24])
	stream.Partition = binary.LittleEndian.Uint32(body[24:])
	prev, last := int64(binary.LittleEndian.Uint64(body[28:])), int64(binary.LittleEndian.Uint64(body[36:]))
	body = body[44:]

	mark, known := s.marks[stream]
	if !known {
		mark = -1
	}
	r.Mark = mark
	switch {
	case last < prev:
		r.refuse("batch (%d, %d]", prev, last)
		return
	case mark < prev:
		r.Outcome = Gap
		return
	case last <= mark: // all of it is known: nothing to project, nothing to store
		return
	case last > s.Limit(stream):
		r.Outcome = Held
		return
	case len(body) > 0 && (s.program == nil || s.program.Hash != hash):
		r.Outcome = Stale
		return
	case len(body) > 0 && (s.outbox.full() || s.peerBytes >= s.settings.OutboxBytes):
		r.Outcome = Full
		return
	}
	s.apply.events(body, prev, last, mark, r)
	s.marks[stream] = last
	r.Mark = last
}

// Mark is the offset up to which everything of the stream has been applied; -1 for none.
func (s *Shard) Mark(stream Stream) int64 {
	if m, ok := s.marks[stream]; ok {
		return m
	}
	return -1
}

// Now is the shard's clock, in milliseconds; with a clock of event times, the latest event time.
func (s *Shard) Now() int64 {
	if s.byEvents {
		return max(s.now, s.latest)
	}
	return s.now
}

// Program is the cookbook in force; nil before the first.
func (s *Shard) Program() *recipe.Program {
	if s.program == nil {
		return nil
	}
	return s.program.Program
}

// env prepares e for the expressions of the program on one record.
func (p *program) env(e *expr.Env, rec profile.Record) {
	fixed, dir, data := rec.Parts()
	e.State.Fixed, e.State.Dir, e.State.Data = fixed[:p.FixedSize:p.FixedSize], dir, data
	e.Consent = fixed[p.consentAt:p.membersAt:p.membersAt]
	e.Hash, e.Levels = rec.Hash(), p.levels
	for i := range p.words {
		e.Audiences[i] = le64(fixed[p.membersAt+8*i:])
	}
}
