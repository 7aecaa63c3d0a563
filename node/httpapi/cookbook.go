package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"dashi/pipeline/recipe"
	"dashi/pipeline/say"
)

// Cookbook is what GET /v1/cookbook answers: the recipes in force on this node, and the cookbook that is on its way, if one is.
type Cookbook struct {
	Version   uint64     `json:"version"`
	At        time.Time  `json:"at"`   // when it was committed
	Hash      string     `json:"hash"` // 16 hex digits, as activations carry it
	Switching *Switching `json:"switching,omitempty"`
	Refused   *Refusal   `json:"refused,omitempty"`
	Sources   []Source   `json:"sources"`
}

// Source is one recipe file, or the file of a model.
type Source struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Switching is a cookbook that has been committed and is coming into force.
type Switching struct {
	Version  uint64 `json:"version"`
	Shards   int    `json:"shards"`
	Held     int    `json:"held"`     // shards that take no more events until it is in force
	Switched int    `json:"switched"` // shards that have it
}

// Refusal is the last cookbook that was committed and did not come into force, because a shard could not follow.
type Refusal struct {
	Version uint64 `json:"version"`
	Reason  string `json:"reason"`
}

// Application is a cookbook that shall come into force.
type Application struct {
	Sources []Source `json:"sources"`
	DryRun  bool     `json:"-"` // only say what it would change
	Forget  bool     `json:"-"` // although that loses what attributes, accounts or purposes of consent know
}

// Applied is what became of an Application.
type Applied struct {
	Version     uint64          `json:"version"` // that it has; of the one in force after a dry run
	Same        bool            `json:"same"`    // it is in force already
	Changes     *recipe.Changes `json:"changes"`
	Losses      []string        `json:"losses"` // what forgets all it knows
	Diagnostics []Diagnostic    `json:"diagnostics"`
}

// Diagnostic is one finding of check.
type Diagnostic struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

// Diagnostics are findings as the interface shows them.
func Diagnostics(found []recipe.Diagnostic) []Diagnostic {
	all := []Diagnostic{}
	for _, d := range found {
		all = append(all, Diagnostic{d.File, d.Line, d.Column, d.Severity.String(), d.Message, d.Hint})
	}
	return all
}

// BadCookbook is a cookbook with errors.
type BadCookbook struct{ Diagnostics []Diagnostic }

func (e *BadCookbook) Error() string { return "the cookbook has errors" }

// Errors of Backend.Apply.
var (
	ErrForgets  = errors.New("what is known would be forgotten") // and Application.Forget was not set; Applied says which
	ErrUnfit    = errors.New("the cookbook cannot follow the one in force")
	ErrUnderWay = errors.New("another cookbook is on its way")
)

// cookbookBytes bounds the body: a cookbook has 1 MiB, and in JSON a line end takes two bytes.
const cookbookBytes = 3 << 20

// putCookbook applies a cookbook. It answers when that is committed; GET shows how it comes into force.
func (a *API) putCookbook(w http.ResponseWriter, r *http.Request) {
	var app Application
	var err error
	if app.DryRun, err = flagOf(r, "dry_run"); err == nil {
		app.Forget, err = flagOf(r, "forget")
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "bad_request", err.Error(), "")
		return
	}
	if !a.askUpTo(w, r, cookbookBytes, &app) {
		return
	}
	if len(app.Sources) == 0 {
		fail(w, http.StatusBadRequest, "bad_request", "there are no recipes", `the body is {"sources":[{"name":"shop.yml","text":".."}]}`)
		return
	}
	applied, err := a.backend.Apply(r.Context(), app)
	var bad *BadCookbook
	switch {
	case err == nil:
		answer(w, r, applied)
	case errors.As(err, &bad):
		failWith(w, http.StatusUnprocessableEntity, "bad_cookbook", err.Error(), "dashi check shows the same without a node", "diagnostics", bad.Diagnostics)
	case errors.Is(err, ErrForgets):
		failWith(w, http.StatusConflict, "forgets", err.Error()+": "+strings.Join(applied.Losses, ", "), "?forget=true, or dashi apply --forget, if that is meant; --dry-run shows all changes", "applied", applied)
	case errors.Is(err, ErrUnfit):
		fail(w, http.StatusConflict, "unfit", err.Error(), "")
	case errors.Is(err, ErrUnderWay):
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, "switching", err.Error(), "GET /v1/cookbook shows how far it is")
	default:
		fail(w, http.StatusServiceUnavailable, "unavailable", "cannot apply the cookbook: "+err.Error(), "")
	}
}

// flagOf reads a parameter that is true or false, or not there.
func flagOf(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	set, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New(name + " is " + say.Quote(text) + ": true or false")
	}
	return set, nil
}

// failWith is fail with one more member in the answer.
func failWith(w http.ResponseWriter, status int, code, message, hint, name string, value any) {
	b, _ := say.JSON(map[string]any{"error": map[string]string{"code": code, "message": message, "hint": hint}, name: value})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}
