package ring

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// I1: these never change: state that was placed by them exists.
func TestShardGolden(t *testing.T) {
	f := func(hash uint64, shards, want int) {
		t.Helper()
		if got := Shard(hash, shards); got != want {
			t.Errorf("Shard(%#x, %d) = %d, want %d", hash, shards, got, want)
		}
	}
	f(0, 1, 0)
	f(math.MaxUint64, 1, 0)
	f(0, 16, 0)
	f(1<<60-1, 16, 0)
	f(1<<60, 16, 1)
	f(0x8000000000000000, 16, 8)
	f(math.MaxUint64, 16, 15)
	f(0xdeadbeefcafef00d, 64, 55)
	f(0x123456789abcdef0, 7, 0)
	f(0xfedcba9876543210, 7, 6)
}

func TestShardIsMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4096).Draw(t, "shards")
		a, b := rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b")
		if a > b {
			a, b = b, a
		}
		x, y := Shard(a, n), Shard(b, n)
		if x < 0 || y >= n || x > y {
			t.Fatalf("Shard(%#x)=%d, Shard(%#x)=%d of %d", a, x, b, y, n)
		}
	})
}
