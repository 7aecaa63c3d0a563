package recipe

import (
	"strings"
	"testing"
)

// Slips that YAML itself trips over, or that lack what says what they are, come with what to write.
func TestHintsForSlips(t *testing.T) {
	f := func(source, want string) {
		t.Helper()
		_, found := Compile([]Source{{Name: "x.yml", Text: []byte("recipe: x\n" + source)}})
		if len(found) == 0 || !strings.Contains(found[0].Hint, want) {
			t.Errorf("%s\n%v, want the hint %q", source, found, want)
		}
	}
	f("attributes:\n  n: {kind: count, on: page}\naudiences:\n  a: !known(n) || n > 1\n", "stands in single quotes as a whole")
	f("attributes:\n  n: count\n", "it begins with its kind, as in `{kind: ")
}

// What YAML trips over is reported where it stands, wherever the mapping or list around it begins.
func TestLinesOfYAMLErrors(t *testing.T) {
	f := func(source string, line int) {
		t.Helper()
		_, found := Compile([]Source{{Name: "x.yml", Text: []byte(source)}})
		if len(found) == 0 || found[0].Line != line || !strings.Contains(found[0].Message, "not YAML") {
			t.Errorf("%s\n%v, want line %d", source, found, line)
		}
	}
	f("recipe: x\nattributes:\n  a: {kind: count on: page}\n", 3)
	f("recipe: x\nattributes:\n  a: {kind: count, on: page\n  b: {kind: count, on: page}\n", 4)
	f("recipe: x\nattributes:\n  a: {kind: count,\n    on: page,\n    where: a: b}\n", 5)
	f("recipe: x\nattributes:\n  a: {kind: count,\n    on: [page, screen\n    where: x}\n  b: {kind: count, on: page}\n", 5)
	f("recipe: x\nattributes:\n  a:\n    kind: count\n   on: page\n", 5)
	f("recipe: x\n on: page\n", 2)
	f("{recipe: x,\n attributes: {},\n audiences: {} x: {}}\n", 3)
	f("recipe: x\nattributes:\n  a:\n    kind: sequence\n    steps:\n      - {on: page}\n      {on: screen}\n", 7)
	f("recipe: x\nattributes:\n  a: {kind: count, on: page}}\n", 3)
}

// Windows are written as people say them: the hint is what stands for it in a recipe.
func TestHintsForWindows(t *testing.T) {
	f := func(window, want string) {
		t.Helper()
		_, found := Compile([]Source{{Name: "x.yml", Text: []byte("recipe: x\nattributes:\n  n: {kind: count, on: page, window: " + window + "}\n")}})
		if len(found) != 1 || found[0].Hint != want {
			t.Errorf("%s: %v, want the hint %q", window, found, want)
		}
	}
	for _, w := range []string{"last month", "previous_month", "Last Month", "the last month"} {
		f(w, "write 1mo for the month up to now; for the month before this one take a window of 2mo with bucket: 1mo, and subtract one of this month in a `derived` attribute")
	}
	f("last week", "write 1w for the week up to now; for the week before this one take a window of 2w with bucket: 1w, and subtract one of this week in a `derived` attribute")
	f("yesterday", "for the day before this one take a window of 2d with bucket: 1d, and subtract one of this day in a `derived` attribute")
	f("this_month", "write this month")
	f("current month", "write this month")
	f("month", "write this month")
	f("today", "write this day")
	f("ytd", "write this year")
	f("last 30 days", "write 30d")
	f("30 days", "write 30d")
	f("a week", "write 1w")
	f("last hour", "write 1h")
	f("6 months", "write 6mo")
	f("1y", "write 12mo for the year up to now, or this year")
	f("2 years", "write months, such as 24mo")
	f("last quarter", "write 3mo for the three months up to now")
	f("recently", "")
	f("0d", "")
}

