package identity

import (
	"errors"
	"fmt"

	"dashi/pipeline/say"

	"github.com/cespare/xxhash/v2"
)

// Hash is the home of an identifier: xxhash64, seed 0, of the namespace, a zero byte and the value. The
// zero byte keeps ("a", "bc") and ("ab", "c") apart; a namespace never contains one.
func Hash(namespace string, value []byte) uint64 {
	// One call on contiguous bytes is twice as fast as a streaming digest. 128 bytes hold nearly every
	// identifier; the rare longer one pays for the digest.
	var buf [128]byte
	if len(namespace)+1+len(value) <= len(buf) {
		n := copy(buf[:], namespace)
		n++
		n += copy(buf[n:], value)
		return xxhash.Sum64(buf[:n])
	}
	var d xxhash.Digest
	d.Reset()
	d.WriteString(namespace)
	d.Write(buf[:1])
	d.Write(value)
	return d.Sum64()
}

// ErrIdentifier is what ParseIdentifier wraps.
var ErrIdentifier = errors.New("an identifier is written namespace:value, for example user_id:42")

// ParseIdentifier splits "namespace:value" at the first colon. The value may hold more colons; neither part
// may be empty. It does not normalise and does not know which namespaces exist. The parts alias s.
func ParseIdentifier[T string | []byte](s T) (namespace, value T, err error) {
	for i := range len(s) {
		if s[i] != ':' {
			continue
		}
		if i == 0 || i == len(s)-1 {
			break
		}
		return s[:i], s[i+1:], nil
	}
	var none T
	return none, none, fmt.Errorf("cannot parse identifier %q: %w", say.Short(string(s)), ErrIdentifier)
}
