package attribute

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// example is a line of FORMAT.md, made again from its inputs.
func example(t *testing.T, spec Spec, words string, ins ...Input) string {
	k := mustNew(t, spec)
	s := foldAll(k, ins)
	name := spec.Kind
	if spec.Of != 0 {
		name += " of " + spec.Of.String()
	}
	if spec.Limit != 0 {
		name += fmt.Sprintf(" limit %d", spec.Limit)
	}
	if spec.Session != nil {
		name += " of session"
	}
	if spec.Window != "" {
		name += " " + spec.Window
	}
	return strings.TrimSpace(fmt.Sprintf("%-16s %-18s = %x|%x", name, words, s.fixed, s.seg))
}

// The format does not change by accident: FORMAT.md holds bytes that every version must make again.
func TestFormat(t *testing.T) {
	e := func(spec Spec, words string, ins ...Input) string { return example(t, spec, words, ins...) }
	want := []string{
		e(Spec{Kind: "count"}, "x x", at(0, text("x")), at(0, text("x"))),
		e(Spec{Kind: "sum"}, "0.1 -2", at(0, number(0.1)), at(0, number(-2))),
		e(Spec{Kind: "avg"}, "0.1 -2", at(0, number(0.1)), at(0, number(-2))),
		e(Spec{Kind: "max"}, "1.5", at(0, number(1.5))),
		e(Spec{Kind: "max"}, "-1.5", at(0, number(-1.5))),
		e(Spec{Kind: "min"}, "1.5", at(0, number(1.5))),
		e(Spec{Kind: "min", Of: Time}, "1970-01-01", at(0, moments(0))),
		e(Spec{Kind: "last", Of: Number}, "1.5", at(0, number(1.5))),
		e(Spec{Kind: "last", Of: Bool}, "true", at(0, truth(true))),
		e(Spec{Kind: "first", Of: Number}, "1.5", at(0, number(1.5))),
		e(Spec{Kind: "last", Of: String}, "soup", at(0, text("soup"))),
		e(Spec{Kind: "first", Of: String}, "soup", at(0, text("soup"))),
		e(Spec{Kind: "last_at"}, "x", at(0, text("x"))),
		e(Spec{Kind: "first_at"}, "x", at(0, text("x"))),
		e(Spec{Kind: "flag"}, "x", at(0, text("x"))),
		e(Spec{Kind: "flag"}, "x -x", at(0, text("x")), remove(0, text("x"))),
		e(Spec{Kind: "set"}, "b@1 a -c", at(1, text("b")), at(0, text("a")), remove(0, text("c"))),
		e(Spec{Kind: "set", Limit: 2}, "b@1 a@2 c", at(1, text("b")), at(2, text("a")), at(0, text("c"))),
		e(Spec{Kind: "tally"}, "soup*2 tea*-0.5", weighted("soup", 2), weighted("tea", -0.5)),
		e(Spec{Kind: "tally", Limit: 1}, "soup*2 tea*-0.5", weighted("soup", 2), weighted("tea", -0.5)),
		e(Spec{Kind: "list"}, "soup tea@1 soup", at(0, text("soup")), at(1, text("tea")), at(0, text("soup"))),
		e(Spec{Kind: "count", Window: "30d"}, "x x@1d x@2d", at(0, text("x")), at(dayMs, text("x")), at(2*dayMs, text("x"))),
		e(Spec{Kind: "sum", Window: "24h"}, "0.1 -2@1h", at(0, number(0.1)), at(hour, number(-2))),
		e(Spec{Kind: "avg", Window: "this month", Zone: berlin}, "0.1 -2", at(0, number(0.1)), at(0, number(-2))),
		e(Spec{Kind: "max", Window: "2w"}, "1@1d 3 2@2d", at(dayMs, number(1)), at(0, number(3)), at(2*dayMs, number(2))),
		e(Spec{Kind: "distinct", Window: "2mo"}, "soup tea@1d soup@2d", at(0, text("soup")), at(dayMs, text("tea")), at(2*dayMs, text("soup"))),
		e(Spec{Kind: "tally", Window: "7d"}, "soup*2 tea@1h soup@1h", weighted("soup", 2), late(weighted("tea", 1), hour), late(weighted("soup", 1), hour)),
		e(Spec{Kind: "session_start", Session: &SessionSpec{}}, "x x@1h", at(0, text("x")), at(hour, text("x"))),
		e(Spec{Kind: "last", Of: String, Session: &SessionSpec{}}, "soup tea@1h", at(0, text("soup")), at(hour, text("tea"))),
		e(Spec{Kind: "place", Places: somePlaces}, `x ""@1h`, at(0, text("x")), at(hour, text(""))),
		e(Spec{Kind: "count", Session: &SessionSpec{Gap: 2 * hour, Longest: 3 * hour}}, "x x@1h x@2h", at(0, text("x")), at(hour, text("x")), at(2*hour, text("x"))),
		e(Spec{Kind: "sequence", Sequence: &SequenceSpec{Steps: []StepSpec{{}, {Not: true, Within: hour}}, Keyed: true}}, "cart(soup) order(tea)@2h",
			at(0, text("soup")), late(step(1, "tea"), 2*hour)),
		e(Spec{Kind: "distinct"}, "soup 1 true", at(0, text("soup")), at(0, number(1)), at(0, truth(true))),
	}
	file, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(file), "```golden\n")
	block, _, _ := strings.Cut(rest, "```")
	got := strings.Split(strings.TrimSpace(block), "\n")
	if !slices.Equal(got, want) {
		t.Errorf("FORMAT.md says\n%s\n\nmade\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func late(in Input, ms int64) Input {
	in.Time += ms
	return in
}

func step(i uint8, key string) Input {
	in := at(0, text(key))
	in.Step = i
	return in
}
