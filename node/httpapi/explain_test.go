package httpapi

import (
	"math"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/recipe"
)

func TestExplain(t *testing.T) {
	f := newFake()
	f.program.Audiences[0].Source = "orders > 2"
	count, err := attribute.New(attribute.Spec{Kind: "count"})
	if err != nil {
		t.Fatal(err)
	}
	f.program.Attributes = []recipe.Attribute{{Name: "orders", Type: attribute.Number, Kind: count, Slot: attribute.Slot{Segment: -1}}}
	f.put("user_id:ada", 3, 0)
	f.put("user_id:a/b", 1)
	api := newTestAPI(f, nil)
	ask := func(path string, status int, want string) {
		t.Helper()
		r := do(api, "GET", path, nil)
		if r.Code != status || !strings.Contains(r.Body.String(), want) {
			t.Errorf("%s: %d %s", path, r.Code, r.Body)
		}
	}
	ask("/v1/profiles/user_id:ada/explain?audience=vip", 200, `{"profile":"user_id:ada","audience":"vip","in":true,"since":"2025-11-24T16:00:00Z","now":"1970-01-01T00:00:00Z","condition":"orders > 2","next_change":null,"parts":[`+
		`{"depth":0,"text":"orders > 2","condition":true,"value":true,"next_change":null},{"depth":1,"text":"orders","condition":false,"value":3,"next_change":null}]}`)
	ask("/v1/profiles/user_id:a%2Fb/explain?audience=vip", 200, `"in":false,"since":null`)
	ask("/v1/profiles/user_id:ada/explain?audience=nope", 404, `"there is no audience \"nope\"","hint":"GET /v1/audiences lists them"`)
	ask("/v1/profiles/user_id:ada/explain?audience=vipp", 404, `"there is no audience \"vipp\"","hint":"is it vip? GET /v1/audiences lists them"`)
	ask("/v1/profiles/user_id:bob/explain?audience=vip", 404, `there is no profile`)
	ask("/v1/profiles/ada/explain?audience=vip", 400, `namespace:value`)
}

func TestSetClock(t *testing.T) {
	f := newFake()
	api := newTestAPI(f, nil)
	put := func(body string, status int, want string) {
		t.Helper()
		r := do(api, "PUT", "/v1/clock", strings.NewReader(body))
		if r.Code != status || !strings.Contains(r.Body.String(), want) {
			t.Errorf("%s: %d %s", body, r.Code, r.Body)
		}
	}
	put(`{"follows":"event","to":"2011-12-01T00:00:00Z"}`, 200, `{"follows":"event","now":"2011-12-01T00:00:00Z"}`)
	put(`{"follows":"moon"}`, 400, `the clock cannot follow \"moon\"`)
	put(`{"follow":"event"}`, 400, `unknown field`)
	f.clockFixed = true
	put(`{"follows":"wall"}`, 409, `empty data directory`)
	if !f.byEvents {
		t.Error("the clock follows the time of day")
	}
}

// What compares people changes when thresholds are found out, on the hour; each minute while there is none. So does what reads such an audience.
func TestExplainThresholds(t *testing.T) {
	b := newFake()
	b.program.Levels = []recipe.Level{{Attribute: 0, Percent: 10}}
	b.program.Audiences = []audience.Definition{{Name: "best", Source: "top(orders, 10)", Levels: []int{0}}, {Name: "by_best", Source: "best && orders > 1", Nested: []int{0}}, {Name: "plain", Source: "orders > 1"}}
	b.put("user_id:ada", 3)
	view := b.profiles["user_id:ada"]
	view.Env.Now = testNow.Add(17*time.Minute + 5*time.Second).UnixMilli()
	f := func(name string, levels []float64, want string) {
		t.Helper()
		view.Env.Levels = levels
		w := do(newTestAPI(b, nil), "GET", "/v1/profiles/user_id:ada/explain?audience="+name, nil)
		text := w.Body.String()
		_, got, _ := strings.Cut(text, `"thresholds":`)
		got, _, _ = strings.Cut(got, `,"parts"`)
		if w.Code != 200 || got != want || (want != "") != strings.Contains(text, "thresholds") {
			t.Errorf("%s: %d %s, want %s", name, w.Code, text, want)
		}
	}
	hour, minute := `{"next":"2026-03-01T13:00:00Z","known":true}`, `{"next":"2026-03-01T12:18:00Z","known":false}`
	f("best", []float64{2}, hour)
	f("by_best", []float64{2}, hour)
	f("best", []float64{math.NaN()}, minute)
	f("by_best", []float64{math.NaN()}, minute)
	f("plain", []float64{math.NaN()}, "")
}
