package node

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/deploy"
	"dashi/node/httpapi"
	"dashi/pipeline/kafka"
	"dashi/pipeline/recipe"
)

var update = flag.Bool("update", false, "write the golden files")

// eighteenEnd is where the clock of TestEighteen stops.
var eighteenEnd = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

// companiesRest is when all events of companies and their people have happened: what follows comes of the clock.
var companiesRest = time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)

// storyMessage makes a Segment message of a line of a story: when | who | what | body | consent.
func storyMessage(t *testing.T, line string, serial int) httpapi.Message {
	t.Helper()
	part := strings.Split(line, "|")
	if len(part) != 5 {
		t.Fatalf("%q has %d parts", line, len(part))
	}
	for i := range part {
		part[i] = strings.TrimSpace(part[i])
	}
	m := map[string]any{"type": "track", "event": part[2], "timestamp": part[0], "messageId": fmt.Sprint("m", serial), "properties": json.RawMessage(part[3])}
	if part[2] == "identify" || part[2] == "page" || part[2] == "group" {
		m["type"] = part[2]
		delete(m, "event")
	}
	if part[2] == "identify" || part[2] == "group" {
		m["traits"] = json.RawMessage(part[3])
		delete(m, "properties")
	}
	context := map[string]any{}
	if part[4] != "" {
		context["consent"] = map[string]any{"categoryPreferences": json.RawMessage(part[4])}
	}
	for who := range strings.SplitSeq(part[1], ",") {
		namespace, value, _ := strings.Cut(who, ":")
		switch namespace {
		case "user_id":
			m["userId"] = value
		case "anonymous_id":
			m["anonymousId"] = value
		case "account":
			m["groupId"] = value
		case "phone":
			context["traits"] = map[string]any{"phone": value}
		default:
			t.Fatalf("who is %q", who)
		}
	}
	m["context"] = context
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	person, _, _ := strings.Cut(part[1], ",account:") // what somebody does stays in order, also what names a company
	return httpapi.Message{Key: []byte(person), Value: text}
}

// tellStory sends the lines of a story, to one node after the other, and waits until all has come of it by eighteenEnd.
func tellStory(t *testing.T, nodes []*Node, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var last httpapi.Message
	for serial, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case line == "wait":
			waitAllIdle(t, nodes)
			continue
		case line != "again":
			last = storyMessage(t, line, serial)
		}
		if err := (httpBackend{nodes[serial%len(nodes)]}).Produce(testContext(t), []httpapi.Message{last}); err != nil {
			t.Fatal(err)
		}
	}
	waitAllIdle(t, nodes)
	if _, err := nodes[0].SetClock(true, eighteenEnd.UnixMilli()); err != nil {
		t.Fatal(err)
	}
	waitAllIdle(t, nodes)
}

func waitAllIdle(t *testing.T, nodes []*Node) {
	t.Helper()
	for _, n := range nodes {
		waitIdle(t, n)
	}
}

// heardActivation is what a golden line is made of: not the id and the cookbook, which change with every word of a recipe.
type heardActivation struct {
	Profile, Activation, Transition string
	Sequence                        int
	At                              time.Time
	Attributes                      json.RawMessage
}

// when is the instant at which an activation left. The clock of event times is moved to the end at once, and the shards of a company's people
// work that off at the same time: whose change is heard of first is not said.
func (a *heardActivation) when() string {
	if strings.HasPrefix(a.Profile, "account:") && a.At.After(companiesRest) {
		return "later"
	}
	return a.At.Format("2006-01-02T15:04:05.000Z")
}

// consumed reads as many activations as were made, as any consumer of the topic does, by profile and sequence.
func consumed(t *testing.T, n *Node) string {
	t.Helper()
	want := int(n.Status(false).Activations.Made)
	var all []heardActivation
	enough := errors.New("enough")
	err := kafka.Tail(testContext(t), n.KafkaSettings(), n.settings.Kafka.Activations, kafka.TailFrom{Start: true}, func(_ int32, r *kafka.Record) error {
		var a heardActivation
		if err := json.Unmarshal(r.Value, &a); err != nil {
			return err
		}
		if all = append(all, a); len(all) == want {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("%d of %d activations: %v", len(all), want, err)
	}
	slices.SortStableFunc(all, func(a, b heardActivation) int {
		return cmp.Or(strings.Compare(a.Profile, b.Profile), cmp.Compare(a.Sequence, b.Sequence))
	})
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "%s %s %s %s %s\n", a.Profile, a.when(), a.Transition, a.Activation, a.Attributes)
	}
	return b.String()
}

// eighteenSources are the recipes that come with dashi.
func eighteenSources(t *testing.T) (sources []recipe.Source) {
	t.Helper()
	files, err := deploy.Recipes()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		sources = append(sources, recipe.Source{Name: f.Name, Text: f.Text})
	}
	return sources
}

// The eighteen recipes through Kafka: events in, activations out, with the instants at which they leave.
func TestEighteen(t *testing.T) {
	settings := testSettings(t, t.TempDir())
	settings.Clock = "event"
	n, err := Open(testContext(t), settings, Options{Recipes: eighteenSources(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer closeNode(t, n)
	tellStory(t, []*Node{n}, "testdata/eighteen.story")
	got := consumed(t, n)
	if *update {
		if err := os.WriteFile("testdata/eighteen.golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compareEighteen(t, got)
}

// The same on three nodes, each of which is sent a third of the messages: shards talk over the network, replicas are equal.
func TestEighteenOnThree(t *testing.T) {
	c := newCluster(t, 3)
	c.options = func(i int) Options {
		o := clusterOptions(t, i)
		o.Recipes = eighteenSources(t)
		return o
	}
	for i := range c.settings {
		c.settings[i].Clock = "event"
	}
	c.openAll()
	until(t, "several nodes lead shards", func() bool {
		leads := 0
		for _, node := range c.nodes[0].Status(false).Nodes {
			leads += min(node.Leads, 1)
		}
		return leads > 1
	})
	tellStory(t, c.nodes, "testdata/eighteen.story")
	c.same()
	compareEighteen(t, consumed(t, c.nodes[1]))
}

func compareEighteen(t *testing.T, got string) {
	t.Helper()
	want, err := os.ReadFile("testdata/eighteen.golden")
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			t.Fatalf("line %d of %d, %d\n got %s\nwant %s", i+1, len(a), len(b), a[min(i, len(a)-1)], b[min(i, len(b)-1)])
		}
	}
}
