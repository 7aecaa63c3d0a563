package httpapi

import (
	"net/http"
	"strconv"
	"time"
)

// AudienceStats is what GET /v1/audiences/{name}/stats answers.
type AudienceStats struct {
	Audience string `json:"audience"`
	Size     int64  `json:"size"`
	// Hours are those of the last 14 days from the first on in which somebody came or went, without gaps.
	Hours []AudienceHour `json:"hours"`
	// Overlap is every other audience with whom it shares anybody, the one with most in common first.
	Overlap []AudienceOverlap `json:"overlap"`
	// Activations are those that its transitions make.
	Activations []ActivationStats `json:"activations"`
}

// AudienceHour is what became of an audience in an hour.
type AudienceHour struct {
	At      time.Time `json:"at"` // its beginning
	Entered int64     `json:"entered"`
	Left    int64     `json:"left"`
	Size    int64     `json:"size"` // at its end, or now
}

// AudienceOverlap is how many people are in both.
type AudienceOverlap struct {
	Audience string `json:"audience"`
	Size     int64  `json:"size"` // of this other one
	Both     int64  `json:"both"`
}

// ActivationStats is how often an activation has left, by hour.
type ActivationStats struct {
	Activation string         `json:"activation"`
	On         string         `json:"on"` // enter or exit
	Sent       int64          `json:"sent"`
	Hours      []ActivationIn `json:"hours"` // those in which any left
}

// ActivationIn is how often an activation has left in an hour.
type ActivationIn struct {
	At   time.Time `json:"at"`
	Sent int64     `json:"sent"`
}

// audienceStats answers GET /v1/audiences/{name}/stats.
func (a *API) audienceStats(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	i, ok := a.backend.AudienceIndex([]byte(name))
	if !ok {
		fail(w, http.StatusNotFound, "not_found", "there is no audience "+strconv.Quote(name), "GET /v1/audiences lists them")
		return
	}
	st, err := a.backend.AudienceStats(r.Context(), i)
	if err != nil {
		failRead(w, err)
		return
	}
	answer(w, r, st)
}
