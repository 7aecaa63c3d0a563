package recipetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/recipe"
)

const clocked = `
recipe: clocked
attributes:
  orders: {kind: count, on: Order Completed}
  orders_7d: {kind: count, on: Order Completed, window: 7d}
  last_order: {kind: last_at, on: Order Completed}
  total: {kind: sum, on: Order Completed, value: properties.total, minus: {on: Order Refunded, value: properties.total}}
  never: {kind: count, on: Never Sent}
audiences:
  lapsed: now - last_order > duration("180d")
  rich: {when: total > 100, emit: none}
  ghosts: {when: never > 0, emit: none}
activations:
  thanks: {on: {event: Order Completed}, where: properties.total > 50, include: [orders, total]}
mappings:
  rows: {event: Order Completed, time: row.at, identifiers: {user_id: row.who}, properties: {total: number(row.total)}}
`

// try runs tests against the cookbook above and returns what failed, one line each.
func try(t *testing.T, tests string) []string {
	t.Helper()
	return failures(t, "clocked", clocked, tests, func(f Failure) string {
		return fmt.Sprintf("%d: %s: %s: want %s, got %s", f.Line, f.At, f.What, f.Want, f.Got)
	})
}

// failures are what is wrong with tests of recipes, and what fails in them.
func failures(t *testing.T, name, recipes, tests string, describe func(Failure) string) (out []string) {
	t.Helper()
	program, found := recipe.Compile([]recipe.Source{{Name: name + ".yml", Text: []byte(recipes)}})
	if program == nil {
		t.Fatal(found)
	}
	cases, broken := Parse([]recipe.Source{{Name: name + ".test.yml", Text: []byte(tests)}}, program)
	for _, d := range broken {
		out = append(out, d.String())
	}
	r := New(program)
	for i := range cases {
		for _, f := range r.Run(&cases[i]).Failures {
			out = append(out, describe(f))
		}
	}
	return out
}

func TestPasses(t *testing.T) {
	f := func(tests string) {
		t.Helper()
		if failed := try(t, tests); len(failed) > 0 {
			t.Errorf("%s\n%s", tests, strings.Join(failed, "\n"))
		}
		if wrong := schemaSays(t, tests); wrong != "" {
			t.Errorf("%s\nthe schema says: %s", tests, wrong)
		}
	}
	// The clock: people leave and enter at the instant, and the past is as it was.
	f(`
tests:
  lapses to the millisecond:
    - Order Completed: {total: 60}
    - expect: {audiences: [], activations: [{name: thanks, attributes: {orders: 1, total: 60}}]}
    - advance: 180d
    - expect: {audiences: {lapsed: false}}
    - advance: 1ms
    - expect: {audiences: {lapsed: 2026-06-30T09:00:00.001Z}, activations: [{name: lapsed, transition: enter, at: 2026-06-30T09:00:00.001Z}]}
    - advance: 1d
    - Order Completed: {total: 1}
    - expect: {audiences: {lapsed: false}, activations: [lapsed exit]}
`)
	f(`
tests:
  the same by event time:
    clock: event
    steps:
      - Order Completed: {total: 60}
      - Order Completed: {total: 1}
        at: +200d
      - expect: {activations: [thanks, {name: lapsed, transition: enter, at: 2026-06-30T09:00:00.001Z}, lapsed exit]}
      - advance: 200d
      - expect: {audiences: {lapsed: true}}
`)
	// A late event: when it happened, and when it was heard of.
	f(`
tests:
  an order of Monday that arrives on Wednesday:
    - advance: 2d
    - Order Completed: {total: 60}
      at: -2d
    - expect:
        attributes: {last_order: 2026-01-01T09:00:00Z}
        audiences: {rich: false}
        activations: [{name: thanks, event_time: 2026-01-01T09:00:00Z, at: +2d}]
    - Order Completed: {total: 60}
      at: -1d
    - expect: {audiences: {rich: {since: 2026-01-02T09:00:00Z}}}
`)
	f(`
tests:
  a window empties, with what came late in its own bucket:
    - Order Completed: {}
    - Order Completed: {}
      at: -6d
    - Order Completed: {}
      at: -8d
    - expect: {attributes: {orders: 3, orders_7d: 2}}
    - advance: 1d
    - expect: {attributes: {orders_7d: 1}}
    - at: 2026-02-01
    - expect: {attributes: {orders_7d: 0, orders: 3, total: ~}}
  repeats with a time between them move the clock on, or come late:
    - Order Completed: {total: 1}
      repeat: 3
      every: 1d12h
    - expect: {attributes: {orders: 3, orders_7d: 3, last_order: 2026-01-04T09:00:00Z}}
    - advance: 30d
    - Order Completed: {total: 1}
      at: -40d
      repeat: 2
      every: 35d
    - expect: {attributes: {orders: 5, orders_7d: 1, last_order: 2026-01-29T09:00:00Z}}
    - message: {type: track, event: Order Completed, userId: somebody}
      id: x
      repeat: 2
      every: 3d
    - expect: {attributes: {orders: 6, last_order: 2026-02-03T09:00:00Z}}
    - Order Completed: {}
    - expect: {attributes: {last_order: 2026-02-06T09:00:00Z}}
  a new test knows nothing of the one before:
    - expect: {profile: false, attributes: {orders: ~}, activations: [], sizes: {rich: 0}}
`)
	f(`
tests:
  rows, repeats, duplicates, refusals:
    map: rows
    who: user_id:a
    steps:
      - row: {at: "2026-01-05T00:00:00Z", who: a, total: "60"}
        repeat: 2
      - row: {at: "2026-01-05T00:00:00Z", who: "", total: "60"}
      - row: {at: "2026-01-05T00:00:00Z", who: a, total: much}
        rejected: true
      - Order Completed: {total: 1}
        id: x
        repeat: 5
      - message: {type: track, event: Order Completed, userId: a, timestamp: 2026-01-05T00:00:00Z, properties: {total: [1]}}
        rejected: wrong_type
      - expect: {attributes: {orders: 3, total: 121, last_order: 2026-01-05T00:00:00Z}, audiences: [rich]}
`)
}

