package httpapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/say"
	"dashi/shard"
)

// Backend is what the HTTP interface needs of a node. All methods may be called concurrently and keep no argument,
// save where they say so.
type Backend interface {
	// Produce writes the messages to Kafka and returns when all are acknowledged or one has failed. It may keep the
	// messages and their bytes: nobody changes them. An error means that the client shall send everything again.
	Produce(ctx context.Context, messages []Message) error

	// Lookup calls fn with the profile of namespace:value, under the read lock of its shard, and says whether
	// there is one. The value is as the client wrote it; the backend normalises it as the namespace says. The error wraps
	// ErrNobody when there can be none, and, here as elsewhere, ErrUnavailable when nobody could be asked.
	Lookup(ctx context.Context, namespace, value []byte, fn func(*shard.View)) (found bool, err error)
	// LookupAll is Lookup for many: it calls fn for each in order, with nil when there is no such profile.
	LookupAll(ctx context.Context, ids []Identifier, fn func(*shard.View)) error
	// Unlink says that two identifiers, namespace:value, are never one person. It returns when that has taken effect, or is sure to.
	// The error wraps ErrIdentifier when one of them is none, and is ErrSame when they are one.
	Unlink(ctx context.Context, a, b string) error
	// Erase takes the person of an identifier, namespace:value, or the account out, and returns the instant up to which nothing of them is taken in any
	// more. It returns when that has taken effect, or is sure to. The error wraps ErrIdentifier when the identifier is none.
	Erase(ctx context.Context, id string) (at time.Time, err error)
	// Audiences is all audiences of the present program, in its order.
	Audiences(ctx context.Context) ([]Audience, error)
	// Events are the last events of the profile that has an identifier; nil when there is none. The error is ErrAccount for an account, and wraps
	// ErrNobody when there can be none, ErrUnavailable when Kafka does not answer.
	Events(ctx context.Context, q EventsQuery) (*Events, error)
	// DeadLetters are the newest letters of the dead topic that match. The error wraps ErrUnavailable when Kafka does not answer.
	DeadLetters(ctx context.Context, q DeadQuery) (*DeadLetters, error)
	// Resend sends events to their topic again, and activations to their webhook: the oldest q.Limit that match and were not sent again before; or, in a dry
	// run, only says how many those are. The error is ErrResending when that is under way, and wraps ErrUnavailable when Kafka does not answer.
	Resend(ctx context.Context, q DeadQuery, dry bool) (*Resent, error)
	// Webhooks are the names of this node's webhooks, as in its settings.
	Webhooks() []string
	// Moved is how many came into each of Audiences, and left it.
	Moved(ctx context.Context) ([]Moved, error)
	// AudienceStats is what is known of an audience over time.
	AudienceStats(ctx context.Context, index int) (AudienceStats, error)
	// Activations is what is known of the activations of the present program: of the one of that name, by the hour, none when there is no such; or, with an
	// empty name, of all, without hours.
	Activations(ctx context.Context, name string) ([]ActivationStats, error)
	// AudienceIndex is the index of an audience in the present program.
	AudienceIndex(name []byte) (index int, ok bool)
	// Sends says whether anything leaves under that name in the present program: it is the name of an activation, or of an audience whose
	// transitions leave or make something leave.
	Sends(name string) bool
	// Members calls fn for the members of an audience from a cursor on until it returns false, under the read lock
	// of a shard, and returns where to go on and whether there may be more.
	Members(ctx context.Context, audience int, from Cursor, fn func(*shard.View) bool) (next Cursor, more bool, err error)
	// Query counts all profiles for which q.Where is true, and calls fn for the first q.Limit of them from q.From on,
	// as Members does. The error is a *BadQuery when the expression is at fault.
	Query(ctx context.Context, q Query, fn func(*shard.View)) (Found, error)
	// Subscribe calls deliver for every activation from now on until stop returns; with a non-empty after, those that
	// followed the activation with that id come first as far as they are remembered. audience is empty for one
	// that is about none. deliver does not wait, does not call back, and may keep the payload, which nobody changes.
	Subscribe(after string, deliver func(id, activation, audience string, payload []byte)) (stop func())

	// Cookbook is the set of recipes in force.
	Cookbook() Cookbook
	// Apply commits another cookbook. The error is a *BadCookbook, or wraps ErrForgets, which comes with an Applied, ErrUnfit or ErrUnderWay.
	Apply(ctx context.Context, a Application) (*Applied, error)
	// SetClock makes time follow the times of events, or the time of day again, and brings all shards to the latest instant that one of
	// them has, or to if that is later: milliseconds. The error is ErrClockFixed when there are profiles already.
	SetClock(byEvents bool, to int64) (now int64, err error)
	// Status is what GET /v1/status answers, to be marshalled by encoding/json.
	// With hashes the state hash of every shard is computed too, which reads every profile.
	Status(hashes bool) any
	// WaitIdle returns when everything that was in Kafka at the call has been applied and sent, or ctx has ended.
	WaitIdle(ctx context.Context) error
	// Ready is nil when the node can answer and take part; otherwise the error says what is missing.
	Ready() error
	// HeldBack is why no events come in at the moment; empty when they do. A node that is ready answers look-ups meanwhile.
	HeldBack() string
}

