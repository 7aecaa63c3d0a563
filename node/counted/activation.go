package counted

import (
	"math"
	"strconv"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

// Sent is what one shard has counted of one activation.
type Sent struct {
	At    []int64    `json:",omitempty"` // the hours in which anything happened, oldest first; none when they were not asked for
	Hours []SentHour `json:",omitempty"`
	Day   SentHour   // the sum of the last 24 hours
	All   SentHour   // the sum of all hours that are kept
	Goal  [4]int64   // people who got it and those of them who converted, people from whom it was held back and those of them who converted
}

// SentHour is how often an activation has left in an hour; and, if it leaves when people enter or leave an audience, how many did.
type SentHour struct{ Sent, Entered, Left int64 }

func (h *SentHour) add(o SentHour) {
	h.Sent, h.Entered, h.Left = h.Sent+o.Sent, h.Entered+o.Entered, h.Left+o.Left
}

// ReadSent reads what a shard, which the caller holds for reading, has counted of the activations [from, to) of its program. now is the beginning of the present
// hour, in Unix milliseconds; hours says whether by the hour, too.
func ReadSent(s *shard.Shard, from, to int, now int64, hours bool) []Sent {
	p := s.Program()
	lines := make([]Sent, to-from)
	for k := range lines {
		c := s.Goals()[from+k]
		lines[k].Goal = [4]int64{c.Treated.Exposed, c.Treated.Converted, c.Control.Exposed, c.Control.Converted}
	}
	s.EachHour(func(at int64, audiences []shard.Flow, left []uint32) {
		for k := range lines {
			h := SentHour{Sent: int64(left[from+k])}
			if act := &p.Activations[from+k]; act.Trigger == recipe.OnEnter || act.Trigger == recipe.OnExit {
				h.Entered, h.Left = int64(audiences[act.Audience].Entered), int64(audiences[act.Audience].Left)
			}
			if h == (SentHour{}) {
				continue
			}
			l := &lines[k]
			if l.All.add(h); at > now-24*Hour {
				l.Day.add(h)
			}
			if hours {
				l.At, l.Hours = append(l.At, at), append(l.Hours, h)
			}
		}
	})
	return lines
}

// ActivationStats is what a program says of activation j, with what all shards have counted of it. The hours go from the first that is known to now, or to the
// last if that is later, without gaps. now is the beginning of the present hour by the clock of the shards, in Unix milliseconds.
func ActivationStats(p *recipe.Program, j int, accounts bool, lines []Sent, now int64) httpapi.ActivationStats {
	st := describeActivation(p, j, accounts)
	fillActivation(&st, lines, now)
	return st
}

// describeActivation is what the program says of activation j.
func describeActivation(p *recipe.Program, j int, accounts bool) httpapi.ActivationStats {
	act := &p.Activations[j]
	st := httpapi.ActivationStats{Activation: act.Name, Description: act.Description}
	if accounts {
		st.Of = "accounts"
	}
	switch act.Trigger {
	case recipe.OnEnter:
		st.On, st.About = "enter", p.Audiences[act.Audience].Name
	case recipe.OnExit:
		st.On, st.About = "exit", p.Audiences[act.Audience].Name
	case recipe.OnChange:
		st.On, st.About = "change", p.Attributes[act.Attribute].Name
	case recipe.OnSessionStart:
		st.On, st.About = "session_start", act.Session
	case recipe.OnSessionEnd:
		st.On, st.About = "session_end", act.Session
	case recipe.OnEvent:
		if st.On, st.About = "event", "*"; act.Type > 0 {
			st.About = p.Schema.Types[act.Type-1]
		}
	}
	if g := act.Goal(); g != nil {
		st.Goal = &httpapi.GoalStats{On: g.Events, Within: spell(g.Within), HoldBack: g.HoldBack, Confidence: confidence}
	}
	return st
}

// spell writes a length of time as recipes do.
func spell(ms int64) string {
	for _, unit := range []struct {
		name string
		ms   int64
	}{{"d", 24 * Hour}, {"h", Hour}, {"m", 60_000}} {
		if ms%unit.ms == 0 {
			return strconv.FormatInt(ms/unit.ms, 10) + unit.name
		}
	}
	return strconv.FormatInt(ms/1000, 10) + "s"
}

// fillActivation adds up the lines of all shards.
func fillActivation(st *httpapi.ActivationStats, lines []Sent, now int64) {
	var day, all SentHour
	var goal shard.GoalCounts
	byHour := map[int64]SentHour{}
	first, last := int64(math.MaxInt64), now
	for i := range lines {
		l := &lines[i]
		day.add(l.Day)
		all.add(l.All)
		goal.Treated.Exposed += l.Goal[0]
		goal.Treated.Converted += l.Goal[1]
		goal.Control.Exposed += l.Goal[2]
		goal.Control.Converted += l.Goal[3]
		for k, at := range l.At {
			h := byHour[at]
			h.add(l.Hours[k])
			byHour[at] = h
			first, last = min(first, at), max(last, at)
		}
	}
	st.Sent, st.Sent24h, st.Entered, st.Left = all.Sent, day.Sent, all.Entered, all.Left
	for at := max(first, last-(shard.FlowHours-1)*Hour); at <= last; at += Hour {
		h := byHour[at]
		st.Hours = append(st.Hours, httpapi.ActivationHour{At: time.UnixMilli(at).UTC(), Sent: h.Sent, Entered: h.Entered, Left: h.Left})
	}
	fillGoal(st.Goal, goal)
}

// fillGoal computes rates and intervals.
func fillGoal(g *httpapi.GoalStats, counts shard.GoalCounts) {
	if g == nil {
		return
	}
	g.Treated, g.Control = goalSide(counts.Treated), goalSide(counts.Control)
	if t, c := &g.Treated, &g.Control; t.Exposed > 0 && c.Exposed > 0 {
		d, low, high := newcombe(t.Converted, t.Exposed, c.Converted, c.Exposed)
		g.Difference = &httpapi.Interval{Value: d, Low: low, High: high}
	}
}

func goalSide(c shard.GoalSide) httpapi.GoalSide {
	// The shards are not asked at the same instant: somebody on the way from one to another may be counted by both or by neither.
	s := httpapi.GoalSide{Exposed: max(0, c.Exposed)}
	s.Converted = min(max(0, c.Converted), s.Exposed)
	if s.Exposed > 0 {
		low, high := wilson(s.Converted, s.Exposed)
		s.Rate = &httpapi.Interval{Value: float64(s.Converted) / float64(s.Exposed), Low: low, High: high}
	}
	return s
}