// What YAML takes for a time arrives as a producer would send it: as a text, which is no time for the engine unless it is whole.
func TestTimesOfMessages(t *testing.T) {
	source := recipe.Source{Name: "dates.yml", Text: []byte(`
recipe: dates
fields: {properties.day: string, properties.due: time}
attributes:
  day: {kind: last, on: Done, value: properties.day}
  days: {kind: set, add: {on: Done, value: properties.day}}
  due: {kind: last, on: Done, value: properties.due}
`)}
	program, found := recipe.Compile([]recipe.Source{source})
	if program == nil {
		t.Fatal(found)
	}
	cases, broken := Parse([]recipe.Source{{Name: "dates.test.yml", Text: []byte(`
x-body: &body {day: 2026-02-01, due: 2026-03-01T09:00:00Z}
tests:
  dates:
    - Done: {day: 2026-01-31}
    - expect: {attributes: {day: 2026-01-31, days: [2026-01-31]}}
    - expect: {attributes: {day: "2026-01-31"}}
    - Done: *body
      at: +1d
    - expect: {attributes: {day: 2026-02-01, days: [2026-02-01, 2026-01-31], due: 2026-03-01T09:00:00Z}}
    - expect: {attributes: {due: 2026-03-01 09:00:00}}
    - Done: {due: 2026-03-01}
      rejected: wrong_type
`)}}, program)
	if len(broken) > 0 {
		t.Fatal(broken)
	}
	for _, f := range New(program).Run(&cases[0]).Failures {
		t.Errorf("line %d: %s: want %s, got %s", f.Line, f.What, f.Want, f.Got)
	}
}

