package shard

import "slices"

// Step is what is to be done next to put a cookbook in force on all shards of a cluster.
type Step uint8

// The steps.
const (
	ToHold    Step = iota // hold every shard, with the limits if there are any, and look again
	ToTry                 // ask every shard whether it would switch
	ToSwitch              // switch every shard
	Switched              // all have switched
	Overtaken             // a shard knows a later version: see Switch.Known
)

func (s Step) String() string {
	return [...]string{"holding events back", "trying the cookbook", "switching", "switched", "overtaken"}[s]
}

// Switch decides, from the reports of all shards, how to get to a version of the cookbook. It keeps nothing that would be missed: another Switch may
// go on at any time. See hold.go.
type Switch struct {
	Version uint64
	Known   uint64 // the latest version that a shard knows

	sent []uint64 // by shard, when last nothing was under way
}

// Next says what is to be done, and with which limits. live says whether events of a stream may still come: the marks of a topic that is gone stay
// as they are, so they are not waited for.
func (w *Switch) Next(reports []*Report, live func(Stream) bool) (step Step, limits []Limit) {
	begun, done, held := false, true, true
	for _, r := range reports {
		w.Known = max(w.Known, r.Version, r.Held)
		begun = begun || r.Version == w.Version
		done = done && r.Version == w.Version
		held = held && r.Held == w.Version
	}
	switch {
	case w.Known > w.Version:
		return Overtaken, nil
	case done:
		return Switched, nil
	case begun: // all was at rest then, and what is held has been at rest since
		return ToSwitch, nil
	case !held:
		return ToHold, nil
	}
	limits = greatest(reports)
	for _, r := range reports {
		if r.Waiting || !r.reaches(limits, live) {
			w.sent = nil
			return ToHold, limits
		}
	}
	// A message that was under way while one shard reported may have made another one before the next shard did. But if nobody has sent any between
	// two rounds of reports in which nobody had any left, then none was under way between them.
	var sent []uint64
	for _, r := range reports {
		sent = append(sent, r.Sent)
	}
	if !slices.Equal(sent, w.sent) {
		w.sent = sent
		return ToHold, limits
	}
	return ToTry, nil
}

// greatest are the greatest marks of all streams.
func greatest(reports []*Report) (limits []Limit) {
	for _, r := range reports {
		for _, m := range r.Marks {
			i := slices.IndexFunc(limits, func(l Limit) bool { return l.Stream == m.Stream })
			if i < 0 {
				limits = append(limits, m)
			} else {
				limits[i].Offset = max(limits[i].Offset, m.Offset)
			}
		}
	}
	return limits
}

// reaches says whether the shard has come to the limits of all streams that are live.
func (r *Report) reaches(limits []Limit, live func(Stream) bool) bool {
	for _, l := range limits {
		if !slices.Contains(r.Marks, l) && live(l.Stream) {
			return false
		}
	}
	return true
}
