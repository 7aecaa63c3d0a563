package simulate

import (
	"cmp"
	"errors"
	"slices"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
)

// Bounds of a simulation.
const (
	MostIdentifiers = 50_000_000
	// MostTogether is how many identifiers are resolved together; see Report.Overlong.
	MostTogether = 1000
)

// ErrTooMany is what Add returns beyond MostIdentifiers.
var ErrTooMany = errors.New("more than 50,000,000 identifiers: simulate a part of the events")

// Simulation gathers what events say about identifiers.
type Simulation struct {
	rules   *identity.Rules
	names   []string
	members []member
	index   map[string]int32 // namespace as one byte, then the value
	links   map[[2]int32]*identity.Link
	events  int
	key     []byte
}

type member struct {
	namespace uint8
	hash      uint64
	value     string
	events    int // of which it was the strongest identifier
	profile   int32
	size      int // of the profile, at its first member
}

// New makes a simulation of a cookbook's rules. names are those of the namespaces, in the order of the rules.
func New(rules *identity.Rules, names []string) *Simulation {
	return &Simulation{rules: rules, names: names, index: map[string]int32{}, links: map[[2]int32]*identity.Link{}}
}

// Add takes an event in, and says which identifier is its strongest, for Profile.
func (s *Simulation) Add(e *event.Event) (strongest int32, err error) {
	s.events++
	for i, id := range e.Identifiers {
		m, err := s.member(id)
		if err != nil {
			return 0, err
		}
		if i == 0 {
			strongest = m
			s.members[m].events++
			continue
		}
		s.link(strongest, m, e)
	}
	return strongest, nil
}

func (s *Simulation) member(id event.Identifier) (int32, error) {
	s.key = append(append(s.key[:0], id.Namespace), id.Value...)
	if m, ok := s.index[string(s.key)]; ok {
		return m, nil
	}
	m := int32(len(s.members))
	if m == MostIdentifiers {
		return 0, ErrTooMany
	}
	key := string(s.key)
	s.index[key] = m
	s.members = append(s.members, member{namespace: id.Namespace, hash: identity.Hash(s.names[id.Namespace], id.Value), value: key[1:], profile: m})
	return m, nil
}

func (s *Simulation) link(a, b int32, e *event.Event) {
	l := s.links[[2]int32{a, b}]
	if l == nil {
		s.links[[2]int32{a, b}] = &identity.Link{A: int(a), B: int(b), First: e.Time, Last: e.Time, ID: uint32(e.ID[0] >> 32)}
		return
	}
	if e.Time < l.First || e.Time == l.First && uint32(e.ID[0]>>32) < l.ID {
		l.First, l.ID = e.Time, uint32(e.ID[0]>>32)
	}
	l.Last = max(l.Last, e.Time)
}

// order is that of ids: stronger namespace, smaller hash, smaller value.
func (s *Simulation) order(a, b int32) int {
	p, q := &s.members[a], &s.members[b]
	return cmp.Or(cmp.Compare(p.namespace, q.namespace), cmp.Compare(p.hash, q.hash), cmp.Compare(p.value, q.value))
}

// Profile names the profile of an identifier that Add returned, once Resolve was called: its smallest identifier.
func (s *Simulation) Profile(m int32) string {
	p := &s.members[s.members[m].profile]
	return s.names[p.namespace] + ":" + p.value
}

// Identifier writes an identifier that Add returned.
func (s *Simulation) identifier(m int32) Identifier {
	return Identifier{s.names[s.members[m].namespace], s.members[m].value}
}

// sortedLinks are the links in the order of event time, ties by identifiers: an order that no map decides.
func (s *Simulation) sortedLinks() []*identity.Link {
	links := make([]*identity.Link, 0, len(s.links))
	for _, l := range s.links {
		links = append(links, l)
	}
	slices.SortFunc(links, func(x, y *identity.Link) int {
		return cmp.Or(cmp.Compare(x.First, y.First), s.order(int32(x.A), int32(y.A)), s.order(int32(x.B), int32(y.B)))
	})
	return links
}
