package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// Receipt is the answer to DELETE /v1/profiles/{id}.
type Receipt struct {
	Erased      bool      `json:"erased"`  // false: nobody was known by that identifier; nothing older than At comes back in any case
	Profile     string    `json:"profile"` // its id until then
	Identifiers []string  `json:"identifiers"`
	At          time.Time `json:"at"` // what happened until then is not taken in any more
}

// erase answers DELETE /v1/profiles/{id}: the person is taken out, with all identifiers.
func (a *API) erase(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	namespace, value, ok := identifier(w, id)
	if !ok {
		return
	}
	receipt, err := a.receipt(r.Context(), namespace, value)
	if err == nil {
		receipt.At, err = a.backend.Erase(r.Context(), id)
	}
	switch {
	case errors.Is(err, ErrIdentifier):
		fail(w, http.StatusBadRequest, "bad_identifier", "cannot erase: "+err.Error(), "GET /v1/cookbook shows the namespaces")
	case err != nil:
		fail(w, http.StatusServiceUnavailable, "unavailable", "cannot erase: "+err.Error(), "try again: to say it twice does no harm")
	default:
		answer(w, r, receipt)
	}
}

// receipt is what is known of somebody who is about to be erased.
func (a *API) receipt(ctx context.Context, namespace, value []byte) (*Receipt, error) {
	r := &Receipt{Identifiers: []string{}}
	p := newPage()
	defer p.free()
	var err error
	if r.Erased, err = a.backend.Lookup(ctx, namespace, value, p.more); errors.Is(err, ErrNobody) {
		return r, nil
	}
	if !r.Erased || err != nil {
		return r, err
	}
	var profile struct {
		ID          string
		Identifiers []struct{ Namespace, Value string }
	}
	if err := json.Unmarshal(p.buf, &profile); err != nil {
		return nil, err
	}
	r.Profile = profile.ID
	for _, i := range profile.Identifiers {
		r.Identifiers = append(r.Identifiers, i.Namespace+":"+i.Value)
	}
	return r, nil
}

// exportPath is what follows an identifier when everything about it is asked for.
const exportPath = "/export"

// exports says whether a request for a profile asks for its export, and of which identifier.
func exports(r *http.Request) (id string, ok bool) {
	if !strings.HasSuffix(r.URL.EscapedPath(), exportPath) {
		return "", false
	}
	return strings.TrimSuffix(r.PathValue("id"), exportPath), true
}

// export answers GET /v1/profiles/{id}/export: all that is kept about a person, and nothing about those who share something with them.
func (a *API) export(w http.ResponseWriter, r *http.Request, id string) {
	namespace, value, ok := identifier(w, id)
	if !ok {
		return
	}
	p := newPage()
	defer p.free()
	p.buf = append(p.buf, `{"exported_at":"`...)
	p.buf = a.now().UTC().AppendFormat(p.buf, time.RFC3339)
	p.buf = append(p.buf, `","cookbook":"`+a.backend.Cookbook().Hash+`","profile":`...)
	if !a.lookup(w, r, id, namespace, value, p.more) {
		return
	}
	p.buf = append(p.buf, "}\n"...)
	w.Header().Set("Content-Disposition", "attachment; filename=profile.json")
	send(w, r, p.buf)
}
