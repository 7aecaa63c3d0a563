package features

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
)

const testRecipe = `
recipe: features
attributes:
  orders: {kind: count, on: Order Completed}
  spent: {kind: sum, on: Order Completed, value: properties.total}
  today: {kind: count, on: Order Completed, window: this day}
  plan: {kind: last, on: identify, value: traits.plan}
  big: {kind: derived, value: spent > 100}
  seen: {kind: set, add: {on: Order Completed, value: properties.order_id}}
`

// happened is an event of a story, as naive code sees it.
type happened struct {
	at    int64
	who   []string // user_id, anonymous_id; "" for none
	total int      // of an order
	plan  string   // of an identify
}

// tell makes a story of people who order, change their plans and log in, out of order and with repeats.
func tell(r *rand.Rand) (all []happened) {
	used := map[int64]bool{}
	for range 300 {
		at := r.Int64N(20 * 24 * 3600)
		if used[at] {
			continue
		}
		used[at] = true
		n := r.IntN(6)
		e := happened{at: at * 1000, who: []string{fmt.Sprint("u", n), ""}}
		switch r.IntN(4) {
		case 0: // not logged in
			e.who = []string{"", fmt.Sprint("a", n)}
		case 1: // logged in, at the same device
			e.who[1] = fmt.Sprint("a", n)
		}
		if r.IntN(3) == 0 {
			e.plan = fmt.Sprint("plan", r.IntN(9))
		} else {
			e.total = 1 + r.IntN(50)
		}
		all = append(all, e)
	}
	return all
}

func message(e *happened, id int) string {
	m := fmt.Sprintf(`{"timestamp":%q,"messageId":"m%d"`, time.UnixMilli(e.at).UTC().Format(time.RFC3339), id)
	if e.who[0] != "" {
		m += fmt.Sprintf(`,"userId":%q`, e.who[0])
	}
	if e.who[1] != "" {
		m += fmt.Sprintf(`,"anonymousId":%q`, e.who[1])
	}
	if e.plan != "" {
		return m + fmt.Sprintf(`,"type":"identify","traits":{"plan":%q}}`, e.plan)
	}
	return m + fmt.Sprintf(`,"type":"track","event":"Order Completed","properties":{"total":%d,"order_id":"o%d"}}`, e.total, id)
}

func add(t *testing.T, r *Replay, p *recipe.Program, messages ...string) {
	t.Helper()
	d := event.NewDecoder(p.Schema, event.DefaultLimits)
	var e event.Event
	for _, m := range messages {
		if err := d.Decode([]byte(m), time.Now().UnixMilli(), &e); err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		if err := r.Add(&e); err != nil {
			t.Fatal(err)
		}
	}
}

func compile(t *testing.T, text string) *recipe.Program {
	t.Helper()
	p, found := recipe.Compile([]recipe.Source{{Name: "f.yml", Text: []byte(text)}})
	if p == nil {
		t.Fatal(found)
	}
	return p
}

// naive is the row of a person as of an instant, made of nothing but the events before it; without limit, also of those after it.
func naive(all []happened, who string, at int64, limit bool) (row string, known bool) {
	people := map[string]bool{who: true}
	for range 2 { // who is linked with whom by then
		for _, e := range all {
			if (e.at < at || !limit) && (people[e.who[0]] || people[e.who[1]]) && e.who[0] != "" && e.who[1] != "" {
				people[e.who[0]], people[e.who[1]] = true, true
			}
		}
	}
	orders, spent, today, plan, planAt := 0, 0, 0, "", int64(-1)
	for _, e := range all {
		if e.at >= at && limit || !people[e.who[0]] && !people[e.who[1]] {
			continue
		}
		known = true
		if e.plan != "" && e.at > planAt {
			plan, planAt = e.plan, e.at
		}
		if e.plan == "" {
			orders++
			spent += e.total
			if e.at/86400000 == at/86400000 {
				today++
			}
		}
	}
	number := func(n int, any bool) string {
		if !any {
			return ""
		}
		return strconv.Itoa(n)
	}
	big := ""
	if orders > 0 {
		big = strconv.FormatBool(spent > 100)
	}
	return strings.Join([]string{number(orders, orders > 0), number(spent, orders > 0), number(today, orders > 0), plan, big}, ","), known
}

