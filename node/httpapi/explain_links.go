package httpapi

import (
	"net/http"
	"strings"

	"dashi/shard"
)

// explainPath is what follows an identifier when it is asked why it belongs where it does. A value that ends so is looked up with
// its slash written %2F.
const explainPath = "/explain"

// explains says whether a request for a profile asks for its explanation, and of which identifier.
func explains(r *http.Request) (id string, ok bool) {
	if !strings.HasSuffix(r.URL.EscapedPath(), explainPath) {
		return "", false
	}
	return strings.TrimSuffix(r.PathValue("id"), explainPath), true
}

// explainLinks answers GET /v1/profiles/{id}/explain: why identifiers are one profile: which event linked which, when, and what a rule refused.
// Of an account it answers who belongs to it, and what each contributes.
func (a *API) explainLinks(w http.ResponseWriter, r *http.Request, id string) {
	namespace, value, ok := identifier(w, id)
	if !ok {
		return
	}
	p := newPage()
	defer p.free()
	if !a.lookup(w, r, id, namespace, value, func(v *shard.View) {
		if v.IsAccount() {
			p.buf = v.AppendPeople(p.buf)
		} else {
			p.buf = v.AppendExplanation(p.buf)
		}
	}) {
		return
	}
	p.buf = append(p.buf, '\n')
	send(w, r, p.buf)
}
