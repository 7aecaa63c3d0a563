package resp

import (
	"time"

	"dashi/shard"
)

// Backend is what the server needs of a node. All methods may be called concurrently and none may keep an argument.
type Backend interface {
	// Lookup calls fn with the profile of namespace:value as of at, in milliseconds, under the read lock of its shard, and says
	// whether there is one. The View is bare. The value is as the client wrote it; the backend normalises it as the namespace says. It does not wait:
	// moving says that the profile is on its way from one shard to another, and can be asked for again in a moment.
	Lookup(namespace, value []byte, at int64, fn func(*shard.View)) (found, moving bool)
	// Touch reads the memory that look-ups of these keys will need, so that the cache misses of many overlap. A key is
	// namespace:value; those that are not one, or of which there is no profile, do no harm.
	Touch(keys [][]byte)
	// FieldIndex is the index of an attribute in the present program.
	FieldIndex(name []byte) (index int, ok bool)
	// AudienceIndex is the index of an audience in the present program.
	AudienceIndex(name []byte) (index int, ok bool)
	// AudienceSize is the number of profiles in an audience.
	AudienceSize(index int) int64
	// Subscribe calls deliver for every activation from now on until stop returns; with a non-empty after, those that
	// followed the activation with that id come first as far as they are remembered. name is the audience or
	// the activation. deliver does not wait, does not call back, and may keep the payload, which nobody changes.
	Subscribe(after string, deliver func(id, name string, payload []byte)) (stop func())
	// Info is what INFO and DBSIZE print.
	Info() Info
}

// Info is the state of the node as INFO prints it.
type Info struct {
	Version  string // of dashi
	Uptime   time.Duration
	Profiles int64
	Events   uint64 // applied since the start
}
