package ring

import "cmp"

// Member is a node that may hold replicas.
type Member struct {
	ID string
	// Zone names what fails together: a rack, a data centre. Members without one are in one zone, that of the empty name.
	Zone string
	// Weight is the share of this member in relation to the others', 1 to MaxWeight.
	Weight int
}

// MaxWeight bounds weights: a score is computed once for every unit.
const MaxWeight = 100

// Table says who holds the replicas of every shard: by shard, the members' ids. The first is the preferred leader; the others
// follow in the order in which they should try to lead when it fails.
type Table [][]string

// byID orders members, so that the order of the arguments does not matter.
func byID(a, b Member) int { return cmp.Compare(a.ID, b.ID) }
