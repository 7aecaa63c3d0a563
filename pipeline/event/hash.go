package event

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// The second half of a message id's hash has its own seed, so that the two are independent. Any number but 0 would do.
const secondSeed = 0x9e3779b97f4a7c15

// hashID is xxhash64 with seed 0 and with secondSeed. It is never zero, which stands for no id.
func hashID(id []byte) [2]uint64 {
	var h [2]uint64
	if len(id) < 32 {
		h = shortHashes(id)
	} else {
		h = [2]uint64{xxhash.Sum64(id), seededHash(secondSeed, id)}
	}
	if h == [2]uint64{} {
		h[1] = 1
	}
	return h
}

// The primes of xxhash64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
const (
	prime1 = 0x9e3779b185ebca87
	prime2 = 0xc2b2ae3d27d4eb4f
	prime3 = 0x165667b19e3779f9
	prime4 = 0x85ebca77c2b2ae63
	prime5 = 0x27d4eb2f165667c5
)

// seededHash is xxhash64 with a seed. The library has that for streams only, where setting one up costs more than hashing
// a message id.
func seededHash(seed uint64, b []byte) uint64 {
	h := seed + prime5
	size := uint64(len(b))
	if len(b) >= 32 {
		v1, v2, v3, v4 := seed+prime1, seed+prime2, seed, seed
		v1 += prime2
		v4 -= prime1
		for ; len(b) >= 32; b = b[32:] {
			v1, v2 = lane(v1, le64(b)), lane(v2, le64(b[8:]))
			v3, v4 = lane(v3, le64(b[16:])), lane(v4, le64(b[24:]))
		}
		h = bits.RotateLeft64(v1, 1) + bits.RotateLeft64(v2, 7) + bits.RotateLeft64(v3, 12) + bits.RotateLeft64(v4, 18)
		for _, v := range [...]uint64{v1, v2, v3, v4} {
			h = (h^lane(0, v))*prime1 + prime4
		}
	}
	h += size
	for ; len(b) >= 8; b = b[8:] {
		h = bits.RotateLeft64(h^lane(0, le64(b)), 27)*prime1 + prime4
	}
	if len(b) >= 4 {
		h = bits.RotateLeft64(h^uint64(le32(b))*prime1, 23)*prime2 + prime3
		b = b[4:]
	}
	for _, c := range b {
		h = bits.RotateLeft64(h^uint64(c)*prime5, 11) * prime1
	}
	return avalanche(h)
}

// shortHashes is xxhash64 of fewer than 32 bytes with seed 0 and with secondSeed: what is done to the input is the same for both.
func shortHashes(b []byte) [2]uint64 {
	x := prime5 + uint64(len(b))
	y := x + secondSeed
	for ; len(b) >= 8; b = b[8:] {
		k := lane(0, le64(b))
		x, y = bits.RotateLeft64(x^k, 27)*prime1+prime4, bits.RotateLeft64(y^k, 27)*prime1+prime4
	}
	if len(b) >= 4 {
		k := uint64(le32(b)) * prime1
		x, y = bits.RotateLeft64(x^k, 23)*prime2+prime3, bits.RotateLeft64(y^k, 23)*prime2+prime3
		b = b[4:]
	}
	for _, c := range b {
		k := uint64(c) * prime5
		x, y = bits.RotateLeft64(x^k, 11)*prime1, bits.RotateLeft64(y^k, 11)*prime1
	}
	return [2]uint64{avalanche(x), avalanche(y)}
}

func avalanche(h uint64) uint64 {
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}

func lane(acc, word uint64) uint64 {
	return bits.RotateLeft64(acc+word*prime2, 31) * prime1
}
