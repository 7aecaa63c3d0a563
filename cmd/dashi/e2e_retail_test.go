package main_test

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shopper is what the file says about one customer. Money is in thousandths of a pound, so that sums are exact.
type shopper struct {
	lines       int
	gross, net  int64
	invoices    map[string]bool
	first, last time.Time
}

// shoppers computes naively what the recipe online_retail is to compute, from the first rows of the file.
func shoppers(t *testing.T, path string, rows int) (all map[string]*shopper, anonymous int) {
	t.Helper()
	file, err := os.Open(path)
	check(t, err)
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	check(t, err)
	london, err := time.LoadLocation("Europe/London")
	check(t, err)
	all, seen := map[string]*shopper{}, map[string]bool{}
	in := csv.NewReader(unzipped)
	_, err = in.Read() // InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
	for n := 0; err == nil && n < rows; n++ {
		var row []string
		if row, err = in.Read(); err != nil {
			break
		}
		invoice, customer, text := row[0], row[6], strings.Join(row, "\x00")
		if customer == "" {
			anonymous++
		}
		if customer == "" || seen[text] {
			continue
		}
		seen[text] = true
		s := all[customer]
		if s == nil {
			s = &shopper{invoices: map[string]bool{}}
			all[customer] = s
		}
		quantity, _ := strconv.ParseInt(row[3], 10, 64)
		price, _ := strconv.ParseFloat(row[5], 64)
		value := quantity * int64(math.Round(price*1000))
		s.lines, s.net = s.lines+1, s.net+value
		if quantity > 0 {
			s.gross += value
		}
		if !strings.HasPrefix(invoice, "C") {
			at, _ := time.ParseInLocation("2006-01-02T15:04:05", row[4], london)
			if s.invoices[invoice] = true; s.first.IsZero() || at.Before(s.first) {
				s.first = at
			}
			if at.After(s.last) {
				s.last = at
			}
		}
	}
	if err != io.EOF {
		check(t, err)
	}
	return all, anonymous
}

func (s *shopper) vip() bool { return s.net > 2_000_000 && len(s.invoices) >= 5 }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// outcome is what a replay of the file leaves behind.
type outcome struct {
	hashes      []string
	activations map[string]int // by profile, audience, transition, sequence and id: how often
}

// replayFile is the file, and how much of it a test uses.
func replayFile(t *testing.T) (path string, rows int) {
	path, err := filepath.Abs("../../../shared/data/online_retail_evencust.csv.gz")
	check(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no Online Retail file beside the repository: %v", err)
	}
	if testing.Short() {
		return path, 30_000
	}
	return path, math.MaxInt
}

func replayArgs(path string, rows int, more ...string) []string {
	args := append([]string{"replay", path, "--map", "online_retail", "-o", "json"}, more...)
	if rows < math.MaxInt {
		args = append(args, "--limit", strconv.Itoa(rows))
	}
	return args
}

