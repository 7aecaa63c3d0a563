package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A log of which nobody knows whose it is belongs to no new node: that one would not be let in to the groups in it, and answer for nobody.
func TestLostIdentity(t *testing.T) {
	s := testSettings(t, t.TempDir())
	n, err := Open(testContext(t), s, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	closeNode(t, n)
	path := filepath.Join(s.Data, "dashi.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string) {
		t.Helper()
		n, err := Open(testContext(t), s, testOptions())
		if err == nil {
			closeNode(t, n)
			t.Errorf("%s: opened", what)
		} else if !strings.Contains(err.Error(), "dashi.json") || !strings.Contains(err.Error(), lostIdentity) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refused("gone")
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	refused("cut off")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	openNode(t, s)
}