// Two who were one, by a link that was none, come apart; and a session that two spend together begins and ends once.
func TestUnlinkAndSessions(t *testing.T) {
	source := recipe.Source{Name: "visits.yml", Text: []byte(`
recipe: visits
sessions:
  visit: {gap: 30m}
attributes:
  orders: {kind: count, on: Order Completed}
  pages: {kind: count, on: page, session: visit}
activations:
  hello: {on: {session_start: visit}}
  bye: {on: {session_end: visit}, include: pages}
  offer: {on: {event: page}, once: session}
tests:
  together and apart:
    - identify: {}
      who: [user_id:ada, anonymous_id:kiosk]
    - Order Completed: {}
      who: user_id:ada
    - Order Completed: {}
      who: anonymous_id:kiosk
      at: +10m
    - expect: {who: anonymous_id:kiosk, attributes: {orders: 2, visit: true}, activations: [hello session_start]}
    - unlink: [anonymous_id:kiosk, user_id:ada]
    - expect: {who: anonymous_id:kiosk, attributes: {orders: 1}, activations: {include: [{name: unmerged, profile: anonymous_id:kiosk}]}}
    - advance: 1h
    - expect:
        who: user_id:ada
        attributes: {orders: 1, visit: false}
        activations:
          - {name: bye, profile: user_id:ada, at: 2026-01-01T09:30:00Z}
          - {name: bye, profile: anonymous_id:kiosk, at: 2026-01-01T09:40:00Z}
  two visits of one person that turn out to be one:
    - page: {}
      who: anonymous_id:a
    - page: {}
      who: user_id:ada
      at: +20m
    - expect: {who: user_id:ada, activations: [hello, offer, {name: hello, profile: user_id:ada}, offer]}
    - identify: {}
      who: [user_id:ada, anonymous_id:a]
      at: +5m
    - advance: 3h
    - expect: {who: user_id:ada, attributes: {pages: 2}, activations: [merged, {name: bye, transition: session_end, profile: user_id:ada, at: 2026-01-01T09:55:00Z, attributes: {pages: 2}}]}
  a late event begins nothing, and lengthens what had ended:
    - page: {}
    - advance: 1h
    - page: {}
      at: -5h
    - page: {}
      at: -35m
    - expect: {activations: [hello, offer, {name: bye, at: 2026-01-01T09:30:00Z}]}
    - page: {}
      at: -29m
    - advance: 1d
    - expect: {activations: [{name: bye, transition: session_end, at: 2026-01-01T10:01:00Z}]}
`)}
	program, found := recipe.Compile([]recipe.Source{source})
	if program == nil {
		t.Fatal(found)
	}
	cases, broken := Parse([]recipe.Source{source}, program)
	if len(cases) != 3 || broken != nil {
		t.Fatalf("%d tests, %v", len(cases), broken)
	}
	r := New(program)
	for i := range cases {
		for _, f := range r.Run(&cases[i]).Failures {
			t.Errorf("line %d: %s: %s: want %s, got %s", f.Line, f.At, f.What, f.Want, f.Got)
		}
	}
}

