package ring

import "math/bits"

// Shard is the shard that owns a hash, out of shards equal ranges of the 64-bit hashes: shard i owns
// [i*2^64/shards, (i+1)*2^64/shards). The number of shards is fixed when a cluster is created, because
// every key that was ever placed depends on it. shards must be positive.
func Shard(hash uint64, shards int) int {
	hi, _ := bits.Mul64(hash, uint64(shards))
	return int(hi)
}