// Replaying the file gives for every customer what naive code computes from it; and the same, to the byte of the state
// hash and to the activation, when the node and the replay are killed on the way.
func TestRetail(t *testing.T) {
	path, rows := replayFile(t)
	var undisturbed outcome
	var events int
	ok := t.Run("undisturbed", func(t *testing.T) {
		n := newNode(t, "--demo", "0")
		n.start()
		report := decode[struct{ Rows, Events, Anonymous, Bad int }](t, n.must(replayArgs(path, rows)...))
		events = report.Events
		st := n.idle()
		want, anonymous := shoppers(t, path, rows)
		lines := 0
		for _, s := range want {
			lines += s.lines
		}
		if report.Anonymous != anonymous || report.Bad != 0 || report.Events != report.Rows-anonymous {
			t.Errorf("replay counted %+v, want %d anonymous rows and no bad ones", *report, anonymous)
		}
		if st.Profiles != len(want) || st.Events.Applied != uint64(lines) || int(st.Events.Repeated) != report.Events-lines || len(st.Trouble) > 0 {
			t.Errorf("status: %d profiles, %d events applied, %d repeated, trouble %q; want %d, %d, %d, none",
				st.Profiles, st.Events.Applied, st.Events.Repeated, st.Trouble, len(want), lines, report.Events-lines)
		}
		compareShoppers(t, n, want)
		compareKeys(t, n, st)
		undisturbed = n.outcome(st)
	})
	if !ok {
		return
	}
	t.Run("killed", func(t *testing.T) {
		kills := 10
		if testing.Short() {
			kills = 1
		}
		got := replayWithKills(t, replayArgs(path, rows, "--rate", "20000"), events, kills)
		if !slices.Equal(got.hashes, undisturbed.hashes) {
			t.Errorf("state hashes by shard are\n%q, undisturbed they were\n%q", got.hashes, undisturbed.hashes)
		}
		if !maps.Equal(got.activations, undisturbed.activations) {
			for _, a := range slices.Sorted(maps.Keys(undisturbed.activations)) {
				if got.activations[a] != 1 {
					t.Errorf("activation %s is there %d times, want 1", a, got.activations[a])
				}
				delete(got.activations, a)
			}
			t.Errorf("%d activations that were not there undisturbed: %.500q", len(got.activations), slices.Sorted(maps.Keys(got.activations)))
		}
	})
}

// compareShoppers looks every customer up, and the VIPs in three other ways.
func compareShoppers(t *testing.T, n *node, want map[string]*shopper) {
	t.Helper()
	ids, vips := slices.Sorted(maps.Keys(want)), []string{}
	for chunk := range slices.Chunk(ids, 1000) {
		question, _ := json.Marshal(map[string][]string{"ids": prefixed("user_id:", chunk)})
		answer := decode[struct {
			Profiles []struct {
				ID         string
				Attributes struct {
					Lines       int       `json:"retail_lines"`
					Orders      int       `json:"retail_orders"`
					Gross       float64   `json:"retail_gross"`
					Net         float64   `json:"retail_net"`
					First, Last time.Time `json:"-"`
					FirstOrder  time.Time `json:"retail_first_order"`
					LastOrder   time.Time `json:"retail_last_order"`
				}
				Audiences map[string]any
			}
		}](t, n.ask(200, "POST", "/v1/profiles:batchGet", string(question)))
		if len(answer.Profiles) != len(chunk) {
			t.Fatalf("%d profiles for %d ids", len(answer.Profiles), len(chunk))
		}
		for i, id := range chunk {
			w, p := want[id], answer.Profiles[i]
			a := p.Attributes
			_, vip := p.Audiences["retail_vip"]
			got := fmt.Sprint(p.ID, a.Lines, a.Orders, a.Gross, a.Net, a.FirstOrder.Unix(), a.LastOrder.Unix(), vip)
			naive := fmt.Sprint("user_id:"+id, w.lines, len(w.invoices), float64(w.gross)/1000, float64(w.net)/1000, w.first.Unix(), w.last.Unix(), w.vip())
			if got != naive {
				t.Errorf("customer %s: id, lines, orders, gross, net, first, last, vip:\n got %s\nwant %s", id, got, naive)
			}
			if w.vip() {
				vips = append(vips, "user_id:"+id)
			}
		}
	}
	var members []string
	for d := json.NewDecoder(strings.NewReader(n.ask(200, "GET", "/v1/audiences/retail_vip/members", ""))); d.More(); {
		var m struct{ ID string }
		check(t, d.Decode(&m))
		members = append(members, m.ID)
	}
	slices.Sort(members)
	if !slices.Equal(members, vips) {
		t.Errorf("%d members of retail_vip, want %d", len(members), len(vips))
	}
	for _, where := range []string{"retail_vip", "retail_net > 2000 && retail_orders >= 5"} {
		question, _ := json.Marshal(map[string]any{"where": where, "limit": 0})
		if got := decode[struct{ Count int }](t, n.ask(200, "POST", "/v1/query", string(question))); got.Count != len(vips) {
			t.Errorf("query %q counts %d, want %d", where, got.Count, len(vips))
		}
	}
}

