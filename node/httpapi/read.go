package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"dashi/pipeline/recipe"
	"dashi/pipeline/say"
	"dashi/pipeline/spell"
	"dashi/shard"
)

// page is a buffer that profiles are written into under a shard's lock.
type page struct {
	buf  []byte
	seen int
	more func(*shard.View) // p.appendView, made once
}

var pages = sync.Pool{New: func() any {
	p := new(page)
	p.more = p.appendView
	return p
}}

// keepPage is the largest buffer that goes back into the pool.
const keepPage = 1 << 20

func newPage() *page {
	p := pages.Get().(*page)
	p.buf, p.seen = p.buf[:0], 0
	return p
}

func (p *page) free() {
	if cap(p.buf) <= keepPage {
		pages.Put(p)
	}
}

// appendView appends a profile, with a comma before all but the first.
func (p *page) appendView(v *shard.View) {
	if p.seen > 0 {
		p.buf = append(p.buf, ',')
	}
	p.seen++
	p.buf = v.AppendJSON(p.buf)
}

// cut splits namespace:value at the first colon.
func cut(id string) (namespace, value []byte, ok bool) {
	n, v, ok := strings.Cut(id, ":")
	return []byte(n), []byte(v), ok && n != "" && v != ""
}

// identifier splits an identifier of a request; when it is none, it has answered.
func identifier(w http.ResponseWriter, id string) (namespace, value []byte, ok bool) {
	if namespace, value, ok = cut(id); !ok {
		fail(w, http.StatusBadRequest, "bad_identifier", "cannot read identifier "+say.Quote(id), idHint)
	}
	return namespace, value, ok
}

const idHint = "an identifier is namespace:value, as in user_id:42"

func (a *API) profile(w http.ResponseWriter, r *http.Request) {
	if of, ok := explains(r); ok {
		if name := r.URL.Query().Get("audience"); name != "" {
			a.explain(w, r, of, name)
		} else {
			a.explainLinks(w, r, of)
		}
		return
	}
	if of, ok := asksScores(r); ok {
		a.scores(w, r, of)
		return
	}
	if of, ok := asksEvents(r); ok {
		a.events(w, r, of)
		return
	}
	if of, ok := exports(r); ok {
		a.export(w, r, of)
		return
	}
	id := r.PathValue("id")
	namespace, value, ok := identifier(w, id)
	if !ok {
		return
	}
	p := newPage()
	defer p.free()
	if !a.lookup(w, r, id, namespace, value, p.more) {
		return
	}
	p.buf = append(p.buf, '\n')
	send(w, r, p.buf)
}

// lookup is Backend.Lookup; when it is false, the client has been told why.
func (a *API) lookup(w http.ResponseWriter, r *http.Request, id string, namespace, value []byte, fn func(*shard.View)) bool {
	a.count(Lookups, 1)
	found, err := a.backend.Lookup(r.Context(), namespace, value, fn)
	switch {
	case errors.Is(err, ErrNobody):
		failNobody(w, id, namespace, err)
		return false
	case err != nil:
		failRead(w, err)
		return false
	case !found:
		failNobody(w, id, namespace, nil)
		return false
	}
	return true
}

// failNobody answers that nobody has an identifier, or that there is no such account. why may be nil.
func failNobody(w http.ResponseWriter, id string, namespace []byte, why error) {
	what := "profile"
	if string(namespace) == recipe.AccountNamespace {
		what = "account"
	}
	message := "there is no " + what + " " + say.Quote(id)
	if why != nil {
		message += ": " + why.Error()
	}
	fail(w, http.StatusNotFound, "not_found", message, "")
}

// failName answers that there is no audience or activation of a name: which one was probably meant, and where they are listed.
func failName(w http.ResponseWriter, code, what, name string, names []string) {
	hint := "GET /v1/" + what + "s lists them"
	if near := spell.Closest(name, names); near != "" {
		hint = "is it " + near + "? " + hint
	}
	fail(w, http.StatusNotFound, code, "there is no "+what+" "+say.Quote(name), hint)
}

// audienceNames are those of the present program; none when nobody could be asked.
func (a *API) audienceNames(ctx context.Context) (names []string) {
	all, _ := a.backend.Audiences(ctx) // for a hint
	for i := range all {
		names = append(names, all[i].Name)
	}
	return names
}

