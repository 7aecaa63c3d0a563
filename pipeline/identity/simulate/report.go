package simulate

import (
	"cmp"
	"slices"

	"dashi/pipeline/identity"
)

// listed is how many examples of a kind a report has.
const listed = 20

// Report is what a simulation found.
type Report struct {
	Events, Identifiers, Profiles int
	Links                         int // pairs of identifiers that were seen in one event
	// Refused counts links that did not join two profiles, by the namespace of the weaker identifier and by the rule.
	Refused map[string]map[string]int
	// Shared counts, by namespace, identifiers that were seen with people who must not merge, and SharedMost are those
	// that were seen with the most.
	Shared     map[string]int
	SharedMost []SharedIdentifier
	// Saturated are identifiers that were seen with more than identity.MaxPartners others: nobody's.
	Saturated []Identifier
	// Sizes counts profiles by their number of identifiers; Largest are the largest.
	Sizes   []Size
	Largest []Profile
	// Overlong counts links that were passed over because more than MostTogether identifiers would hang together. A node
	// passes such links over too, as they arrive: those here are the latest by event time.
	Overlong int
}

// Identifier is namespace:value.
type Identifier struct{ Namespace, Value string }

func (i Identifier) String() string { return i.Namespace + ":" + i.Value }

// SharedIdentifier is one that was seen with people who must not merge.
type SharedIdentifier struct {
	Identifier
	People int    // profiles of the identifiers it was seen with
	Keeper string // the profile that has it
}

// Size is so many profiles with at least Least and at most Most identifiers; Most 0: no bound.
type Size struct{ Least, Most, Profiles int }

// Profile is one person.
type Profile struct {
	ID          string
	Identifiers []Identifier
	Events      int
}

// count adds what became of a group.
func (s *Simulation) count(group []int32, f *identity.Facts, r *Report) {
	for i := range f.Links {
		l := &f.Links[i]
		if l.Verdict == identity.Joined {
			continue
		}
		ns := s.names[f.Members[l.B].Namespace]
		if r.Refused[ns] == nil {
			r.Refused[ns] = map[string]int{}
		}
		r.Refused[ns][l.Verdict.String()]++
	}
	for b := range f.Members {
		people := map[int]bool{}
		for i := range f.Links {
			if l := &f.Links[i]; l.B == b {
				people[f.Members[l.A].Profile] = true
			}
		}
		if len(people) < 2 {
			continue
		}
		m := group[b]
		r.Shared[s.names[s.members[m].namespace]]++
		r.SharedMost = append(r.SharedMost, SharedIdentifier{s.identifier(m), len(people), s.Profile(m)})
		slices.SortStableFunc(r.SharedMost, func(x, y SharedIdentifier) int {
			return cmp.Or(cmp.Compare(y.People, x.People), cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Value, y.Value))
		})
		r.SharedMost = r.SharedMost[:min(len(r.SharedMost), listed)]
	}
}

// summarise counts profiles and lists the largest.
func (s *Simulation) summarise(r *Report) {
	slices.SortFunc(r.Saturated, func(x, y Identifier) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Value, y.Value))
	})
	r.Sizes = []Size{{1, 1, 0}, {2, 2, 0}, {3, 5, 0}, {6, 10, 0}, {11, 50, 0}, {51, 0, 0}}
	for m := range s.members {
		s.members[s.members[m].profile].size++
	}
	var largest []int32
	for m := range int32(len(s.members)) {
		size := s.members[m].size
		if size == 0 {
			continue
		}
		r.Profiles++
		for i := range r.Sizes {
			if z := &r.Sizes[i]; size >= z.Least && (size <= z.Most || z.Most == 0) {
				z.Profiles++
			}
		}
		if size > 1 {
			largest = append(largest, m)
		}
	}
	slices.SortFunc(largest, func(a, b int32) int {
		return cmp.Or(cmp.Compare(s.members[b].size, s.members[a].size), s.order(a, b))
	})
	largest = largest[:min(len(largest), listed)]
	profiles := map[int32]*Profile{}
	for _, m := range largest {
		r.Largest = append(r.Largest, Profile{ID: s.Profile(m)})
	}
	for i, m := range largest {
		profiles[m] = &r.Largest[i]
	}
	for m := range int32(len(s.members)) {
		if p := profiles[s.members[m].profile]; p != nil {
			p.Identifiers = append(p.Identifiers, s.identifier(m))
			p.Events += s.members[m].events
		}
	}
	for i := range r.Largest {
		slices.SortFunc(r.Largest[i].Identifiers, func(x, y Identifier) int {
			return cmp.Or(cmp.Compare(slices.Index(s.names, x.Namespace), slices.Index(s.names, y.Namespace)), cmp.Compare(x.Value, y.Value))
		})
	}
}