func TestFailuresSayWhere(t *testing.T) {
	f := func(step, want string) {
		t.Helper()
		got := try(t, "tests:\n  one:\n    - Order Completed: {total: 60}\n    - "+step+"\n")
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s\n got %q\nwant %q", step, got, want)
		}
	}
	at := "4: 2026-01-01T09:00:00Z: "
	f("expect: {attributes: {orders: 2}}", at+"attribute orders of user_id:somebody: want 2, got 1")
	f("expect: {attributes: {orders: '1'}}", at+`attribute orders of user_id:somebody: want "1" (a string), got 1 (a number)`) // it was: want 1, got 1
	f("expect: {attributes: {orders: one}}", at+`attribute orders of user_id:somebody: want one (a string), got 1 (a number)`)
	f("expect: {attributes: {orders: [1]}}", at+`attribute orders of user_id:somebody: want [1] (a list), got 1 (a number)`)
	f("expect: {attributes: {orders: null}}", at+`attribute orders of user_id:somebody: want null, got 1`)
	f("expect: {activations: [{name: thanks, attributes: {orders: '1'}}]}", at+"activations: want exactly, in this order: thanks orders=\"1\", got + thanks event of user_id:somebody at 2026-01-01T09:00:00Z orders=1 total=60\nmissing or elsewhere: thanks orders=\"1\"")
	f("expect: {attributes: {order: 2}}", at+`attribute order of user_id:somebody: want 2, got there is no attribute "order"; is it orders?`)
	f("expect: {audiences: {rich: true}}", at+"audience rich of user_id:somebody: want in, got out")
	f("expect: {audiences: {lapsed: 2026-01-01}}", at+"audience lapsed of user_id:somebody: want in since 2026-01-01T00:00:00Z, got out")
	f("expect: {audiences: [rich]}", at+"audiences of user_id:somebody: want exactly rich, got  (-rich)")
	f("expect: {consent: {ads: true}}", at+"consent ads of user_id:somebody: want true, got there is no purpose \"ads\"; there are none")
	f("expect: {profile: false}", at+"profile of user_id:somebody: want false, got true")
	f("expect: {sizes: {rich: 1}}", at+"size of rich: want 1, got 0")
	f("expect: {goals: {thanks: {treated: {exposed: 1}}}}", at+"goal of thanks: want a goal, got there is no activation with a goal \"thanks\"; there are none")
	f("expect: {activations: []}", at+"activations: want exactly, in this order: none, got + thanks event of user_id:somebody at 2026-01-01T09:00:00Z orders=1 total=60")
	f("expect: {activations: [thanks, thanks]}", at+"activations: want exactly, in this order: thanks; thanks, got   thanks event of user_id:somebody at 2026-01-01T09:00:00Z orders=1 total=60\nmissing or elsewhere: thanks")
	f("expect: {activations: {include: [rich]}}", at+"activations: want at least rich, got   thanks event of user_id:somebody at 2026-01-01T09:00:00Z orders=1 total=60\nmissing or elsewhere: rich")
	f("{row: {who: a}, map: none}", at+`map: want a mapping of the cookbook, got there is no mapping "none"`)
	f("{Order Completed: {total: x}}", at+"the event: want to be taken, got rejected: wrong_type: properties.total: want number, got string \"x\"")
	f("{Order Completed: {total: 1}, rejected: true}", at+`rejected: want true, got the event is taken: {"event":"Order Completed","properties":{"total":1},"timestamp":"2026-01-01T09:00:00Z","type":"track","userId":"somebody"}`)
	f("at: 2025-01-01", at+"at: want an instant to which the clock can move on, got 2025-01-01T00:00:00Z: the clock stands later; beside an event it would be a late one")
	f("{expect: {profile: true}, at: -1m}", at+"at: want an instant to which the clock can move on, got 2026-01-01T08:59:00Z: the clock stands later; beside an event it would be a late one")
	f("unlink: [user_id:a, user_id:a]", at+"unlink: want two identifiers, got user_id:a and user_id:a are one and the same")
	f("unlink: [email:A@b.example, email:a@b.example]", at+"unlink: want two identifiers, got email:A@b.example and email:a@b.example are one and the same")
	f("{message: {type: nonsense}, rejected: bad_time}", at+`rejected: want bad_time, got no_type: type: want track, identify, page, screen, group or alias, got "nonsense"`)
	f("{Order Completed: {}, who: plate:1}", at+"who: want an identifier of the cookbook, got plate:1: there is no such namespace; there are user_id, crm_id, email, phone, anonymous_id, match_id")
}

