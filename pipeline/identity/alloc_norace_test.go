//go:build !race

package identity

import "testing"

// I3, of what regexp does: it keeps its scratch space in a pool, from which the race detector takes at random.
func TestPatternsDoNotAllocate(t *testing.T) {
	hashed, err := Normaliser("email", SHA256(), Block(pattern(t, "*@test.example"), pattern(t, `/^\d+@/`)))
	if err != nil {
		t.Fatal(err)
	}
	dst, value := make([]byte, 0, 400), []byte("Ada@Example.com")
	if n := testing.AllocsPerRun(100, func() { hashed(dst, value) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