// I1, I2: a row is what naive code makes of the events before its instant, in whatever order these are read.
func TestRowsAgainstNaiveCode(t *testing.T) {
	p := compile(t, testRecipe)
	columns, err := Columns(p, nil)
	if err != nil || len(columns) != 5 {
		t.Fatalf("%v, %v", columns, err)
	}
	futures := 0
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 1))
		all := tell(random)
		r := New(p, columns)
		for i := range all {
			add(t, r, p, message(&all[i], i))
			if i%7 == 0 { // delivered twice
				add(t, r, p, message(&all[i], i))
			}
		}
		type asked struct {
			who string
			at  int64
		}
		var labels []asked
		for range 200 {
			l := asked{fmt.Sprint("user_id:u", random.IntN(7)), random.Int64N(21*24*3600) * 1000}
			if random.IntN(4) == 0 {
				l.who = strings.Replace(l.who, "user_id:u", "anonymous_id:a", 1)
			}
			if random.IntN(3) == 0 { // at the very instant of an event
				l.at = all[random.IntN(len(all))].at
			}
			labels = append(labels, l)
			if err := r.Label(l.who, l.at, "x"); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortStableFunc(labels, func(a, b asked) int { return int(a.at - b.at) })
		next, strange := 0, 0
		want := func() (asked, string) {
			for ; ; next++ {
				if row, known := naive(all, labels[next].who[strings.Index(labels[next].who, ":")+1:], labels[next].at, true); known {
					return labels[next], row
				}
				strange++
			}
		}
		summary, err := r.Run(context.Background(), func(row *Row) error {
			l, want := want()
			next++
			if got := strings.Join(row.Cells, ","); row.Who != l.who || row.At != l.at || row.Label != "x" || got != want {
				t.Errorf("seed %d: %s as of %d: %s; want %s as of %d: %s", seed, row.Who, row.At, got, l.who, l.at, want)
			}
			if later, _ := naive(all, l.who[strings.Index(l.who, ":")+1:], l.at, false); later != want {
				futures++
			}
			return nil
		})
		if err != nil || summary.Rows+summary.Strange != len(labels) || summary.Rows < 100 {
			t.Errorf("seed %d: %+v, %v", seed, summary, err)
		}
	}
	if futures < 500 {
		t.Errorf("only %d rows would differ if they knew the future: the test shows nothing", futures)
	}
}

// Every step makes a row of everybody, and its label knows what comes within the horizon, also under another identifier that is linked by then.
func TestEvery(t *testing.T) {
	p := compile(t, testRecipe)
	columns, err := Columns(p, []string{"plan", "orders"})
	if err != nil {
		t.Fatal(err)
	}
	r := New(p, columns)
	const day = 24 * 3600 * 1000
	r.Every(day, 2*day, "Order Completed")
	hours := func(h int64) int64 { return h * 3600 * 1000 }
	add(t, r, p,
		message(&happened{at: hours(1), who: []string{"", "a"}, plan: "free"}, 1),
		message(&happened{at: hours(30), who: []string{"u", "a"}, plan: "paid"}, 2),
		message(&happened{at: hours(71), who: []string{"u", ""}, total: 5}, 3), // an hour before day 3
		message(&happened{at: hours(80), who: []string{"b", ""}, plan: "free"}, 4),
		message(&happened{at: hours(144), who: []string{"b", ""}, total: 5}, 5))
	var got []string
	summary, err := r.Run(context.Background(), func(row *Row) error {
		got = append(got, fmt.Sprint(row.At/day, " ", row.Who, " ", strings.Join(row.Cells, ","), " ", row.Label))
		return nil
	})
	want := []string{
		"1 anonymous_id:a free, true",
		"2 user_id:u paid, true",
		"3 user_id:u paid,1 false",
		"4 user_id:u paid,1 false", "4 user_id:b free, false", // 144 is two days after: no more within
	}
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) || summary.Positive != 2 {
		t.Errorf("%v, %+v\n got %q\nwant %q", err, summary, got, want)
	}
	r = New(p, columns)
	r.Every(day, 30*day, "Order Completed")
	add(t, r, p, message(&happened{at: hours(1), who: []string{"u", ""}, total: 1}, 1))
	if _, err := r.Run(context.Background(), func(*Row) error { return nil }); err == nil {
		t.Error("a history that is too short is no error")
	}
}

func TestColumnsAndLabelsAreChecked(t *testing.T) {
	p := compile(t, testRecipe)
	f := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_, err := Columns(p, []string{"seen"})
	f(err, `no attribute "seen" that is a number`)
	_, err = InputsOf(p, "orders")
	f(err, `no score "orders"`)
	_, err = Columns(compile(t, "recipe: empty\n"), nil)
	f(err, "no attributes")
	r := New(p, nil)
	f(r.Label("nobody", 0, ""), "write NAMESPACE:VALUE")
	f(r.Label("email:x", 0, ""), "nobody's identifier")
}