func TestTestsThatCannotBeRead(t *testing.T) {
	f := func(tests, want string) {
		t.Helper()
		got := try(t, tests)
		if len(got) == 0 || got[0] != "clocked.test.yml:"+want {
			t.Errorf("%s\n got %q\nwant %q", tests, got, want)
		}
		if !beyondSchema(want) && schemaSays(t, tests) == "" {
			t.Errorf("%s\nthe schema says nothing; the parser: %s", tests, want)
		}
	}
	step := "tests:\n  one:\n    - "
	f("test: {}", "1:1: error: a file of tests holds `tests`, not `test`")
	f("tests: []", "1:8: error: tests is a mapping: the name of each test, and its steps (for instance `tests: {somebody buys: [{Order Completed: {total: 5}}, {expect: {attributes: {orders: 1}}}]}`)")
	f("tests:\n  one: {step: []}", "2:9: error: `step` is not known here (it is one of description, start, who, map, clock, steps)")
	f("tests:\n  one: {}", "2:3: error: the test `one` has no list of steps (`steps` is a list of events, advance and expect)")
	f("tests:\n  one: {start: +1d, steps: []}", "2:16: error: start is a time, since there is nothing before it")
	f("tests:\n  one: {clock: sun, steps: []}", "2:16: error: clock is wall or event, not `sun`")
	f(step+"advance", "3:7: error: a step is a mapping (an event such as `Order Completed: {total: 5}`, `advance: 2d`, or `expect: ...`)")
	f(step+"{}", "3:7: error: the step does nothing (name an event such as `Order Completed`, or advance, at, unlink, expect)")
	f(step+"{page: {}, screen: {}}", "3:18: error: a step does one thing: `page` or `screen` (what may stand beside an event: at, who, id, repeat, every, rejected, context, consent)")
	f(step+"{Order Completed: {}, Order Refunded: {}}", "3:29: error: a step does one thing: `Order Completed` or `Order Refunded` (what may stand beside an event: at, who, id, repeat, every, rejected, context, consent)")
	f(step+"advance: soon", "3:16: error: \"soon\" is no span of time: write 90s, 30m, 1h30m, 30d or 2w")
	f(step+"{page: {}, at: noon}", "3:22: error: \"noon\" is no instant: write 2026-03-01T09:00:00Z, 2026-03-01 09:00, or +2d or -90m from where the clock stands")
	f(step+"{page: {}, who: ada}", "3:23: error: `ada` is no identifier (write namespace:value, as in user_id:ada)")
	f(step+"{page: {}, repeat: 0}", "3:26: error: repeat is a number from 1 to 100,000")
	f(step+"{page: {}, repeat: 3, every: often}", "3:36: error: \"often\" is no span of time: write 90s, 30m, 1h30m, 30d or 2w (it is how long after one repeat the next one happens)")
	f(step+"{page: {}, every: 1d}", "3:25: error: `every` is how long after one repeat the next one happens, and nothing is repeated (write `repeat: 10` beside it)")
	f(step+"{page: {}, repeat: 100000, every: 4w}", "3:41: error: the repeats go on for more than 1,000 years")
	f(step+"{message: {type: page, userId: a, timestamp: 2026-01-05T00:00:00Z}, repeat: 2, every: 1d}", "3:93: error: the message says itself when it was, each time (leave its `timestamp` out, and `at` says when the first one happens)")
	f(step+"{row: {who: a}, map: rows, repeat: 2, every: 1d}", "3:45: error: `every` says nothing beside `row` (what may stand there: at, repeat, rejected, map)")
	f(step+"advance: -3d", "3:16: error: the clock never goes back (`at: -3d` beside an event makes it a late one)")
	f(step+"advance: 1000000w", "3:16: error: \"1000000w\" is no span of time: write 90s, 30m, 1h30m, 30d or 2w")
	f(step+"track: {event: Order Completed}", "3:7: error: there is no step `track`, and no recipe reads an event of that name (an event is named: `Order Completed: {total: 5}` is a track call; one as it is sent stands under `message`)")
	f(step+"row: {a: 1}", "3:7: error: a row needs a mapping (write `map: NAME` beside it, or once for the whole test)")
	f(step+"page: 5", "3:13: error: a mapping is needed here")
	f(step+"expect:", "3:14: error: expect states nothing (it is a mapping of who, profile, attributes, audiences, consent, sizes, goals, activations)")
	f(step+"expect: {attribute: {a: 1}}", "3:16: error: `attribute` is not known here (it is one of who, profile, attributes, audiences, consent, sizes, goals, activations)")
	f(step+"expect: {goals: {thanks: {tried: {}}}}", "3:33: error: `tried` is not known here (it is one of treated, control)")
	f(step+"expect: {goals: {thanks: {treated: {shown: 1}}}}", "3:43: error: `shown` is not known here (it is one of exposed, converted)")
	f(step+"expect: {goals: {thanks: {treated: {exposed: few}}}}", "3:52: error: `exposed` is a number of people (as in `goals: {welcome: {treated: {exposed: 2, converted: 1}, control: {exposed: 1, converted: 0}}}`)")
	f(step+"expect: {activations: vip}", "3:29: error: activations is a list: all that left since the last such list, in order (`{include: [...]}` names only some of them)")
	f(step+"expect: {activations: [{}]}", "3:30: error: an activation has a name (write `vip enter`, `welcome`, or {name: vip, transition: enter, at: +1d})")

	f(step+"expect: {activations: [vip enters]}", "3:30: error: there is no transition `enters` (is it enter?)")
	f(step+"expect: {activations: [{name: vip, transition: in}]}", "3:30: error: there is no transition `in` (there are enter, exit, change, event, session_start, session_end, merged, unmerged, erased)")
	f(step+"expect: {sizes: {rich: many}}", "3:30: error: `rich` is a number of people (as in `sizes: {vip: 2}`)")
	f(step+"unlink: [user_id:a, user_id:b, user_id:c]", "3:15: error: unlink names two identifiers that are never one person (as in `unlink: [user_id:42, anonymous_id:9f31]`)")
	f("tests:\n  one: []", "2:3: error: the test `one` has no list of steps (`steps` is a list of events, advance and expect)")

	// What stands beside something of which it says nothing would not be looked at: an expectation about somebody else passed.
	f(step+"{expect: {profile: false}, who: user_id:b}", "3:34: error: `who` stands beside `expect` (write it into it: `expect: {who: ..}`)")
	f(step+"{who: user_id:b, expect: {profile: false}}", "3:8: error: `who` stands beside `expect` (write it into it: `expect: {who: ..}`)")
	f(step+"{expect: {profile: true}, audiences: [rich]}", "3:33: error: `audiences` stands beside `expect` (write it into it: `expect: {audiences: ..}`)")
	f(step+"{expect: {profile: true}, repeat: 2}", "3:33: error: `repeat` says nothing beside `expect` (what may stand there: at)")
	f(step+"{advance: 1d, at: +1d}", "3:21: error: `at` says nothing beside `advance` (nothing stands beside it)")
	f(step+"{row: {who: a}, map: rows, who: user_id:a}", "3:34: error: `who` says nothing beside `row` (what may stand there: at, repeat, rejected, map)")
	f(step+"{page: {}, map: rows}", "3:18: error: `map` says nothing beside `page` (what may stand there: at, who, id, repeat, every, rejected, context, consent)")
	f(step+"{at: +1d, who: user_id:b}", "3:7: error: the step does nothing (name an event such as `Order Completed`, or advance, at, unlink, expect)")

	// A misspelt step is not taken for an event: it would state nothing, and pass.
	sent := "; to send an event of that name nevertheless: `message: {type: track, event: "
	f(step+"expct: {attributes: {orders: 2}}", "3:7: error: there is no step `expct`, and no recipe reads an event of that name (write `expect`"+sent+"\"expct\", userId: ada}`)")
	f(step+"Expect: {attributes: {orders: 2}}", "3:7: error: there is no step `Expect`, and no recipe reads an event of that name (write `expect`"+sent+"\"Expect\", userId: ada}`)")
	f(step+"{at: +1d, Advnace: 3d}", "3:17: error: there is no step `Advnace`, and no recipe reads an event of that name (write `advance`"+sent+"\"Advnace\", userId: ada}`)")
	f(step+"Page: {path: /}", "3:7: error: there is no step `Page`, and no recipe reads an event of that name (write `page`"+sent+"\"Page\", userId: ada}`)")
	f(step+"rows: {a: 1}", "3:7: error: there is no step `rows`, and no recipe reads an event of that name (write `row`"+sent+"\"rows\", userId: ada}`)")
	f(step+"Order Complted: {total: 60}", "3:7: error: `Order Complted` is nearly `Order Completed`, and no recipe reads an event of that name (write `Order Completed`"+sent+"\"Order Complted\", userId: ada}`)")
	f(step+"order completed: {total: 60}", "3:7: error: `order completed` is nearly `Order Completed`, and no recipe reads an event of that name (write `Order Completed`"+sent+"\"order completed\", userId: ada}`)")
	f(step+"check: {attributes: {orders: 2}, audiences: [rich]}", "3:7: error: `check` holds what an `expect` states, and no recipe reads an event of that name (write `expect`"+sent+"\"check\", userId: ada}`)")
	f("tests: {a: [}", "1:1: error: this is not YAML: did not find expected node content")
	f("tests:\n\tone: []", "2:1: error: a tab is used as indentation (YAML is indented with spaces; replace the tab)")

	f("--- !!python/object:x\ntests: {}", "1:5: error: `!!python/object:x` is a YAML tag that means nothing here (remove it, or put the text that begins with it in quotes)")
	f(step+"page: !!python/object {path: /}", "3:13: error: `!!python/object` is a YAML tag that means nothing here (remove it, or put the text that begins with it in quotes)")
	f(step+"page: {path: !Money 5}", "3:20: error: `!Money` is a YAML tag that means nothing here (remove it, or put the text that begins with it in quotes)")

	// What stands twice would be stated once.
	f("tests:\n  one: [{page: {}}]\n  one: [{page: {}}]", "3:3: error: `one` stands twice (the first is on line 2)")
	f(step+"expect: {attributes: {orders: 1, orders: 2}}", "3:40: error: `orders` stands twice (the first is on line 3)")
	f(step+"{page: {}, at: +1d, at: +2d}", "3:27: error: `at` stands twice (the first is on line 3)")

	// A file that holds no tests does not pass for one whose tests all hold.
	none := "1:1: error: there are no tests in this file (a file of tests begins with `tests:`)"
	f("", none)
	f("# later", none)
	f("~", none)
	f("- page: {}", none)
	f("tests: {}\n---\ntests: {}", "2:1: error: a second document begins here (one file has one `tests`: remove the `---`)")
}

