package httpapi

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"dashi/pipeline/recipe"
)

func TestPutCookbook(t *testing.T) {
	b := newFake()
	a := newTestAPI(b, nil)
	f := func(query, body string, applied *Applied, err error, status int, want string) {
		t.Helper()
		b.application, b.applied, b.applyErr = Application{}, applied, err
		w := do(a, "PUT", "/v1/cookbook"+query, strings.NewReader(body))
		if w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s %s: %d %s, want %d %s", query, body, w.Code, w.Body, status, want)
		}
	}
	const body = `{"sources":[{"name":"a.yml","text":"recipe: a\n"}]}`
	asked := func(want Application) {
		t.Helper()
		if want.Sources = []Source{{"a.yml", "recipe: a\n"}}; !reflect.DeepEqual(b.application, want) {
			t.Errorf("asked for %+v, want %+v", b.application, want)
		}
	}
	done := &Applied{Version: 7, Changes: &recipe.Changes{Attributes: []recipe.Change{{Name: "x", Fate: recipe.New}}}}
	f("", body, done, nil, 200, `{"version":7,"same":false,"changes":{"attributes":[{"name":"x","fate":"new"}]`)
	asked(Application{})
	f("?dry_run=true&forget=1", body, done, nil, 200, `"version":7`)
	asked(Application{DryRun: true, Forget: true})
	f("?dry_run=perhaps", body, nil, nil, 400, "true or false")
	f("", `{"sources":[]}`, nil, nil, 400, "there are no recipes")
	f("", `{"recipes":[]}`, nil, nil, 400, "bad_json")
	f("", body, nil, &BadCookbook{[]Diagnostic{{File: "a.yml", Line: 2, Column: 3, Severity: "error", Message: "no", Hint: "yes"}}}, 422,
		`"diagnostics":[{"file":"a.yml","line":2,"column":3,"severity":"error","message":"no","hint":"yes"}]`)
	f("", body, &Applied{Losses: []string{"attribute visits"}}, ErrForgets, 409, "attribute visits")
	f("", body, nil, fmt.Errorf("%w: the namespaces", ErrUnfit), 409, "the namespaces")
	f("", body, nil, ErrUnderWay, 503, "switching")
	f("", body, nil, errors.New("no leader"), 503, "no leader")
}
