package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"
	"dashi/shard"
)

// sentLine is what one shard has counted of one activation.
type sentLine struct {
	At    []int64    `json:",omitempty"` // the hours in which anything happened, oldest first; none when they were not asked for
	Hours []sentHour `json:",omitempty"`
	Day   sentHour   // the sum of the last 24 hours
	All   sentHour   // the sum of all hours that are kept
	Goal  [4]int64   // people who got it and those of them who converted, people from whom it was held back and those of them who converted
}

// sentHour is how often an activation has left in an hour; and, if it leaves when people enter or leave an audience, how many did.
type sentHour struct{ Sent, Entered, Left int64 }

func (h *sentHour) add(o sentHour) {
	h.Sent, h.Entered, h.Left = h.Sent+o.Sent, h.Entered+o.Entered, h.Left+o.Left
}

// Activations is what has been counted of the activations of the present program, those of accounts after those of people. With a name it is only those of
// that name, with hours; with an empty one all, without hours.
func (b httpBackend) Activations(ctx context.Context, name string) ([]httpapi.ActivationStats, error) {
	cookbook := b.cookbook.Load()
	all := []httpapi.ActivationStats{}
	programs := []*recipe.Program{cookbook.Program}
	if cookbook.Accounts != nil {
		programs = append(programs, cookbook.Accounts.Program)
	}
	for of, p := range programs {
		from, to := 0, len(p.Activations)
		if name != "" {
			if from = slices.IndexFunc(p.Activations, func(a recipe.Activation) bool { return a.Name == name }); from < 0 {
				continue
			}
			to = from + 1
		}
		lines, now, err := b.sent(ctx, p, of == 1, from, to, name != "")
		if err != nil {
			return nil, err
		}
		for j := from; j < to; j++ {
			st := describeActivation(p, j, of == 1)
			fillActivation(&st, lines[j-from], now)
			all = append(all, st)
		}
	}
	return all, nil
}

// sent asks every shard for its lines about the activations [from, to) of a program: lines[k] are those about activation from+k. now is the beginning of the
// present hour by the clock of the shards, in milliseconds.
func (b httpBackend) sent(ctx context.Context, p *recipe.Program, accounts bool, from, to int, hours bool) (lines [][]sentLine, now int64, err error) {
	body := binary.LittleEndian.AppendUint64([]byte{bit(accounts), bit(hours)}, p.Hash)
	body = binary.LittleEndian.AppendUint64(body, uint64(b.now()))
	body = binary.AppendUvarint(binary.AppendUvarint(body, uint64(from)), uint64(to))
	questions := b.toAll(askSent, body)
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	r := readingOf(ctx)
	if err := b.inquire(ctx, r.level, questions); err != nil {
		return nil, 0, err
	}
	lines = make([][]sentLine, to-from)
	for _, q := range questions {
		var part struct {
			Clock int64
			Lines []sentLine
		}
		if err := json.Unmarshal(q.answer, &part); err != nil {
			return nil, 0, err
		}
		r.note(q.by, q.behind)
		now = max(now, part.Clock)
		for k := range min(len(lines), len(part.Lines)) {
			lines[k] = append(lines[k], part.Lines[k])
		}
	}
	return lines, now - now%hour, nil
}

// answerSent answers askSent: whether of accounts, whether by the hour (a byte each), hash of the cookbook, the clock of who asks, the first activation and the
// one after the last; the shard's clock and a sentLine of each as JSON. A shard with another cookbook has none.
func (m *member) answerSent(body []byte) ([]byte, error) {
	if len(body) < 20 {
		return nil, errAnswer
	}
	accounts, hours, hash := body[0] == 1, body[1] == 1, binary.LittleEndian.Uint64(body[2:])
	clock := int64(binary.LittleEndian.Uint64(body[10:]))
	from, rest, err := readUvarint(body[18:])
	if err != nil {
		return nil, err
	}
	to, _, err := readUvarint(rest)
	if err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := m.shard
	if s.ByEvents() {
		clock = s.Now()
	}
	if accounts {
		s = s.Accounts()
	}
	answer := struct {
		Clock int64
		Lines []sentLine
	}{Clock: clock}
	if s != nil && s.Program() != nil && s.Program().Hash == hash && from <= to && to <= uint64(len(s.Program().Activations)) {
		answer.Lines = sentLines(s, int(from), int(to), clock-clock%hour, hours)
	}
	return say.JSON(&answer)
}

// sentLines reads what a shard has counted.
func sentLines(s *shard.Shard, from, to int, now int64, hours bool) []sentLine {
	p := s.Program()
	lines := make([]sentLine, to-from)
	for k := range lines {
		c := s.Goals()[from+k]
		lines[k].Goal = [4]int64{c.Treated.Exposed, c.Treated.Converted, c.Control.Exposed, c.Control.Converted}
	}
	s.EachHour(func(at int64, audiences []shard.Flow, left []uint32) {
		for k := range lines {
			h := sentHour{Sent: int64(left[from+k])}
			if act := &p.Activations[from+k]; act.Trigger == recipe.OnEnter || act.Trigger == recipe.OnExit {
				h.Entered, h.Left = int64(audiences[act.Audience].Entered), int64(audiences[act.Audience].Left)
			}
			if h == (sentHour{}) {
				continue
			}
			l := &lines[k]
			if l.All.add(h); at > now-24*hour {
				l.Day.add(h)
			}
			if hours {
				l.At, l.Hours = append(l.At, at), append(l.Hours, h)
			}
		}
	})
	return lines
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
	}{{"d", 24 * hour}, {"h", hour}, {"m", 60_000}} {
		if ms%unit.ms == 0 {
			return strconv.FormatInt(ms/unit.ms, 10) + unit.name
		}
	}
	return strconv.FormatInt(ms/1000, 10) + "s"
}

// fillActivation adds up the lines of all shards. The hours go from the first that is known to now, or to the last if that is later, without gaps.
func fillActivation(st *httpapi.ActivationStats, lines []sentLine, now int64) {
	var day, all sentHour
	var goal shard.GoalCounts
	byHour := map[int64]sentHour{}
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
	for at := max(first, last-(shard.FlowHours-1)*hour); at <= last; at += hour {
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