// Identifier is one as the client wrote it.
type Identifier struct{ Namespace, Value []byte }

// Message is one event on its way to Kafka.
type Message struct {
	Key   []byte // for partitioning; nil when the event names nobody
	Value []byte
	// Reason is not empty for an event that cannot be written as it is: the message then belongs on the dead topic with
	// this reason, and Value is its beginning.
	Reason event.Reason
}

// ErrBusy is wrapped by Produce when too much is under way: the client is told to come back in a second.
var ErrBusy = errors.New("too many events are under way")

// ErrSwitching says that a cookbook is coming into force: ask again in a moment.
var ErrSwitching = errors.New("another cookbook is coming into force")

// ErrUnavailable says that no node that could answer did, for now: the client is told to come back in a second.
var ErrUnavailable = errors.New("a part of the profiles cannot be reached")

// ErrClockFixed says that the clock cannot follow anything else any more.
var ErrClockFixed = errors.New("there are profiles already, and the clock never goes back")

// Audience is one line of GET /v1/audiences.
type Audience struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Size        int64  `json:"size"`
	Of          string `json:"of,omitempty"` // "accounts" when no people are in it
	Moved       *Moved `json:"moved,omitempty"`
}

// Moved is how many have come and gone in the hours that are kept: the difference of two is what happened between them.
type Moved struct {
	Entered int64 `json:"entered"`
	Left    int64 `json:"left"`
}

// Cursor is a place in a walk over all profiles of all shards. The zero Cursor is the beginning.
type Cursor struct {
	Shard   int
	Ordinal uint32
}

func (c Cursor) String() string { return fmt.Sprintf("%d-%d", c.Shard, c.Ordinal) }

// ParseCursor reads what String wrote; the empty string is the beginning.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	a, b, ok := strings.Cut(s, "-")
	if ok {
		n, err1 := strconv.ParseUint(a, 10, 16)
		o, err2 := strconv.ParseUint(b, 10, 32)
		if err1 == nil && err2 == nil {
			return Cursor{int(n), uint32(o)}, nil
		}
	}
	return Cursor{}, fmt.Errorf("cannot read cursor %s", say.Quote(s))
}

// Query is one question about all profiles.
type Query struct {
	Where    string // a CEL expression as in an audience
	Accounts bool   // it asks about accounts, not about people
	Limit    int    // profiles wanted; 0 for the count alone
	From     Cursor
}

// Found is the answer besides the profiles.
type Found struct {
	Count int64  // of all profiles, whatever the cursor
	Next  Cursor // where the next sample begins
	More  bool   // whether there may be one
}

// BadQuery says what is wrong with an expression.
type BadQuery struct{ Message, Hint string }

func (e *BadQuery) Error() string { return e.Message }
