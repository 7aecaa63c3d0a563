//go:build !race

package node

import (
	"fmt"
	"testing"

	"dashi/node/resp"
	"dashi/shard"
)

// What a RESP look-up costs the node: reading ahead and finding allocate nothing.
func TestLookupsDoNotAllocate(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	const people = 64
	visit(t, n, "first", people, "a note")
	waitIdle(t, n)
	var keys [][]byte
	for i := range people {
		keys = append(keys, fmt.Appendf(nil, "user_id:u%d", i))
	}
	b, at, out := respBackend{n}, n.now(), make([]byte, 0, 1<<10)
	namespace, value := []byte("user_id"), len("user_id:")
	seen := func(v *shard.View) {
		for i := range v.Fields() {
			out, _ = v.AppendField(out, i)
		}
		v.In(0)
	}
	if allocs := testing.AllocsPerRun(100, func() {
		b.Touch(keys)
		for _, key := range keys {
			out = out[:0]
			if b.Lookup(namespace, key[value:], at, seen) != resp.Found || string(out) != "1a note" {
				t.Fatalf("%s: %q", key, out)
			}
		}
	}); allocs > 1 { // the pools of scratch space are emptied by a garbage collection now and then
		t.Errorf("%g allocations for %d look-ups", allocs, people)
	}
}
