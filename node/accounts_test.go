package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/node/httpapi"
	"dashi/node/settings"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

const companyRecipe = `
recipe: companies
attributes:
  orders: {kind: count, on: Order Completed}
  spent: {kind: sum, on: Order Completed, value: properties.total}
  works_at: {kind: set, add: {on: group, value: groupId}}
audiences:
  buyers: {when: orders >= 2, emit: none}
accounts:
  member_of: works_at
  attributes:
    plan: {kind: last, on: group, value: traits.plan}
    revenue: {kind: derived, value: people.sum(spent)}
  audiences:
    good: people.count(buyers) >= 2
`

// Another cookbook asks people for more.
const companyRecipe2 = companyRecipe + `    keen: people.max(orders) >= 3 && people.any(regulars)
`

const companies, companyPeople = 7, 40

func companyNode(t *testing.T, s settings.Settings, text string) *Node {
	t.Helper()
	text = strings.Replace(text, "audiences:\n", "audiences:\n  regulars: {when: orders >= 3, emit: none}\n", 1)
	n, err := Open(testContext(t), s, Options{Recipes: []recipe.Source{{Name: "companies.yml", Text: []byte(text)}}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// person i works at two companies, and orders i%4 times for i each.
func companyMessages(t *testing.T, n *Node) {
	t.Helper()
	var messages []httpapi.Message
	send := func(who string, text string) {
		messages = append(messages, httpapi.Message{Key: []byte(who), Value: []byte(text)})
	}
	for i := range companyPeople {
		who := fmt.Sprint("u", i)
		for _, k := range []int{i % companies, (i + 3) % companies} {
			send(who, fmt.Sprintf(`{"type":"group","messageId":"g%d-%d","userId":%q,"groupId":"c%d","timestamp":"2026-03-01T10:00:00Z","traits":{"plan":"p%d"}}`, i, k, who, k, k))
		}
		for k := range i % 4 {
			// Every other order is a visitor's, who signs in with the last message.
			id := fmt.Sprintf(`"userId":%q`, who)
			if k%2 == 1 {
				id = fmt.Sprintf(`"anonymousId":"a%d"`, i)
			}
			send(who, fmt.Sprintf(`{"type":"track","event":"Order Completed","messageId":"o%d-%d",%s,"timestamp":"2026-03-01T11:00:00Z","properties":{"total":%d}}`, i, k, id, i))
		}
		send(who, fmt.Sprintf(`{"type":"identify","messageId":"i%d","userId":%q,"anonymousId":"a%d","timestamp":"2026-03-01T12:00:00Z"}`, i, who, i))
	}
	if err := (httpBackend{n}).Produce(testContext(t), messages); err != nil {
		t.Fatal(err)
	}
}

// checkCompanies compares every company with its people, one by one.
func checkCompanies(t *testing.T, n *Node) {
	t.Helper()
	for k := range companies {
		var people []string
		buyers, revenue, most, known := 0, 0, 0, false
		for i := range companyPeople {
			if k != i%companies && k != (i+3)%companies {
				continue
			}
			people = append(people, fmt.Sprint("user_id:u", i))
			if i%4 >= 2 {
				buyers++
			}
			revenue, most, known = revenue+i*(i%4), max(most, i%4), known || i%4 > 0
		}
		var a struct {
			Attributes map[string]any
			Audiences  map[string]any
			People     struct{ First []string }
		}
		id := fmt.Sprint("c", k)
		if found, err := n.Lookup(t.Context(), []byte("account"), []byte(id), func(v *shard.View) {
			if err := json.Unmarshal(v.AppendJSON(nil), &a); err != nil {
				t.Fatal(err)
			}
		}); !found || err != nil {
			t.Fatalf("there is no account %s (%v)", id, err)
		}
		slices.Sort(people)
		slices.Sort(a.People.First)
		_, good := a.Audiences["good"]
		if !slices.Equal(people, a.People.First) || a.Attributes["revenue"] != float64(revenue) || a.Attributes["plan"] != fmt.Sprint("p", k) ||
			a.Attributes["people.count(buyers)"] != float64(buyers) || good != (buyers >= 2) {
			t.Errorf("account %s is %+v; want %v, %d buyers, %d", id, a, people, buyers, revenue)
		}
		if most, asked := a.Attributes["people.max(orders)"]; asked {
			if _, keen := a.Audiences["keen"]; most != float64(3) || !keen {
				t.Errorf("account %s: at most %v orders, keen %v", id, most, keen)
			}
		}
	}
}

// Accounts through Kafka, over shards, a restart and another cookbook, and by every door.
func TestAccounts(t *testing.T) {
	s := testSettings(t, t.TempDir())
	n := companyNode(t, s, companyRecipe)
	companyMessages(t, n)
	waitIdle(t, n)
	checkCompanies(t, n)
	askOfAccounts(t, n)
	closeNode(t, n)

	n = companyNode(t, s, companyRecipe)
	waitIdle(t, n)
	checkCompanies(t, n)
	closeNode(t, n)

	n = companyNode(t, s, companyRecipe2)
	defer closeNode(t, n)
	waitIdle(t, n)
	until(t, "accounts hear what the new cookbook asks for", func() bool { return sizeOf(n, audienceOf(t, n, "keen")) == companies })
	checkCompanies(t, n)
	for _, h := range n.shards {
		h.mu.RLock()
		if err := h.shard.Check(); err != nil {
			t.Error(err)
		}
		h.mu.RUnlock()
	}
}

// An account is erased: it is not known, its people and other accounts are, nothing old brings it back, and whoever joins it later is alone in it.
func TestEraseAccount(t *testing.T) {
	s := testSettings(t, t.TempDir())
	n := companyNode(t, s, companyRecipe)
	companyMessages(t, n)
	waitIdle(t, n)
	known := func(id string) (people []string) {
		t.Helper()
		var a struct{ People struct{ First []string } }
		if _, err := n.Lookup(t.Context(), []byte("account"), []byte(id), func(v *shard.View) {
			if err := json.Unmarshal(v.AppendJSON(nil), &a); err != nil {
				t.Fatal(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		return a.People.First
	}
	others := known("c3")
	r, err := http.NewRequest("DELETE", "http://"+n.HTTPAddr()+"/v1/profiles/account:c2", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var receipt httpapi.Receipt
	if err := json.NewDecoder(answer.Body).Decode(&receipt); err != nil || answer.StatusCode != 200 ||
		!receipt.Erased || receipt.Profile != "account:c2" || !slices.Equal(receipt.Identifiers, []string{"account:c2"}) || receipt.At.IsZero() {
		t.Fatalf("%s %v %+v", answer.Status, err, receipt)
	}
	waitIdle(t, n)
	if left := consumed(t, n); strings.Count(left, "account:c2 later erased erased") != 1 {
		t.Errorf("no activation says so: %s", left)
	}
	tell := func(id, who, kind string, at time.Time) {
		t.Helper()
		text := fmt.Sprintf(`{"type":"track","event":%q,"messageId":%q,"userId":%q,"groupId":"c2","timestamp":%q,"properties":{"total":5}}`, kind, id, who, at.UTC().Format(time.RFC3339Nano))
		if kind == "group" {
			text = strings.Replace(text, `"track","event":"group"`, `"group"`, 1)
		}
		if err := (httpBackend{n}).Produce(testContext(t), []httpapi.Message{{Key: []byte(who), Value: []byte(text)}}); err != nil {
			t.Fatal(err)
		}
		waitIdle(t, n)
	}
	tell("late", "u5", "group", receipt.At.Add(-time.Hour))
	tell("goes on", "u2", "Order Completed", receipt.At.Add(time.Millisecond))
	check := func(want []string) {
		t.Helper()
		if got := known("c2"); !slices.Equal(got, want) {
			t.Errorf("c2 has %v, want %v", got, want)
		}
		if got := known("c3"); !slices.Equal(got, others) {
			t.Errorf("c3 has %v, had %v", got, others)
		}
		for _, h := range n.shards {
			h.mu.RLock()
			if err := h.shard.Check(); err != nil {
				t.Error(err)
			}
			h.mu.RUnlock()
		}
	}
	check(nil)
	closeNode(t, n)
	n = companyNode(t, s, companyRecipe)
	waitIdle(t, n)
	check(nil)
	tell("anew", "u9", "group", receipt.At.Add(2*time.Millisecond))
	check([]string{"user_id:u9"})
	if found, err := n.Lookup(t.Context(), []byte("user_id"), []byte("u2"), func(*shard.View) {}); !found || err != nil {
		t.Errorf("its people stay: %v %v", found, err)
	}
	closeNode(t, n)
}

func audienceOf(t *testing.T, n *Node, name string) int {
	i, ok := n.AudienceIndex([]byte(name))
	if !ok {
		t.Fatalf("there is no audience %s", name)
	}
	return i
}

func askOfAccounts(t *testing.T, n *Node) {
	t.Helper()
	get := func(path, body string) string {
		t.Helper()
		method := "GET"
		if body != "" {
			method = "POST"
		}
		r, err := http.NewRequestWithContext(testContext(t), method, "http://"+n.HTTPAddr()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("%s: %s %v %s", path, answer.Status, err, text)
		}
		return string(text)
	}
	for path, want := range map[string]string{
		"/v1/profiles/account:c2":                       `"id":"account:c2"`,
		"/v1/profiles/account:c2/explain":               `"contributes":{"people.count(buyers)":`,
		"/v1/profiles/account:c2/explain?audience=good": `people.count(buyers) \u003e= 2`,
		"/v1/audiences":                                 `"of":"accounts"`,
		"/v1/audiences/good/members":                    `"id":"account:c2"`,
		"/metrics":                                      `dashi_accounts{shard="0"}`,
	} {
		if got := get(path, ""); !strings.Contains(got, want) && !strings.Contains(got, strings.ReplaceAll(want, `\u003e`, ">")) {
			t.Errorf("%s answers %s\nwithout %s", path, got, want)
		}
	}
	if got := get("/v1/query", `{"where":"revenue > 0 && good","of":"accounts"}`); !strings.Contains(got, `"count":7`) {
		t.Errorf("the query answers %s", got)
	}
	// Who asks people for what is known of accounts is told so, and the other way round.
	for _, q := range []struct {
		where    string
		accounts bool
		hint     string
	}{{"revenue > 0", false, "that is known of accounts: ask with --accounts"}, {"buyers", true, "that is known of people: leave out --accounts"}, {"nonsense > 0", false, ""}} {
		_, err := n.Query(testContext(t), httpapi.Query{Where: q.where, Accounts: q.accounts}, nil)
		var bad *httpapi.BadQuery
		if !errors.As(err, &bad) || !strings.HasPrefix(bad.Hint, q.hint) || strings.Contains(bad.Hint, "known of") != (q.hint != "") {
			t.Errorf("%s: %v", q.where, err)
		}
	}
	c, err := net.DialTimeout("tcp", n.RESPAddr(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for command, want := range map[string]string{
		"HGET account:c2 plan":               "$2\r\np2\r\n",
		"EXISTS account:c2 account:nobody":   ":1\r\n",
		"SISMEMBER audience:good account:c2": ":1\r\n",
		"SMEMBERS audiences:account:c2":      "*1\r\n$4\r\ngood\r\n",
		"SCARD audience:good":                ":7\r\n",
	} {
		if _, err := io.WriteString(c, command+"\r\n"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Errorf("%s answers %q, %v; want %q", command, got, err, want)
		}
	}
}