// A field named by its last part alone is found where events have it; a name that has an error of its own is still known.
func TestHintsForNames(t *testing.T) {
	f := func(source, want string) {
		t.Helper()
		_, found := Compile([]Source{{Name: "x.yml", Text: []byte("recipe: x\nattributes:\n" + source)}})
		for _, d := range found {
			if strings.Contains(d.String(), want) {
				return
			}
		}
		t.Errorf("%s\n%v, want %q", source, found, want)
	}
	f("  n: {kind: sum, on: Order Completed, value: total}\n", "unknown name `total`; did you mean `properties.total`?")
	f("  n: {kind: sum, on: Order Completed, value: totl}\n", "did you mean `properties.total`?")
	f("  n: {kind: sum, on: Order Completed, value: number(total)}\n", "did you mean `properties.total`?")
	f("  n: {kind: sum, on: Order Completed, each: properties.products, value: price}\n", "did you mean `item.price`?")
	f("  n: {kind: sum, on: Order Completed, value: wholly_unknown}\n", "unknown name `wholly_unknown`")
	f("  spent: {kind: sum, on: Order Completed, valu: properties.total}\naudiences:\n  a: spnt > 3\n", "did you mean `spent`?")
}

// A bucket is one of its variants: a comparison with any other text never holds.
func TestValuesOfBuckets(t *testing.T) {
	f := func(condition, want string) {
		t.Helper()
		p, found := Compile([]Source{{Name: "x.yml", Text: []byte("recipe: x\nattributes:\n  group: {kind: bucket, weights: {control: 1, test: 1}}\n" +
			"  plan: {kind: last, on: identify, value: traits.plan}\naudiences:\n  a: '" + condition + "'\n")}})
		got := ""
		if len(found) > 0 {
			got = found[0].String()
		}
		if p == nil || !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %v, want %q", condition, found, want)
		}
	}
	f(`group == "tset"`, "warning: audience `a`: `group` is never \"tset\" (did you mean \"test\"? it is one of control, test)")
	f(`"B" == group`, "`group` is never \"B\" (it is one of control, test)")
	f(`plan != "x" && group != "Control"`, "`group` is never \"Control\"")
	f(`group in ["test", "B"]`, "`group` is never \"B\"")
	f(`group == "test" || group in ["control"]`, "")
	f(`plan == "tset"`, "")
	f(`plan == "x" && ["a", "b"].exists(group, group == "a")`, "")
}

// What marketers write in the words of other tools comes with what it is called here.
func TestHintsForOtherWords(t *testing.T) {
	const base = "attributes:\n  orders: {kind: count, on: Order Completed}\n  last: {kind: last_at, on: Order Completed}\n  city: {kind: last, on: identify, value: traits.address.city}\n" +
		"  top_cat: {kind: tally, on: Product Viewed, value: properties.category}\n"
	f := func(source, want string) {
		t.Helper()
		_, found := Compile([]Source{{Name: "x.yml", Text: []byte("recipe: x\n" + source)}})
		for _, d := range found {
			if strings.Contains(d.Hint, want) {
				return
			}
		}
		t.Errorf("%s\n%v, want the hint %q", source, found, want)
	}
	f("attributes:\n  n: {kind: count, event: page}\n", "did you mean `on`?")
	f("attributes:\n  n: {kind: funnel, on: page}\n", "did you mean `sequence`?")
	f("attributes:\n  n: {kind: Average, on: page, value: properties.total}\n", "did you mean `avg`?")
	f(base+"activations:\n  mail: {on: {change: orders}, purpose: email}\n", "did you mean `requires`?")
	f("segments:\n  a: true\n", "did you mean `audiences`?")
	f("attributes:\n  n: {kind: count, on: [page, screen}\n", "a list that begins with [ ends with ]")
	for condition, want := range map[string]string{
		"now - last > 30 days":            `duration("30d")`,
		"last < 2026-01-01":               `timestamp("2026-01-31")`,
		`last > "30d"`:                    `now - x > duration("30d")`,
		`city in ("Rome", "Milan")`:       "a list stands in brackets",
		`city like "R%"`:                  `x.startsWith("part")`,
		"orders > 1,000":                  "a number has no commas",
		"3 < orders < 5":                  "a range is written x > 3 && x < 5",
		`top_cat == "sport"`:              `favourite(tally) == "x"`,
		"if orders > 3 then true":         "a condition stands alone",
		"orders > 50€":                    "without its unit",
		`city == "if" && city in ["like"`: "", // not in texts
	} {
		f(base+"audiences:\n  a: '"+condition+"'\n", want)
	}
}
