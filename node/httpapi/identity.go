package httpapi

import (
	"errors"
	"net/http"

	"dashi/pipeline/say"
)

// ErrIdentifier is wrapped by Unlink when an identifier cannot be one: its namespace is not in the cookbook, or its value is blocked.
var ErrIdentifier = errors.New("not an identifier of the cookbook")

// ErrNobody is wrapped by Lookup when a rule says that nobody can have an identifier: there is no such namespace, its value is blocked or of
// another form, or it was seen with so many that it is nobody's.
var ErrNobody = errors.New("nobody can have this identifier")

// ErrSame is returned by Unlink for an identifier and itself.
var ErrSame = errors.New("an identifier cannot be unlinked from itself")

// unlink answers POST /v1/identity:unlink {"a", "b"}: the two are never one person, from now on and in hindsight.
func (a *API) unlink(w http.ResponseWriter, r *http.Request) {
	var in struct{ A, B string }
	if !a.ask(w, r, &in) {
		return
	}
	for _, id := range []string{in.A, in.B} {
		if _, _, ok := cut(id); !ok {
			fail(w, http.StatusBadRequest, "bad_identifier", "cannot read identifier "+say.Quote(id), `{"a": "user_id:42", "b": "anonymous_id:9f"}; `+idHint)
			return
		}
	}
	switch err := a.backend.Unlink(r.Context(), in.A, in.B); {
	case errors.Is(err, ErrIdentifier):
		fail(w, http.StatusBadRequest, "bad_identifier", "cannot unlink: "+err.Error(), "GET /v1/cookbook shows the namespaces")
	case errors.Is(err, ErrSame):
		fail(w, http.StatusBadRequest, "bad_identifier", err.Error(), "give two different identifiers of one profile")
	case err != nil:
		fail(w, http.StatusServiceUnavailable, "unavailable", "cannot unlink: "+err.Error(), "try again: to say it twice does no harm")
	default:
		answer(w, r, map[string]bool{"unlinked": true})
	}
}
