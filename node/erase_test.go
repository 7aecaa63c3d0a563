package node

import (
	"errors"
	"strings"
	"testing"

	"dashi/node/httpapi"
)

// What is longer than an identifier of an event can be is refused, in words, before a shard keeps it for good.
func TestLongIdentifiersAreRefused(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	most, long := "user_id:"+strings.Repeat("x", 256), "user_id:"+strings.Repeat("x", 257)
	f := func(what string, err error, refused bool) {
		t.Helper()
		if errors.Is(err, httpapi.ErrIdentifier) != refused || !refused && err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	f("unlink", n.Unlink(testContext(t), "user_id:a", most), false)
	f("unlink long", n.Unlink(testContext(t), "user_id:a", long), true)
	f("unlink long", n.Unlink(testContext(t), long, "user_id:a"), true)
	_, err := n.Erase(testContext(t), most)
	f("erase", err, false)
	_, err = n.Erase(testContext(t), long)
	f("erase long", err, true)
}