// failRead answers why something could not be read.
func failRead(w http.ResponseWriter, err error) {
	if errors.Is(err, ErrUnavailable) {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, "unavailable", err.Error(), "")
		return
	}
	fail(w, http.StatusInternalServerError, "internal", "cannot answer: "+err.Error(), "")
}

func (a *API) batchGet(w http.ResponseWriter, r *http.Request) {
	var q struct {
		IDs []string `json:"ids"`
	}
	if !a.ask(w, r, &q) {
		return
	}
	if len(q.IDs) > a.limits.BatchGet {
		fail(w, http.StatusBadRequest, "too_many", "ids has "+strconv.Itoa(len(q.IDs))+" elements", "at most "+strconv.Itoa(a.limits.BatchGet)+" at once")
		return
	}
	p := newPage()
	defer p.free()
	p.buf = append(p.buf, `{"profiles":[`...)
	ids := make([]Identifier, len(q.IDs))
	for i, id := range q.IDs {
		namespace, value, ok := cut(id)
		if !ok {
			fail(w, http.StatusBadRequest, "bad_identifier", "cannot read identifier "+say.Quote(id), idHint)
			return
		}
		ids[i] = Identifier{namespace, value}
	}
	a.count(Lookups, int64(len(ids)))
	err := a.backend.LookupAll(r.Context(), ids, func(v *shard.View) {
		if v != nil {
			p.appendView(v)
			return
		}
		if p.seen > 0 {
			p.buf = append(p.buf, ',')
		}
		p.seen++
		p.buf = append(p.buf, "null"...)
	})
	if err != nil {
		failRead(w, err)
		return
	}
	p.buf = append(p.buf, "]}\n"...)
	send(w, r, p.buf)
}

// ask reads the JSON body of a question into v; when it cannot, it has answered.
func (a *API) ask(w http.ResponseWriter, r *http.Request, v any) bool {
	return a.askUpTo(w, r, a.limits.QueryBytes, v)
}

func (a *API) askUpTo(w http.ResponseWriter, r *http.Request, limit int, v any) bool {
	if e := encodingOf(r); e != "" && e != "identity" {
		failEncoding(w, fmt.Errorf("%w %s", errUnknown, say.Quote(e)), "identity", "only events may be sent in gzip: send this plain, without Content-Encoding")
		return false
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, int64(limit)))
	d.DisallowUnknownFields() // a misspelt "limit" would otherwise be no limit
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return true
		} else if err == nil {
			err = errors.New("something stands behind the object")
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		fail(w, http.StatusRequestEntityTooLarge, "too_large", "the body has more than "+strconv.Itoa(limit)+" bytes", "")
		return false
	}
	message, hint := bodyWords(err, v)
	fail(w, http.StatusBadRequest, "bad_json", "cannot read the body: "+message, hint)
	return false
}

func (a *API) query(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Where  string `json:"where"`
		Of     string `json:"of"`
		Limit  *int   `json:"limit"`
		Cursor string `json:"cursor"`
	}
	if !a.ask(w, r, &q) {
		return
	}
	from, err := ParseCursor(q.Cursor)
	limit := defaultSample
	if q.Limit != nil {
		limit = *q.Limit
	}
	switch {
	case strings.TrimSpace(q.Where) == "":
		fail(w, http.StatusBadRequest, "bad_query", `"where" is missing`, `write an expression as in an audience, {"where": "orders > 3"}`)
		return
	case q.Of != "" && q.Of != "people" && q.Of != "accounts":
		fail(w, http.StatusBadRequest, "bad_query", `"of" is `+say.Quote(q.Of), `"people", which it is without it, or "accounts"`)
		return
	case err != nil:
		fail(w, http.StatusBadRequest, "bad_cursor", err.Error(), "a cursor is what an earlier answer gave")
		return
	case limit < 0 || limit > a.limits.QueryLimit:
		fail(w, http.StatusBadRequest, "bad_limit", "limit is "+strconv.Itoa(limit), "0 to "+strconv.Itoa(a.limits.QueryLimit))
		return
	}
	p := newPage()
	defer p.free()
	p.buf = append(p.buf, `"sample":[`...)
	ctx, cancel := context.WithTimeout(r.Context(), a.limits.QueryTime)
	defer cancel()
	found, err := a.backend.Query(ctx, Query{Where: q.Where, Accounts: q.Of == "accounts", Limit: limit, From: from}, p.more)
	if err != nil {
		a.failQuery(w, err)
		return
	}
	p.buf = append(p.buf, ']')
	if found.More {
		p.buf = append(p.buf, `,"cursor":"`+found.Next.String()+`"`...)
	}
	p.buf = append(p.buf, "}\n"...)
	send(w, r, append([]byte(`{"count":`+strconv.FormatInt(found.Count, 10)+","), p.buf...))
}