// compareKeys checks that every event in Kafka has the key of its person: the key chooses the partition, and the partition
// keeps the order.
func compareKeys(t *testing.T, n *node, st *status) {
	t.Helper()
	left, wrong := st.read(), 0
	n.records("dashi.events", func(r record) bool {
		if want := "user_id:" + decode[struct{ UserID string }](t, r.value).UserID; r.key != want {
			if wrong++; wrong <= 3 {
				t.Errorf("event of %q at %d/%d has the key %q", want, r.partition, r.offset, r.key)
			}
		}
		left--
		return left == 0
	})
}

func prefixed(prefix string, all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = prefix + s
	}
	return out
}

func (n *node) outcome(st *status) outcome {
	n.t.Helper()
	o := outcome{hashes: st.hashes(), activations: map[string]int{}}
	ids := map[string]bool{}
	for _, r := range n.drain("dashi.activations") {
		a := decode[struct {
			ID, Profile, Audience, Activation, Transition string
			Sequence                                      int
		}](n.t, r.value)
		if ids[a.ID] {
			n.t.Errorf("activation id %s is there twice", a.ID)
		}
		ids[a.ID] = true
		o.activations[fmt.Sprint(a.Profile, " ", cmp.Or(a.Audience, a.Activation), " ", a.Transition, " ", a.Sequence, " ", a.ID)]++
	}
	if made := int(st.Activations.Made) + st.renamed(); len(ids) == 0 || len(ids) != made {
		n.t.Errorf("%d activations in Kafka, %d were made, %d of them twice", len(ids), made, st.renamed())
	}
	return o
}

// replayWithKills kills the node at random moments of a replay, and restarts it each time. Every third time the replay is
// killed with it; every fourth time the node is killed once more while it starts. A replay lives through what happens to the
// node, unless it has not reached it yet; when it has ended, the same command is given again, as a person would.
func replayWithKills(t *testing.T, args []string, events, kills int) outcome {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("DASHI_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		check(t, err)
	}
	t.Logf("DASHI_SEED=%d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	var moments []int64
	for range kills {
		moments = append(moments, chance.Int64N(int64(events)*9/10))
	}
	slices.Sort(moments)

	n := newNode(t, "--demo", "0")
	n.start()
	replay := launch(t, n.env, args...)
	for i, moment := range moments {
		eventually(t, wait, fmt.Sprintf("kill %d, when %d events have been read", i+1, moment), func() error {
			replay = goOn(t, n, replay, args)
			if st := decode[status](t, n.ask(200, "GET", "/v1/status", "")); st.read() < moment {
				return fmt.Errorf("%d read", st.read())
			}
			return nil
		})
		n.kill()
		if i%3 == 1 {
			replay.kill()
		}
		if i%4 == 2 {
			n.launch()
			<-time.After(time.Duration(chance.IntN(200)) * time.Millisecond) // the moment of the kill: somewhere in the start
			n.kill()
		}
		n.start()
	}
	replay = goOn(t, n, replay, args)
	if code := replay.code(wait); code != 0 {
		t.Fatalf("replay ended with code %d: %s", code, replay.stderr.String())
	}
	return n.outcome(n.idle())
}

// goOn gives the command again if the replay was killed, or found no node when it began.
func goOn(t *testing.T, n *node, replay *process, args []string) *process {
	t.Helper()
	if replay.running() {
		return replay
	}
	code := replay.code(0)
	if code == 0 {
		return replay
	}
	said := replay.stderr.String()
	early := slices.ContainsFunc([]string{"cannot reach a node", "cannot ask node", "cannot read the answer", "cannot get an answer at Kafka"}, func(text string) bool {
		return strings.Contains(said, text)
	})
	if code > 0 && !early {
		t.Fatalf("replay ended with code %d: %s", code, said)
	}
	return launch(t, n.env, args...)
}
