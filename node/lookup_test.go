package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/event/track"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

const blockingRecipe = `
recipe: blocking
identity:
  namespaces:
    - {name: user_id, from: userId}
    - {name: email, from: traits.email, normalise: email, blocked: ["*@test.com"]}
attributes:
  visits: {kind: count, on: Visit}
`

// Who asks for an identifier that a rule makes nobody's is told which, whoever answers.
func TestLookupSaysWhyNobody(t *testing.T) {
	s := testSettings(t, t.TempDir())
	n, err := Open(testContext(t), s, Options{Recipes: []recipe.Source{{Name: "blocking.yml", Text: []byte(blockingRecipe)}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	var messages []httpapi.Message
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for i := range identity.MaxPartners + 1 {
		user := fmt.Sprint("user_id:u", i)
		messages = append(messages, httpapi.Message{Key: []byte(user), Value: track.Message(fmt.Sprint("m", i), "Visit", at, nil, user, "email:desk@shop.example")})
	}
	if err := (httpBackend{n}).Produce(testContext(t), messages); err != nil {
		t.Fatal(err)
	}
	waitIdle(t, n)
	for _, level := range []readLevel{readLocal, readLinearizable} {
		ctx := context.WithValue(testContext(t), readingKey{}, &reading{level: level})
		f := func(namespace, value string, wantFound bool, why string) {
			t.Helper()
			found, err := n.Lookup(ctx, []byte(namespace), []byte(value), func(*shard.View) {})
			switch {
			case found != wantFound, why == "" && err != nil:
				t.Errorf("%s: %s:%s: %v, %v", level, namespace, value, found, err)
			case why != "" && (!errors.Is(err, httpapi.ErrNobody) || !strings.Contains(err.Error(), why)):
				t.Errorf("%s: %s:%s: %v, want %s", level, namespace, value, err, why)
			}
		}
		f("user_id", "u1", true, "")
		f("user_id", "nope", false, "")
		f("email", "ada@example.com", false, "")
		f("email", "test@test.com", false, `the recipe blocks it, by "*@test.com"`)
		f("email", "null", false, "it is always blocked")
		f("email", "ada", false, "it is no value of the form email")
		f("emial", "ada@example.com", false, `no namespace "emial"`)
		f("email", "desk@shop.example", false, "it was seen with more than 64 values of one namespace")
	}
	var answers []bool
	ids := []httpapi.Identifier{{Namespace: []byte("email"), Value: []byte("null")}, {Namespace: []byte("user_id"), Value: []byte("u1")}}
	if err := (httpBackend{n}).LookupAll(testContext(t), ids, func(v *shard.View) { answers = append(answers, v != nil) }); err != nil || fmt.Sprint(answers) != "[false true]" {
		t.Errorf("many: %v, %v", answers, err)
	}
}

// Where an identifier was led by somebody who was erased meanwhile, nobody knows it: it is looked for from its home again.
func TestLookupByWayOfSomebodyErased(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	visit(t, n, "first", 1, "a note")
	waitIdle(t, n)
	w, ok := n.wanted([]byte("user_id"), []byte("u0"))
	if !ok {
		t.Fatal("user_id:u0 cannot be looked for")
	}
	gone := []byte("gone")
	w.via = shard.Place{Known: true, Namespace: "user_id", Value: gone, Hash: identity.Hash("user_id", gone)}
	n.fetch(testContext(t), readLinearizable, []*want{w})
	if found, err := n.show(w, func(*shard.View) {}); !found || err != nil {
		t.Errorf("found is %v, error %v", found, err)
	}
}