// defaultSample is how many profiles an answer to a query has when it does not say.
const defaultSample = 10

func (a *API) failQuery(w http.ResponseWriter, err error) {
	var bad *BadQuery
	switch {
	case errors.As(err, &bad) && bad.Hint == "" && strings.HasPrefix(bad.Message, "unknown name"):
		fail(w, http.StatusBadRequest, "bad_query", bad.Message, "a name is an attribute, as GET /v1/profiles/NS:VALUE shows them, or an audience, as GET /v1/audiences lists them")
	case errors.As(err, &bad):
		fail(w, http.StatusBadRequest, "bad_query", bad.Message, bad.Hint)
	case errors.Is(err, ErrSwitching):
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, "switching", err.Error(), "ask again in a second")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		fail(w, http.StatusGatewayTimeout, "timeout", "the query did not end within "+say.Span(a.limits.QueryTime), "make an audience of it: who is in it is known at all times; loops within loops take the longest")
	default:
		failRead(w, err)
	}
}

func (a *API) audiences(w http.ResponseWriter, r *http.Request) {
	list, err := a.backend.Audiences(r.Context())
	if err != nil {
		failRead(w, err)
		return
	}
	if list == nil {
		list = []Audience{}
	}
	if r.URL.Query().Get("moved") == "true" {
		moved, err := a.backend.Moved(r.Context())
		if err != nil {
			failRead(w, err)
			return
		}
		for i := range min(len(list), len(moved)) { // another cookbook in between has others: the next answer is right
			list[i].Moved = &moved[i]
		}
	}
	answer(w, r, map[string]any{"audiences": list})
}

func (a *API) ready(w http.ResponseWriter, r *http.Request) {
	if err := a.backend.Ready(); err != nil {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, "not_ready", err.Error(), "")
		return
	}
	state := map[string]any{"ready": true}
	if why := a.backend.HeldBack(); why != "" {
		state["held_back"] = why
	}
	answer(w, r, state)
}

// defaultIdleWait is for ?wait=idle without a timeout.
const defaultIdleWait = 30 * time.Second

func (a *API) status(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch q.Get("wait") {
	case "":
	case "idle":
		wait := defaultIdleWait
		if text := q.Get("timeout"); text != "" {
			var err error
			if wait, err = time.ParseDuration(text); err != nil || wait <= 0 || wait > a.limits.IdleWait {
				fail(w, http.StatusBadRequest, "bad_timeout", "cannot use timeout "+say.Quote(text), "a duration of at most "+say.Span(a.limits.IdleWait)+", as in 30s")
				return
			}
		}
		// The server's own time-outs are for quick answers.
		c := http.NewResponseController(w)
		c.SetReadDeadline(time.Time{})
		c.SetWriteDeadline(time.Now().Add(wait + a.limits.Write))
		ctx, cancel := context.WithTimeout(r.Context(), wait)
		defer cancel()
		if err := a.backend.WaitIdle(ctx); err != nil {
			if ctx.Err() != nil {
				why := strings.TrimSuffix(err.Error(), ": "+context.DeadlineExceeded.Error())
				fail(w, http.StatusGatewayTimeout, "timeout", "events were still under way after "+wait.String()+": "+why,
					"wait longer with ?timeout=, or see GET /v1/status for what is behind")
			} else {
				fail(w, http.StatusInternalServerError, "internal", "cannot wait: "+err.Error(), "")
			}
			return
		}
	default:
		fail(w, http.StatusBadRequest, "bad_wait", "cannot wait for "+say.Quote(q.Get("wait")), "wait=idle")
		return
	}
	answer(w, r, a.backend.Status(r.URL.Query().Get("hashes") == "true"))
}
