package httpapi

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

// scoresPath ends the path of a request for the factors of a profile's scores.
const scoresPath = "/scores"

// asksScores says whether a request for a profile asks for its scores, and of which identifier.
func asksScores(r *http.Request) (id string, ok bool) {
	if !strings.HasSuffix(r.URL.EscapedPath(), scoresPath) {
		return "", false
	}
	return strings.TrimSuffix(r.PathValue("id"), scoresPath), true
}

// scores answers GET /v1/profiles/{id}/scores: what each input of each score adds to it, the largest first.
func (a *API) scores(w http.ResponseWriter, r *http.Request, id string) {
	namespace, value, ok := identifier(w, id)
	if !ok {
		return
	}
	p := newPage()
	defer p.free()
	if !a.lookup(w, r, id, namespace, value, func(v *shard.View) { p.buf = appendScores(p.buf, v) }) {
		return
	}
	p.buf = append(p.buf, '\n')
	send(w, r, p.buf)
}

func appendScores(dst []byte, v *shard.View) []byte {
	dst = attribute.AppendQuoted(append(dst, `{"profile":`...), v.AppendID(nil))
	dst = append(dst, `,"scores":[`...)
	first := true
	for i := range v.Program.Attributes {
		a := &v.Program.Attributes[i]
		if a.Score == nil {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendScore(dst, a, v)
	}
	return append(dst, `]}`...)
}

func appendScore(dst []byte, a *recipe.Attribute, v *shard.View) []byte {
	model := a.Score.Model
	adds, base := a.Score.Factors(nil, &v.Env)
	dst = attribute.AppendQuoted(append(dst, `{"score":`...), []byte(a.Name))
	dst = a.AppendJSON(append(dst, `,"value":`...), &v.Env)
	dst = attribute.AppendQuoted(append(dst, `,"model":`...), []byte(model.Format()))
	dst = attribute.AppendQuoted(append(dst, `,"unit":`...), []byte(model.Unit()))
	dst = appendFactor(append(dst, `,"base":`...), base)
	dst = append(dst, `,"factors":[`...)
	order := make([]int, len(adds))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(math.Abs(adds[y]), math.Abs(adds[x])) })
	for n, k := range order {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = attribute.AppendQuoted(append(dst, `{"input":`...), []byte(model.Inputs()[k].Name))
		dst = appendInput(append(dst, `,"value":`...), a.Score.Input(k, &v.Env))
		dst = append(appendFactor(append(dst, `,"adds":`...), adds[k]), '}')
	}
	return append(dst, `]}`...)
}

func appendInput(dst []byte, v event.Value) []byte {
	switch v.Kind {
	case event.Number:
		return attribute.AppendNumber(dst, math.Float64frombits(v.Bits))
	case event.Bool:
		return strconv.AppendBool(dst, v.Bits != 0)
	case event.String:
		return attribute.AppendQuoted(dst, v.Str)
	}
	return append(dst, "null"...)
}

// appendFactor appends a number; null if it is none, which JSON cannot say.
func appendFactor(dst []byte, v float64) []byte {
	if v-v != 0 {
		return append(dst, "null"...)
	}
	return attribute.AppendNumber(dst, v)
}
