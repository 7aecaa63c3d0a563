package httpapi

import (
	"net/http"
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

// ActivationStats is how often an activation has left within the last 14 days, and what came of it. It is a line of GET /v1/activations, without hours, and
// what GET /v1/activations/{name}/stats answers.
type ActivationStats struct {
	Activation  string `json:"activation"`
	Description string `json:"description"`
	On          string `json:"on"`           // enter, exit, change, event, session_start or session_end
	About       string `json:"about"`        // the audience, attribute, event ("*" for every one) or session
	Of          string `json:"of,omitempty"` // "accounts" when it is not about people
	Sent        int64  `json:"sent"`
	Sent24h     int64  `json:"sent_24h"`
	// Entered and Left are those of the audience, with enter and exit.
	Entered int64 `json:"entered,omitempty"`
	Left    int64 `json:"left,omitempty"`
	// Hours are those from the first on in which anything happened, without gaps.
	Hours []ActivationHour `json:"hours,omitempty"`
	Goal  *GoalStats       `json:"goal,omitempty"`
}

// ActivationHour is how often an activation has left in an hour, and who came and went.
type ActivationHour struct {
	At      time.Time `json:"at"`
	Sent    int64     `json:"sent"`
	Entered int64     `json:"entered,omitempty"`
	Left    int64     `json:"left,omitempty"`
}

// GoalStats is how many people have come to the goal of an activation within the time, of those who got it and of those who were held back.
type GoalStats struct {
	On         []string  `json:"on"` // the events
	Within     string    `json:"within"`
	HoldBack   float64   `json:"hold_back"` // percent
	Treated    GoalSide  `json:"treated"`
	Control    GoalSide  `json:"control"`
	Difference *Interval `json:"difference,omitempty"` // of the rates, treated less control, when there are people on both sides
	Confidence float64   `json:"confidence"`           // of the intervals
}

// GoalSide is one side of the comparison.
type GoalSide struct {
	Exposed   int64     `json:"exposed"`
	Converted int64     `json:"converted"`
	Rate      *Interval `json:"rate,omitempty"`
}

// Interval is an estimate and what it lies between.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// activations answers GET /v1/activations.
func (a *API) activations(w http.ResponseWriter, r *http.Request) {
	all, err := a.backend.Activations(r.Context(), "")
	if err != nil {
		failRead(w, err)
		return
	}
	answer(w, r, map[string]any{"activations": all})
}

// activationStats answers GET /v1/activations/{name}/stats.
func (a *API) activationStats(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	all, err := a.backend.Activations(r.Context(), name)
	switch {
	case err != nil:
		failRead(w, err)
	case len(all) == 0:
		var names []string
		all, _ := a.backend.Activations(r.Context(), "") // for a hint
		for i := range all {
			names = append(names, all[i].Activation)
		}
		failName(w, "not_found", "activation", name, names)
	default:
		answer(w, r, all[0])
	}
}

// audienceStats answers GET /v1/audiences/{name}/stats.
func (a *API) audienceStats(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	i, ok := a.backend.AudienceIndex([]byte(name))
	if !ok {
		failName(w, "not_found", "audience", name, a.audienceNames(r.Context()))
		return
	}
	st, err := a.backend.AudienceStats(r.Context(), i)
	if err != nil {
		failRead(w, err)
		return
	}
	answer(w, r, st)
}