// What a recipe reads is an event whatever its name, and so is what is no near miss.
func TestEventsWithNamesLikeSteps(t *testing.T) {
	program, found := recipe.Compile([]recipe.Source{{Name: "names.yml", Text: []byte("recipe: names\nattributes: {n: {kind: count, on: [Expects, Viewed, Page]}}\n")}})
	if program == nil {
		t.Fatal(found)
	}
	for _, step := range []string{"Expects: {attributes: {a: 1}}", "Page: {}", "Viewed: {audiences: [a]}", "Row Added: {}", "Rate: {}", "View: {}", "Check: {attributes: {a: 1}, total: 5}", "Check: {}", "Check: ~"} {
		cases, broken := Parse([]recipe.Source{{Name: "names.test.yml", Text: []byte("tests:\n  one:\n    - " + step + "\n")}}, program)
		if len(cases) != 1 || len(broken) > 0 {
			t.Errorf("%s: %v", step, broken)
		}
	}
}

// What activations are for is counted, of people and of accounts, and what a test states wrongly is told.
func TestGoals(t *testing.T) {
	program, found := recipe.Compile([]recipe.Source{{Name: "goals.yml", Text: []byte(`
recipe: goals
attributes: {works_at: {kind: set, add: {on: group, value: groupId}}}
activations:
  letter: {on: {event: Visit}, goal: {on: Order, within: 1d, hold_back: 99%}}
accounts:
  member_of: works_at
  activations:
    call: {on: {event: group}, goal: {on: Order, where: properties.total > 5, within: 1d}}
`)}})
	if program == nil {
		t.Fatal(found)
	}
	cases, broken := Parse([]recipe.Source{{Name: "goals.test.yml", Text: []byte(`tests:
  one:
    - group: {}
      who: [user_id:ada, account:acme]
    - Visit: {}
    - Order: {total: 9}
      who: [user_id:somebody, account:acme]
      at: +1d
    - expect:
        goals: {letter: {treated: {exposed: 0}, control: {exposed: 1, converted: 1}}, call: {treated: {exposed: 1, converted: 1}, control: {exposed: 0}}}
    - expect:
        goals: {letter: {treated: {exposed: 1}}, call: {control: {converted: 2}}}
`)}}, program)
	if len(broken) > 0 {
		t.Fatal(broken)
	}
	var got []string
	for _, f := range New(program).Run(&cases[0]).Failures {
		got = append(got, fmt.Sprintf("%d %s: %s, %s", f.Line, f.What, f.Want, f.Got))
	}
	if want := []string{"12 exposed of goal of letter, treated: 1, 0", "12 converted of goal of call, control: 2, 0"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// I3: what no test touched is named, a rule for each event.
func TestCoverage(t *testing.T) {
	program, _ := recipe.Compile([]recipe.Source{{Name: "clocked.yml", Text: []byte(clocked)}})
	r := New(program)
	cases, _ := Parse([]recipe.Source{{Name: "t.test.yml", Text: []byte("tests:\n  one:\n    - Order Completed: {total: 60}\n    - advance: 365d\n")}}, program)
	r.Run(&cases[0])
	want := "attribute total on Order Refunded, attribute never on Never Sent, audience rich, audience ghosts, mapping rows"
	if got := r.Coverage(); strings.Join(got.Untouched, ", ") != want || got.Touched != 6 || got.Rules != 11 {
		t.Errorf("%d of %d, not:\n got %s\nwant %s", got.Touched, got.Rules, strings.Join(got.Untouched, ", "), want)
	}
	if got := r.Coverage().String(); !strings.HasPrefix(got, "6 of 11 rules touched; not: attribute total") {
		t.Error(got)
	}
}

// What is recorded is a test that gives the profile again; events of others and what is no event are left out.
func TestRecord(t *testing.T) {
	program, _ := recipe.Compile([]recipe.Source{{Name: "clocked.yml", Text: []byte(clocked)}})
	r := NewRecorder(program, "user_id:ada", []string{"email:ada@example.com"})
	const base = defaultStart
	r.Take([]byte(`{"type":"track","event":"Order Completed","userId":"ada","timestamp":"2026-01-01T08:00:00Z",`+"\n"+`"properties":{"total":60}}`), base+2000)
	r.Take([]byte(`{"type":"track","event":"Order Completed","userId":"bob","properties":{"total":7}}`), base+3000)
	r.Take([]byte(`no event`), base+3500)
	r.Take([]byte(`{"type":"track","event":"Order Completed","userId":"ada","properties":{"total":5,"note":"it's \"fine\": # yes"}}`), base+1000)
	r.Take([]byte(`{"type":"identify","traits":{"email":"Ada@example.com"}}`), base+4000)
	if r.Len() != 3 {
		t.Fatalf("%d messages", r.Len())
	}
	profile := `{"id":"user_id:ada","attributes":{"orders":2,"orders_7d":2,"last_order":"2026-01-01T09:00:01Z","total":65},` +
		`"audiences":{"lapsed":{"since":"2026-06-30T09:00:01.001Z"}},"consent":{}}`
	text, err := r.Write([]byte(profile), base+4000)
	if err != nil {
		t.Fatal(err)
	}
	failed := try(t, string(text))
	if want := "19: 2026-01-01T09:00:04Z: audience lapsed of user_id:ada: want in since 2026-06-30T09:00:01.001Z, got out"; len(failed) != 1 || failed[0] != want {
		t.Errorf("%s\n%q", text, failed)
	}
	if !strings.HasPrefix(string(text), "tests:\n  \"recorded user_id:ada\":\n    start: 2026-01-01T09:00:01Z\n") {
		t.Errorf("%s", text)
	}

	// Nobody has been anything yet: the test states so and can be read.
	text, err = NewRecorder(program, "user_id:eve", nil).Write([]byte(`{"id":"user_id:eve"}`), base)
	if err != nil {
		t.Fatal(err)
	}
	if failed := try(t, string(text)); len(failed) > 0 {
		t.Errorf("%s\n%q", text, failed)
	}
}

// readShop reads the recipe of the shop and its tests.
func readShop(t testing.TB) (*recipe.Program, []Case) {
	t.Helper()
	read := func(name string) recipe.Source {
		text, err := os.ReadFile(filepath.Join("../../pipeline/recipe/testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return recipe.Source{Name: name, Text: text}
	}
	program, found := recipe.Compile([]recipe.Source{read("shop.yml")})
	cases, broken := Parse([]recipe.Source{read("shop.test.yml")}, program)
	if program == nil || len(broken) > 0 {
		t.Fatal(found, broken)
	}
	return program, cases
}

// The tests of the shop hold, again and again: cases share a program and nothing else. What it costs is for the benchmark to say.
func TestThousandCases(t *testing.T) {
	program, cases := readShop(t)
	begin := time.Now()
	r := New(program)
	n := 1000
	if testing.Short() {
		n = 100
	}
	for i := range n {
		if result := r.Run(&cases[i%len(cases)]); len(result.Failures) > 0 {
			t.Fatal(result.Failures)
		}
	}
	t.Logf("%d cases in %v", n, time.Since(begin))
}

func BenchmarkThousandCases(b *testing.B) {
	program, cases := readShop(b)
	for b.Loop() {
		r := New(program)
		for i := range 1000 {
			r.Run(&cases[i%len(cases)])
		}
	}
}

// What stands behind a second --- was passed over: its tests never ran, and nothing said so.
func TestSecondDocument(t *testing.T) {
	cases, found := Parse([]recipe.Source{{Name: "a.test.yml", Text: []byte("tests:\n  one:\n    - page: {}\n---\ntests:\n  two:\n    - page: {}\n")}}, nil)
	if len(cases) != 1 || len(found) != 1 || found[0].Line != 4 || !strings.Contains(found[0].Message, "a second document begins here") {
		t.Errorf("%d tests, found %+v", len(cases), found)
	}
}
