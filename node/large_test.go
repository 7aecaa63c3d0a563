package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"dashi/node/httpapi"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
)

// Somebody whose profile takes more than a call between nodes turns out to be somebody of another shard, on another node: it moves there, and every node finds it.
func TestLargeProfileMoves(t *testing.T) {
	const sets, items = 5, 2000
	c := newCluster(t, 2)
	text := linkedRecipe("user_id", "email")
	attributes, fields := "attributes:\n", "fields: {"
	for i := range sets {
		attributes += fmt.Sprintf("  items%d: {kind: set, limit: %d, add: {on: Visit, value: properties.item%d}}\n", i, items, i)
		fields += fmt.Sprintf("properties.item%d: string, ", i)
	}
	text = strings.Replace(text, "attributes:\n", attributes, 1) + fields + "}\n"
	c.options = func(i int) Options {
		o := clusterOptions(t, i)
		o.Recipes = []recipe.Source{{Name: "visits.yml", Text: []byte(text)}}
		return o
	}
	for i := range c.settings {
		c.settings[i].Replicas = 1
	}
	c.openAll()
	n := c.nodes[0]
	where := func(id string) string {
		return n.directory.State().Shards[n.home(identity.Hash("user_id", []byte(id)))].Replicas[0].Member
	}
	pair := []string{"u0", "u1"}
	for i := 2; where(pair[0]) == where(pair[1]); i++ {
		pair[1] = fmt.Sprint("u", i)
	}
	slices.SortFunc(pair, func(a, b string) int { // the second one moves to the first
		if identity.Hash("user_id", []byte(a)) < identity.Hash("user_id", []byte(b)) {
			return -1
		}
		return 1
	})
	send := func(messages ...httpapi.Message) {
		t.Helper()
		if err := (httpBackend{n}).Produce(testContext(t), messages); err != nil {
			t.Fatal(err)
		}
	}
	event := func(user, rest string) httpapi.Message {
		return httpapi.Message{Key: []byte(user), Value: fmt.Appendf(nil, `{"type":"track","event":"Visit","userId":%q,"timestamp":"2026-03-01T10:00:00Z",%s}`, user, rest)}
	}
	for from := 0; from < items; from += 500 {
		var messages []httpapi.Message
		for i := range 500 {
			var properties []string
			for k := range sets {
				properties = append(properties, fmt.Sprintf(`"item%d":"%05d%s"`, k, from+i, strings.Repeat("x", 500)))
			}
			messages = append(messages, event(pair[1], `"properties":{`+strings.Join(properties, ",")+"}"))
		}
		send(messages...)
	}
	check := func(id string, visits int) {
		t.Helper()
		waitIdle(t, n)
		for i, n := range c.nodes {
			p := profileOf(n, id)
			if !strings.Contains(p, fmt.Sprintf(`"visits":%d`, visits)) || len(p) < 500*sets*items || !strings.Contains(p, fmt.Sprintf(`"%05dxx`, items-1)) {
				t.Errorf("node %d: a profile of %d bytes: %.300s", i+1, len(p), p)
			}
		}
	}
	check(pair[1], items)
	send(event(pair[0], `"traits":{"email":"e@x.example"}`), event(pair[1], `"traits":{"email":"e@x.example"}`))
	check(pair[0], items+2)
	check(pair[1], items+2)
}
