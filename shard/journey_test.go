package shard

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/identity"
	"dashi/shard/profile"
)

const journeyRecipe = `
recipe: journey
fields: {properties.campaign: string}
attributes:
  ignored:
    description: Campaigns in which no coupon was redeemed within 14 days.
    kind: sequence
    key: properties.campaign
    steps:
      - {on: Campaign Started}
      - {not: Coupon Redeemed, within: 14d}
    show: complete_keys
    limit: 2000
audiences:
  unmoved: size(ignored) > 0
`

func journeyRows(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open("../../shared/data/completejourney_" + name + ".csv.gz")
	if err != nil {
		t.Skip("the Complete Journey data is not there: " + err.Error())
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

type journeyEvent struct {
	at         time.Time
	household  string
	name, rest string
}

// Households that redeemed no coupon of a campaign within 14 days of its start, and what each spent while each campaign ran, are
// what a naive reading of the files says.
func TestCompleteJourney(t *testing.T) {
	day := func(s string) time.Time {
		d, err := time.Parse("2006-01-02", s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	type span struct{ start, end time.Time }
	campaigns, text := map[string]span{}, strings.Split(journeyRecipe, "audiences:")
	var spends strings.Builder
	for _, r := range journeyRows(t, "campaign_descriptions") {
		c := span{day(r[2]), day(r[3]).AddDate(0, 0, 1)}
		campaigns[r[0]] = c
		fmt.Fprintf(&spends, "  spent_%s: {kind: sum, on: Purchase, value: properties.total, where: 'time >= timestamp(%q) && time < timestamp(%q)'}\n",
			r[0], c.start.Format(time.RFC3339), c.end.Format(time.RFC3339))
	}
	var events []journeyEvent
	ignored, spent := map[string]map[string]bool{}, map[string]map[string]int64{} // by household and campaign; the latter in cents
	for _, r := range journeyRows(t, "campaigns") {
		events = append(events, journeyEvent{campaigns[r[0]].start, r[1], "Campaign Started", fmt.Sprintf(`"campaign":%q`, r[0])})
		if ignored[r[1]] == nil {
			ignored[r[1]] = map[string]bool{}
		}
		ignored[r[1]][r[0]] = true
	}
	for _, r := range journeyRows(t, "coupon_redemptions") {
		at := day(r[3])
		events = append(events, journeyEvent{at, r[0], "Coupon Redeemed", fmt.Sprintf(`"campaign":%q`, r[2])})
		if start := campaigns[r[2]].start; !at.Before(start) && at.Before(start.AddDate(0, 0, 14)) {
			delete(ignored[r[0]], r[2])
		}
	}
	for _, r := range journeyRows(t, "transactions_sample") {
		at, err := time.Parse("2006-01-02T15:04:05-0700", r[10])
		value, err2 := strconv.ParseFloat(r[5], 64)
		if err != nil || err2 != nil {
			t.Fatal(r)
		}
		events = append(events, journeyEvent{at, r[0], "Purchase", `"total":` + r[5]})
		for id, c := range campaigns {
			if !at.Before(c.start) && at.Before(c.end) {
				if spent[r[0]] == nil {
					spent[r[0]] = map[string]int64{}
				}
				spent[r[0]][id] += int64(math.Round(value * 100))
			}
		}
	}
	slices.SortStableFunc(events, func(a, b journeyEvent) int { return a.at.Compare(b.at) })
	sources := readInline("journey.yml", text[0]+spends.String()+"audiences:"+text[1])
	settings := DefaultSettings
	settings.Memory = profile.Heap{}
	s := newShard(t, settings, sources)
	mustAccept(t, s.Apply(AppendClock(nil, 0, true, 0)))
	values := make([][]byte, len(events))
	for i, e := range events {
		values[i] = fmt.Appendf(nil, `{"type":"track","event":%q,"userId":%q,"timestamp":%q,"properties":{%s}}`, e.name, "h"+e.household, e.at.UTC().Format(time.RFC3339), e.rest)
	}
	f := newFeeder(t, compile(t, sources), values)
	for o := int64(-1); o < int64(len(values)-1); {
		next := min(o+500, int64(len(values)-1))
		mustAccept(t, s.Apply(f.batch(o, next, fallback)))
		o = next
	}
	mustAccept(t, s.Apply(AppendClock(nil, fallback, true, time.Date(2018, 6, 1, 0, 0, 0, 0, time.UTC).UnixMilli())))
	for s.Wake() == math.MinInt64 { // one entry does not wake all whose time has come
		mustAccept(t, s.Apply(AppendTick(nil, fallback)))
	}
	compareJourney(t, s, ignored, spent)
}

// compareJourney looks up every household.
func compareJourney(t *testing.T, s *Shard, ignored map[string]map[string]bool, spent map[string]map[string]int64) {
	t.Helper()
	var v View
	unmoved, windows := 0, 0
	for household, want := range ignored {
		id := []byte("h" + household)
		if !s.Lookup([]byte("user_id"), id, identity.Hash("user_id", id), &v) {
			t.Fatalf("no household %s", household)
		}
		shown := string(v.AppendJSON(nil))
		if in := strings.Contains(shown, `"unmoved"`); in != (len(want) > 0) {
			t.Errorf("household %s: in %v, want %v: %s", household, in, want, shown)
		} else if in {
			unmoved++
		}
		list := fmt.Sprintf(`"ignored":["%s"]`, strings.Join(slices.Sorted(maps.Keys(want)), `","`))
		if len(want) > 0 && !strings.Contains(shown, list) {
			t.Errorf("household %s lacks %s: %s", household, list, shown)
		}
		for campaign, cents := range spent[household] {
			windows++
			piece := fmt.Sprintf(`"spent_%s":%s`, campaign, strconv.FormatFloat(float64(cents)/100, 'f', -1, 64))
			if !strings.Contains(shown, piece+",") && !strings.Contains(shown, piece+"}") {
				t.Errorf("household %s lacks %s: %s", household, piece, shown)
			}
		}
	}
	if unmoved == 0 || windows == 0 {
		t.Errorf("%d households, %d windows: the test shows nothing", unmoved, windows)
	}
	t.Logf("%d of %d households unmoved, %d campaign windows with spend", unmoved, len(ignored), windows)
}
