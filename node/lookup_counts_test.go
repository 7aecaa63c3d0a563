package node

import (
	"encoding/json"
	"net/http"
	"reflect"
	"testing"

	"dashi/node/httpapi"
)

// What is counted of audiences is there over HTTP, and still after a restart.
func TestAudienceStats(t *testing.T) {
	const people = 20
	s := testSettings(t, t.TempDir())
	n, err := Open(testContext(t), s, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	for _, round := range []string{"a", "b", "c"} {
		visit(t, n, round, people, "")
	}
	visit(t, n, "d", 5, "")
	waitIdle(t, n)
	ask := func(n *Node, name string) (st httpapi.AudienceStats, status int) {
		t.Helper()
		answer, err := http.Get("http://" + n.HTTPAddr() + "/v1/audiences/" + name + "/stats")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if err := json.NewDecoder(answer.Body).Decode(&st); err != nil {
			t.Fatal(err)
		}
		return st, answer.StatusCode
	}
	before, _ := ask(n, "regulars")
	entered, left := int64(0), int64(0)
	for _, h := range before.Hours {
		entered, left = entered+h.Entered, left+h.Left
	}
	if before.Audience != "regulars" || before.Size != people || entered != people || left != 0 || before.Hours[len(before.Hours)-1].Size != people {
		t.Errorf("%+v", before)
	}
	if moved, err := (httpBackend{n}).Moved(testContext(t)); err != nil || len(moved) != 1 || moved[0] != (httpapi.Moved{Entered: people}) {
		t.Errorf("moved %+v, %v", moved, err)
	}
	if _, status := ask(n, "nobody"); status != http.StatusNotFound {
		t.Errorf("an unknown audience: %d", status)
	}
	closeNode(t, n)
	n, err = Open(testContext(t), s, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer closeNode(t, n)
	waitIdle(t, n)
	after, _ := ask(n, "regulars")
	after.Hours = after.Hours[:min(len(after.Hours), len(before.Hours))] // an hour may have begun
	if !reflect.DeepEqual(after, before) {
		t.Errorf("after a restart\n got %+v\nwant %+v", after, before)
	}
}
