package shard

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/zone"
)

// openData opens a file of real data that lies beside the repository, or skips the test.
func openData(t *testing.T, name string) io.Reader {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "shared", "data", name))
	if err != nil {
		t.Skipf("no %s beside the repository: %v", name, err)
	}
	t.Cleanup(func() { file.Close() })
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	return unzipped
}

// history is a shard that lives by event time and is fed messages.
type history struct {
	t       *testing.T
	s       *Shard
	decoder *event.Decoder
	offset  int64
}

func newHistory(t *testing.T, text string) *history {
	s := New(testSettings())
	t.Cleanup(s.Close)
	mustAccept(t, s.Apply(AppendClock(nil, 1, true, 0)))
	mustAccept(t, s.Apply(AppendCookbook(nil, 1, readInline("history.yml", text))))
	return &history{t: t, s: s, offset: -1, decoder: event.NewDecoder(s.program.Schema, event.DefaultLimits)}
}

// feed applies one message, and lets everything leave that it caused.
func (h *history) feed(message string, ms int64) {
	var e event.Event
	if err := h.decoder.Decode([]byte(message), ms, &e); err != nil {
		h.t.Fatalf("%v in %s", err, message)
	}
	var b Batch
	b.Begin(h.s.program.Hash, Stream{Topic: [16]byte{1}}, h.offset)
	h.offset++
	b.Add(h.offset, &e)
	mustAccept(h.t, h.s.Apply(b.Seal(h.offset, 1)))
	h.drain()
}

// until moves every profile to an instant.
func (h *history) until(ms int64) {
	mustAccept(h.t, h.s.Apply(AppendClock(nil, 1, true, ms)))
	for h.drain(); h.s.Stats().OutboxEntries > 0; h.drain() {
		mustAccept(h.t, h.s.Apply(AppendTick(nil, 1)))
	}
	if err := h.s.Check(); err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) drain() {
	mustAccept(h.t, h.s.Apply(AppendAck(nil, 1, h.s.Stats().OutboxNext)))
}

// members is the size of an audience.
func (h *history) members(name string) int {
	for i := range h.s.program.Audiences {
		if h.s.program.Audiences[i].Name == name {
			return int(h.s.members[i].GetCardinality())
		}
	}
	h.t.Fatalf("no audience %s", name)
	return 0
}

// retailOrders are the times of the orders in the Online Retail file, by customer: an invoice is one, cancellations are none.
func retailOrders(t *testing.T) (byCustomer map[string][]int64) {
	in := csv.NewReader(openData(t, "online_retail_evencust.csv.gz"))
	rows, err := in.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	london, err := zone.Load("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	byCustomer = map[string][]int64{}
	for _, r := range rows[1:] { // InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
		if r[6] == "" || strings.HasPrefix(r[0], "C") || seen[r[0]] {
			continue
		}
		seen[r[0]] = true
		at, err := time.ParseInLocation("2006-01-02T15:04:05", r[4], london.Location())
		if err != nil {
			t.Fatal(err)
		}
		byCustomer[r[6]] = append(byCustomer[r[6]], at.UnixMilli())
	}
	for _, times := range byCustomer {
		slices.Sort(times)
	}
	return byCustomer
}

const hourMs, dayMs = 3_600_000, 24 * 3_600_000

// The sizes of time-dependent audiences at the end of every month, over a year of real orders, are what naive code computes.
func TestRetailMonthEnds(t *testing.T) {
	byCustomer := retailOrders(t)
	h := newHistory(t, retailRecipe)
	naive := map[string]func(times []int64, now int64) bool{
		"recent": func(times []int64, now int64) bool { return now-times[len(times)-1] < 90*dayMs },
		"lapsed": func(times []int64, now int64) bool { return now-times[len(times)-1] >= 180*dayMs },
		"busy":   func(times []int64, now int64) bool { return len(times) >= 3 && now-times[len(times)-3] < 30*dayMs },
		"busy_hours": func(times []int64, now int64) bool {
			return since(times, func(at int64) bool { return now-at/hourMs*hourMs < 30*dayMs }) >= 3
		},
		"busy_days": func(times []int64, now int64) bool {
			return since(times, func(at int64) bool { return londonDay(at) > londonDay(now)-30 }) >= 3
		},
		"month": func(times []int64, now int64) bool {
			return since(times, func(at int64) bool { return londonMonth(at) == londonMonth(now) }) >= 2
		},
		"second_soon": func(times []int64, now int64) bool { return len(times) >= 2 && times[1]-times[0] <= 14*dayMs },
		"soon_again": func(times []int64, now int64) bool {
			for i := 1; i < len(times); i++ {
				if gap := times[i] - times[i-1]; gap > 0 && gap < 14*dayMs {
					return true
				}
			}
			return false
		},
	}
	type order struct {
		customer string
		at       int64
	}
	var all []order
	for customer, times := range byCustomer {
		for _, at := range times {
			all = append(all, order{customer, at})
		}
	}
	slices.SortFunc(all, func(a, b order) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return strings.Compare(a.customer, b.customer)
	})
	next, most := 0, map[string]int{}
	for month := time.January; month <= 16; month++ { // to April 2012, when most have lapsed
		end := time.Date(2011, month, 1, 0, 0, 0, 0, londonZone.Location()).UnixMilli() - 1
		for ; next < len(all) && all[next].at <= end; next++ {
			o := all[next]
			h.feed(fmt.Sprintf(`{"type":"track","event":"Order Completed","userId":%q,"timestamp":%q}`, o.customer, time.UnixMilli(o.at).UTC().Format(time.RFC3339)), o.at)
		}
		h.until(end)
		for name, holds := range naive {
			want := 0
			for _, times := range byCustomer {
				if n := since(times, func(at int64) bool { return at <= end }); n > 0 && holds(times[:n], end) {
					want++
				}
			}
			most[name] = max(most[name], want)
			if got := h.members(name); got != want {
				t.Errorf("%s at the end of month %d: %d, naive code says %d", name, month-1, got, want)
			}
		}
	}
	for name := range naive {
		if most[name] < 50 {
			t.Errorf("%s has at most %d members: it shows nothing", name, most[name])
		}
	}
	t.Logf("%d orders of %d customers; the greatest sizes are %v", len(all), len(byCustomer), most)
}

