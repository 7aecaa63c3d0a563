package resp

import (
	"time"

	"dashi/shard"
)

// Backend is what the server needs of a node. All methods may be called concurrently and none may keep an argument.
type Backend interface {
	// Lookup calls fn with the profile of namespace:value as of at, in milliseconds, under the read lock of its shard, if there is one
	// here. The View is bare. The value is as the client wrote it; the backend normalises it as the namespace says. It does not wait.
	Lookup(namespace, value []byte, at int64, fn func(*shard.View)) Whereabouts
	// Fetch finds out what is Away, or must be fresher than what is here: profiles by namespace:value, sizes of audiences by name. It calls done once, on
	// another goroutine, in seconds at most. It may keep its arguments: nobody changes them.
	Fetch(level Level, keys, audiences []string, done func(*Fetched))
	// Touch reads the memory that look-ups of these keys will need, so that the cache misses of many overlap. A key is
	// namespace:value; those that are not one, or of which there is no profile, do no harm.
	Touch(keys [][]byte)
	// FieldIndex is the index of an attribute in the present program.
	FieldIndex(name []byte) (index int, ok bool)
	// AudienceIndex is the index of an audience in the present program.
	AudienceIndex(name []byte) (index int, ok bool)
	// AudienceSize is the number of profiles in an audience, if all of them are here.
	AudienceSize(index int) (size int64, here bool)
	// Sends says whether anything leaves under that name in the present program: it is the name of an activation, or of an audience whose
	// transitions leave or make something leave.
	Sends(name string) bool
	// Subscribe calls deliver for every activation from now on until stop returns; with a non-empty after, those that
	// followed the activation with that id come first as far as they are remembered. audience is empty for one
	// that is about none. deliver does not wait, does not call back, and may keep the payload, which nobody changes.
	Subscribe(after string, deliver func(id, activation, audience string, payload []byte)) (stop func())
	// Info is what INFO and DBSIZE print.
	Info() Info
}

// Info is the state of the node as INFO prints it.
type Info struct {
	Version  string // of dashi
	Uptime   time.Duration
	Profiles int64
	Events   uint64 // applied since the start
	Behind   uint64 // entries by which the replica here that lags most is known to be behind its leader
}

// Whereabouts is what a look-up says.
type Whereabouts uint8

// The answers of Lookup.
const (
	Missing Whereabouts = iota // there is no such profile
	Found
	Moving // it is on its way from one shard to another, and can be asked for again in a moment
	Away   // it belongs to a shard that is not here: Fetch it
)

// Level is how fresh an answer must be.
type Level uint8

// The levels.
const (
	Local        Level = iota // as any replica is
	Leader                    // as the one is that says that it leads
	Linearizable              // the same, after a majority has confirmed it
)

// Fetched is what Fetch has found, in the order of its arguments.
type Fetched struct {
	Profiles []Profile
	Sizes    []int64
	SizesErr error // there are no Sizes
}

// Profile is one that was fetched.
type Profile interface {
	// Show calls fn with it, if there is one. The error says that nobody could be asked.
	Show(fn func(*shard.View)) (found bool, err error)
}
