package node

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"dashi/node/httpapi"
	"dashi/shard"
)

// With a clock of event times each shard has read history up to another instant. An account is erased as of the latest of them in all shards, not as of the time
// of day: of what is read later, what was said before is over everywhere, and what was said after it counts everywhere.
func TestEraseAccountByEvents(t *testing.T) {
	n := companyNode(t, testSettings(t, t.TempDir()), companyRecipe)
	defer closeNode(t, n)
	if _, err := n.SetClock(true, math.MinInt64); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2011, 3, 1, 12, 0, 0, 0, time.UTC)
	join := func(i, day int) {
		t.Helper()
		who := fmt.Sprint("u", i)
		value := fmt.Sprintf(`{"type":"group","userId":%q,"groupId":"c1","timestamp":%q}`, who, old.AddDate(0, 0, day).Format(time.RFC3339))
		if err := (httpBackend{n}).Produce(testContext(t), []httpapi.Message{{Key: []byte(who), Value: []byte(value)}}); err != nil {
			t.Fatal(err)
		}
	}
	account := func() (text string) {
		_, err := n.Lookup(t.Context(), []byte("account"), []byte("c1"), func(v *shard.View) { text = string(v.AppendJSON(nil)) })
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const people = 8
	for i := range people {
		join(i, i)
	}
	waitIdle(t, n)
	if at, err := (httpBackend{n}).Erase(testContext(t), "account:c1"); err != nil || time.Since(at) > time.Minute {
		t.Fatalf("erased at %v: %v", at, err)
	}
	for i := range 4 * people { // other people, whom only some shards would take
		join(100+i, people-2)
	}
	waitIdle(t, n)
	if p := account(); strings.Contains(p, "user_id") {
		t.Errorf("said before the erasure: %s", p)
	}
	for i := range 4 * people {
		join(200+i, people+1)
	}
	waitIdle(t, n)
	if p, want := account(), fmt.Sprintf(`"count":%d`, 4*people); !strings.Contains(p, want) {
		t.Errorf("said after the erasure: %s, want %s", p, want)
	}
}
