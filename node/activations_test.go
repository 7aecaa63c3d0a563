package node

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"dashi/node/httpapi"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
)

const letterRecipe = `
recipe: letters
attributes:
  works_at: {kind: set, add: {on: group, value: groupId}}
  orders: {kind: count, on: Order Completed}
audiences:
  buyers: {when: orders > 0, emit: none}
activations:
  thanks: {on: {enter: buyers}, description: A letter.}
  changed: {on: {change: orders}}
  offer: {on: {event: Visited}, goal: {on: Order Completed, within: 1h, hold_back: 50%}}
accounts:
  member_of: works_at
  audiences:
    buying: {when: people.any(buyers), emit: none}
  activations:
    call: {on: {enter: buying}}
    note: {on: {event: group}, goal: {on: Order Completed, within: 2h}}
`

// What activations have done is there over HTTP, of people and of accounts, with what it brought on either side; and still after a restart.
func TestActivationStats(t *testing.T) {
	const people = 40
	s := testSettings(t, t.TempDir())
	open := func() *Node {
		t.Helper()
		n, err := Open(testContext(t), s, Options{Recipes: []recipe.Source{{Name: "letters.yml", Text: []byte(letterRecipe)}}})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := open()
	tell := func(what string, ids string, some func(i int) bool) {
		t.Helper()
		var messages []httpapi.Message
		for i := range people {
			if some(i) {
				who := fmt.Sprint("u", i)
				messages = append(messages, httpapi.Message{Key: []byte(who), Value: fmt.Appendf(nil, `{%s,"messageId":"%s-%d","userId":%q,%s}`, what, what[len(what)-5:len(what)-1], i, who, ids)})
			}
		}
		if err := (httpBackend{n}).Produce(testContext(t), messages); err != nil {
			t.Fatal(err)
		}
		waitIdle(t, n)
	}
	everybody := func(int) bool { return true }
	tell(`"type":"group"`, `"groupId":"acme"`, everybody)
	tell(`"type":"track","event":"Visited"`, `"properties":{}`, everybody)
	tell(`"type":"track","event":"Order Completed"`, `"context":{"groupId":"acme"}`, func(i int) bool { return i%2 == 0 })
	get := func(path string, answer any) int {
		t.Helper()
		r, err := http.Get("http://" + n.HTTPAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if err := json.NewDecoder(r.Body).Decode(answer); err != nil {
			t.Fatal(err)
		}
		return r.StatusCode
	}
	var want httpapi.GoalStats
	goal := n.cookbook.Load().Activations[2].Goal()
	for i := range people {
		side := &want.Treated
		if goal.HoldsBack(identity.Hash("user_id", fmt.Appendf(nil, "u%d", i))) {
			side = &want.Control
		}
		side.Exposed++
		if i%2 == 0 {
			side.Converted++
		}
	}
	if want.Treated.Exposed == 0 || want.Control.Exposed == 0 {
		t.Fatal("all are on one side")
	}
	check := func() (all []httpapi.ActivationStats) {
		t.Helper()
		var list struct{ Activations []httpapi.ActivationStats }
		get("/v1/activations", &list)
		until(t, "the account hears of its people", func() bool {
			get("/v1/activations", &list)
			return list.Activations[3].Sent == 1
		})
		got := ""
		for _, a := range list.Activations {
			got += fmt.Sprintf("%s %s %s %s %d %d %d; ", a.Activation, a.On, a.About, a.Of, a.Sent, a.Sent24h, a.Entered)
		}
		if want := fmt.Sprintf("thanks enter buyers  20 20 20; changed change orders  20 20 0; offer event Visited  %d %d 0; call enter buying accounts 1 1 1; note event group accounts 40 40 0; ",
			want.Treated.Exposed, want.Treated.Exposed); got != want {
			t.Errorf("activations\n%s\nwant\n%s", got, want)
		}
		g := list.Activations[2].Goal
		if g.Treated.Exposed != want.Treated.Exposed || g.Treated.Converted != want.Treated.Converted || g.Control.Exposed != want.Control.Exposed || g.Control.Converted != want.Control.Converted ||
			g.Within != "1h" || g.HoldBack != 50 || g.Difference == nil || g.Difference.Low >= g.Difference.Value || g.Difference.Value >= g.Difference.High {
			t.Errorf("%+v, want %+v", g, want)
		}
		if g := list.Activations[4].Goal; g.Treated.Exposed != 1 || g.Treated.Converted != 1 || g.Control.Exposed != 0 || g.Difference != nil {
			t.Errorf("the goal of an account: %+v", g)
		}
		for _, a := range list.Activations {
			var one httpapi.ActivationStats
			get("/v1/activations/"+a.Activation+"/stats", &one)
			sent := int64(0)
			for _, h := range one.Hours {
				sent += h.Sent
			}
			if one.Hours = nil; sent != a.Sent || !reflect.DeepEqual(one, a) {
				t.Errorf("%s alone: %d by the hour, %+v, want %+v", a.Activation, sent, one, a)
			}
		}
		return list.Activations
	}
	before := check()
	r, err := http.Get("http://" + n.HTTPAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	metrics, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		fmt.Sprintf(`dashi_goal_people{activation="offer",group="treated",of="people",result="exposed"} %d`, want.Treated.Exposed),
		fmt.Sprintf(`dashi_goal_people{activation="offer",group="control",of="people",result="converted"} %d`, want.Control.Converted),
		`dashi_goal_people{activation="note",group="treated",of="accounts",result="converted"} 1`,
	} {
		if !strings.Contains(string(metrics), line+"\n") {
			t.Errorf("the metrics do not have %s", line)
		}
	}
	if strings.Contains(string(metrics), "dashi_log_entries_total 0\n") {
		t.Error("the metrics have no entries of the log")
	}
	var answer map[string]any
	if status := get("/v1/activations/nothing/stats", &answer); status != http.StatusNotFound {
		t.Errorf("an unknown one: %d %v", status, answer)
	}
	var audience httpapi.AudienceStats
	get("/v1/audiences/buying/stats", &audience)
	if a := audience.Activations; audience.Size != 1 || len(a) != 1 || a[0].Activation != "call" || a[0].Of != "accounts" || a[0].Sent != 1 || audience.Hours[0].Entered != 1 {
		t.Errorf("the audience of accounts: %+v", audience)
	}
	closeNode(t, n)
	n = open()
	defer func() { closeNode(t, n) }()
	waitIdle(t, n)
	if after := check(); !reflect.DeepEqual(after, before) {
		t.Errorf("after a restart\n got %+v\nwant %+v", after, before)
	}
}
