package identity

import (
	"crypto/sha256"
	"encoding/hex"
)

// hashedPlaceholders are what careless clients hash: nobody is found by them, and all would be one person.
var hashedPlaceholders = [...]string{"", "null", "undefined", "none", "nil", "n/a", "unknown", "guest", "anonymous"}

// hashing keeps the hash of what form makes. The blocked values must be known by their hashes too, for the sources that
// hash before they send; globs and regular expressions cannot be.
func hashing(form Normalise, blocked *blocklist, patterns []*Pattern) Normalise {
	for _, word := range hashedPlaceholders {
		blocked.addLiteral(string(appendSHA256(nil, []byte(word))))
	}
	for _, p := range patterns {
		if p.glob || p.regular != nil {
			continue
		}
		if canonical, ok := form(nil, []byte(p.text)); ok {
			blocked.addLiteral(string(appendSHA256(nil, canonical)))
		}
	}
	return func(dst, value []byte) ([]byte, bool) {
		if digest := trimSpace(value); isSHA256(digest) {
			return appendLower(dst, digest), true
		}
		out, ok := form(dst, value)
		if !ok || blocked.holds(out[len(dst):]) {
			return dst, false
		}
		sum := sha256.Sum256(out[len(dst):])
		return hex.AppendEncode(out[:len(dst)], sum[:]), true
	}
}

func appendSHA256(dst, value []byte) []byte {
	sum := sha256.Sum256(value)
	return hex.AppendEncode(dst, sum[:])
}

func isSHA256(value []byte) bool {
	if len(value) != hex.EncodedLen(sha256.Size) {
		return false
	}
	for _, c := range value {
		if c = lowerASCII(c); (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
