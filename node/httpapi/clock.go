package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"time"

	"dashi/pipeline/say"
	"dashi/shard"
)

// setClock answers PUT /v1/clock {"follows": "event"|"wall", "to": RFC 3339}.
func (a *API) setClock(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Follows string    `json:"follows"`
		To      time.Time `json:"to"`
	}
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		fail(w, http.StatusBadRequest, "bad_json", "cannot read the clock: "+err.Error(), `{"follows": "event"}, perhaps with "to": an instant in RFC 3339`)
		return
	}
	if in.Follows != "event" && in.Follows != "wall" {
		fail(w, http.StatusBadRequest, "bad_clock", "the clock cannot follow "+say.Quote(in.Follows), `"event" for the times of events, or "wall" for the time of day`)
		return
	}
	to := int64(math.MinInt64)
	if !in.To.IsZero() {
		to = in.To.UnixMilli()
	}
	now, err := a.backend.SetClock(in.Follows == "event", to)
	switch {
	case errors.Is(err, ErrClockFixed):
		fail(w, http.StatusConflict, "clock_fixed", "the clock cannot follow "+in.Follows+" any more: "+err.Error(), "start with an empty data directory")
	case err != nil:
		fail(w, http.StatusServiceUnavailable, "unavailable", "cannot set the clock: "+err.Error(), "try again")
	default:
		out := map[string]string{"follows": in.Follows}
		if now > shard.NoTime {
			out["now"] = time.UnixMilli(now).UTC().Format(time.RFC3339Nano)
		}
		answer(w, r, out)
	}
}
