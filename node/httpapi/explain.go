package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
	"dashi/pipeline/say"
	"dashi/shard"
)

// explain answers GET /v1/profiles/{id}/explain?audience=NAME: why a profile is in an audience or not, part by part, since when,
// and when that can next change although nothing happens.
func (a *API) explain(w http.ResponseWriter, r *http.Request, id, name string) {
	namespace, value, ok := cut(id)
	if !ok {
		fail(w, http.StatusBadRequest, "bad_identifier", "cannot read identifier "+say.Quote(id), idHint)
		return
	}
	var out []byte
	var trouble string
	var unknown bool
	var names []string // of audiences, when it is unknown
	found := a.lookup(w, r, id, namespace, value, func(v *shard.View) {
		i := slices.IndexFunc(v.Program.Audiences, func(d audience.Definition) bool { return d.Name == name })
		if i < 0 {
			for i := range v.Program.Audiences {
				names = append(names, v.Program.Audiences[i].Name)
			}
			unknown = true
			return
		}
		// The condition is compiled here, under the shard's lock, so that it is that of the profile's cookbook: about a millisecond, for a
		// question that people ask.
		parts, err := v.Program.Explain(i)
		if err != nil {
			trouble = "cannot explain " + say.Quote(name) + ": " + err.Error()
			return
		}
		out = appendExplanation(nil, v, i, parts)
	})
	switch {
	case !found: // and answered
	case unknown:
		failName(w, "not_found", "audience", name, names)
	case trouble != "":
		fail(w, http.StatusNotFound, "not_found", trouble, "GET /v1/audiences lists them")
	default:
		send(w, r, append(out, '\n'))
	}
}

func appendExplanation(dst []byte, v *shard.View, index int, parts []expr.Part) []byte {
	dst = attribute.AppendQuoted(append(dst, `{"profile":`...), v.AppendID(nil))
	dst = attribute.AppendQuoted(append(dst, `,"audience":`...), []byte(v.Program.Audiences[index].Name))
	dst = strconv.AppendBool(append(dst, `,"in":`...), v.In(index))
	dst = append(dst, `,"since":`...)
	since := "null"
	v.EachAudience(func(i int, at int64) {
		if i == index {
			since = string(appendInstant(nil, at))
		}
	})
	dst = append(append(dst, since...), `,"now":`...)
	dst = appendInstant(dst, v.Env.Now)
	dst = append(dst, `,"condition":`...)
	dst = attribute.AppendQuoted(dst, []byte(strings.TrimSpace(v.Program.Audiences[index].Source)))
	dst = append(dst, `,"next_change":`...)
	dst = appendInstant(dst, parts[0].Next(&v.Env))
	if next, unknown, reads := v.NextLevels(index); reads {
		dst = appendInstant(append(dst, `,"thresholds":{"next":`...), next)
		dst = strconv.AppendBool(append(dst, `,"known":`...), !unknown)
		dst = append(dst, '}')
	}
	dst = append(dst, `,"parts":[`...)
	for i := range parts {
		p := &parts[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"depth":`...), int64(p.Depth), 10)
		dst = attribute.AppendQuoted(append(dst, `,"text":`...), []byte(p.Text))
		dst = strconv.AppendBool(append(dst, `,"condition":`...), p.IsCondition())
		dst = p.AppendJSON(append(dst, `,"value":`...), &v.Env)
		dst = appendInstant(append(dst, `,"next_change":`...), p.Next(&v.Env))
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}

func appendInstant(dst []byte, ms int64) []byte {
	if ms == expr.Never {
		return append(dst, "null"...)
	}
	return append(time.UnixMilli(ms).UTC().AppendFormat(append(dst, '"'), "2006-01-02T15:04:05.999Z07:00"), '"')
}