const retailRecipe = `
recipe: retail
zone: Europe/London
attributes:
  last_order:   {kind: last_at, on: Order Completed}
  first_order:  {kind: first_at, on: Order Completed}
  second_order: {kind: first_at, on: Order Completed, nth: 2}
  third_last:   {kind: last_at, on: Order Completed, nth: 3}
  orders_30d:   {kind: count, on: Order Completed, window: 30d, bucket: 1h}
  orders_days:  {kind: count, on: Order Completed, window: 30d}
  this_month:   {kind: count, on: Order Completed, window: this month}
  again:        {kind: sequence, steps: [{on: Order Completed}, {on: Order Completed, within: 14d}], show: complete}
audiences:
  recent:      now - last_order < duration("90d")
  lapsed:      now - last_order >= duration("180d")
  busy:        now - third_last < duration("30d")
  busy_hours:  orders_30d >= 3
  busy_days:   orders_days >= 3
  month:       this_month >= 2
  second_soon: second_order - first_order <= duration("14d")
  soon_again:  again
`

var londonZone = func() *zone.Zone {
	z, err := zone.Load("Europe/London")
	if err != nil {
		panic(err)
	}
	return z
}()

func londonDay(ms int64) int64 {
	y, m, d := time.UnixMilli(ms).In(londonZone.Location()).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

func londonMonth(ms int64) int {
	t := time.UnixMilli(ms).In(londonZone.Location())
	return 12*t.Year() + int(t.Month())
}

// since counts the times for which something is true.
func since(times []int64, fn func(at int64) bool) (n int) {
	for _, at := range times {
		if fn(at) {
			n++
		}
	}
	return n
}

// click is one event of an OTTO session.
type click struct {
	Aid  int64  `json:"aid"`
	At   int64  `json:"ts"`
	Type string `json:"type"`
}

// abandoned scans the events of one item: how often it went into the cart and was not ordered within an hour, until an instant.
// A cart within the hour of one that counts belongs to that one.
func abandoned(all []click, now int64) (n int) {
	next := int64(0)
	for _, c := range all {
		if c.Type != "carts" || c.At < next || c.At+hourMs > now {
			continue
		}
		if !slices.ContainsFunc(all, func(o click) bool { return o.Type == "orders" && o.At >= c.At && o.At < c.At+hourMs }) {
			n++
			next = c.At + hourMs
		}
	}
	return n
}

// "Cart, then no order within 1 hour, same item" on the OTTO sessions, at several instants: the instances are those of a scan.
func TestOttoAbandonedCarts(t *testing.T) {
	h := newHistory(t, `
recipe: otto
attributes:
  abandoned:
    kind: sequence
    key: properties.product_id
    limit: 2000
    steps: [{on: Product Added}, {not: Order Completed, within: 1h}]
  abandoned_items:
    kind: sequence
    key: properties.product_id
    limit: 2000
    steps: [{on: Product Added}, {not: Order Completed, within: 1h}]
    show: complete_keys
audiences:
  abandoners: abandoned > 0
`)
	sessions := map[int][]click{}
	type deed struct {
		session int
		click
	}
	var all []deed
	for lines := bufio.NewScanner(openData(t, "otto_sample20.jsonl.gz")); lines.Scan(); {
		var s struct {
			Session int     `json:"session"`
			Events  []click `json:"events"`
		}
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		sessions[s.Session] = s.Events
		for _, c := range s.Events {
			all = append(all, deed{s.Session, c})
		}
	}
	slices.SortStableFunc(all, func(a, b deed) int { return int(a.At - b.At) })
	names := map[string]string{"clicks": "Product Clicked", "carts": "Product Added", "orders": "Order Completed"}
	total := 0
	check := func(now int64) {
		h.until(now)
		got := map[string]struct {
			Abandoned int      `json:"abandoned"`
			Items     []string `json:"abandoned_items"`
		}{}
		for line := range strings.Lines(describe(h.s)) {
			var p struct {
				ID         string `json:"id"`
				Attributes struct {
					Abandoned int      `json:"abandoned"`
					Items     []string `json:"abandoned_items"`
				} `json:"attributes"`
			}
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatal(err)
			}
			got[p.ID] = p.Attributes
		}
		total = 0
		abandoners := 0
		for session, events := range sessions {
			byItem := map[int64][]click{}
			for _, c := range events {
				if c.At <= now {
					byItem[c.Aid] = append(byItem[c.Aid], c)
				}
			}
			n := 0
			var items []string
			for aid, of := range byItem {
				if k := abandoned(of, now); k > 0 {
					n += k
					items = append(items, fmt.Sprint(aid))
				}
			}
			total += n
			if n > 0 {
				abandoners++
			}
			p := got[fmt.Sprintf("user_id:s%d", session)]
			slices.Sort(items)
			slices.Sort(p.Items)
			if p.Abandoned != n || !slices.Equal(p.Items, items) {
				t.Errorf("session %d at %d: %d instances of %v, the scan says %d of %v", session, now, p.Abandoned, p.Items, n, items)
			}
		}
		if h.members("abandoners") != abandoners {
			t.Errorf("%d abandoners at %d, the scan says %d", h.members("abandoners"), now, abandoners)
		}
	}
	for i, d := range all {
		h.feed(fmt.Sprintf(`{"type":"track","event":%q,"userId":"s%d","timestamp":%q,"properties":{"product_id":"%d"}}`,
			names[d.Type], d.session, time.UnixMilli(d.At).UTC().Format("2006-01-02T15:04:05.000Z07:00"), d.Aid), d.At)
		if i%100 == 99 {
			check(d.At)
		}
	}
	check(all[len(all)-1].At + 2*hourMs)
	t.Logf("%d instances in %d sessions", total, len(sessions))
}

// A limit that has dropped something shows in the profile.
func TestTruncatedShows(t *testing.T) {
	h := newHistory(t, `
recipe: small
attributes:
  seen: {kind: set, limit: 2, add: {on: page, value: properties.path}}
  paths: {kind: list, limit: 2, on: page, value: properties.path}
  hot: {kind: tally, limit: 2, on: page, value: properties.path, window: 1h}
`)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	shows := func(want string) {
		t.Helper()
		if text := describe(h.s); strings.Contains(text, `"truncated"`) != (want != "") || !strings.Contains(text, want) {
			t.Errorf("want %s in %s", want, text)
		}
	}
	for i, want := range []string{"", `"truncated":["hot"],`, `"truncated":["seen","hot"],`} {
		now := at.Add(time.Duration(i) * time.Second)
		h.feed(fmt.Sprintf(`{"type":"page","userId":"ada","timestamp":%q,"properties":{"path":"/%d"}}`, now.Format(time.RFC3339), i), now.UnixMilli())
		shows(want)
	}
	h.until(at.Add(2 * time.Hour).UnixMilli()) // the window has passed
	shows(`"truncated":["seen"],`)
}
