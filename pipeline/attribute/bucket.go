package attribute

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Weight is one bucket: its name, and how much of the people it gets in proportion to the others.
type Weight struct {
	Name   string
	Weight float64
}

// Bucket puts people into A/B buckets. It has no state: the bucket is a function of the salt and of the
// person, so it is the same on every shard and after every restart, and another salt gives an independent
// division. It is not a Kind; a program treats it as a derived attribute of type String.
type Bucket struct {
	salt  uint64
	total uint64
	upTo  []uint64 // cumulative weights in micro-units
	names []string
}

// NewBucket makes a bucket of spec.Salt and spec.Weights. Weights may add up to anything; they are rounded to
// a millionth. Their order counts: to grow a bucket and move few people, grow it at the cost of a neighbour.
// Without weights there are two buckets, "a" and "b", of the same size.
func NewBucket(spec Spec) (*Bucket, error) {
	if spec.Salt == "" {
		return nil, errors.New("cannot make bucket: it has no salt; give it a word of its own, such as the name of the experiment")
	}
	if len(spec.Weights) == 0 {
		spec.Weights = []Weight{{"a", 1}, {"b", 1}}
	}
	b := &Bucket{salt: xxhash.Sum64String(spec.Salt)}
	seen := map[string]bool{}
	for _, w := range spec.Weights {
		if w.Name == "" || seen[w.Name] {
			return nil, fmt.Errorf("cannot make bucket: the name %q is empty or stands twice; give each bucket a name of its own", w.Name)
		}
		seen[w.Name] = true
		if !(w.Weight >= 0 && w.Weight <= 1e9) {
			return nil, fmt.Errorf("cannot make bucket %q: its weight is %v; it must be 0 to 1e9", w.Name, w.Weight)
		}
		b.total += uint64(toMicro(w.Weight))
		b.upTo = append(b.upTo, b.total)
		b.names = append(b.names, w.Name)
	}
	if b.total == 0 || len(spec.Weights) > 1000 {
		return nil, errors.New("cannot make bucket: it needs a weight above 0, and at most 1,000 buckets")
	}
	return b, nil
}

// Of is the bucket of the person with this hash (identity.Hash of the profile's identifier).
func (b *Bucket) Of(hash uint64) string {
	// Two rounds of mixing: the hash decides the shard too, and a bucket must not depend on the shard.
	at, _ := bits.Mul64(mix(mix(hash)^b.salt), b.total)
	for i, end := range b.upTo {
		if at < end {
			return b.names[i]
		}
	}
	return b.names[len(b.names)-1] // not reached: at is below the total, which is the last end
}

// Names are the buckets, in the order of the weights.
func (b *Bucket) Names() []string { return append([]string(nil), b.names...) }
