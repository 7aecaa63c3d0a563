package ring

import "slices"

// Change is one step from a table to another: in one shard Add takes over from Remove. One of them may be empty: a replica
// more, or one less.
type Change struct {
	Shard       int
	Add, Remove string
}

// Diff lists the changes of replicas that lead from one table to the other. Those that only add come first within a shard, so that it
// never has fewer replicas than before. Leaders are no changes: see Table.
func Diff(from, to Table) []Change {
	var changes []Change
	for s := range to {
		var have []string
		if s < len(from) {
			have = from[s]
		}
		var add, remove []string
		for _, id := range to[s] {
			if !slices.Contains(have, id) {
				add = append(add, id)
			}
		}
		for _, id := range have {
			if !slices.Contains(to[s], id) {
				remove = append(remove, id)
			}
		}
		for len(add) > len(remove) {
			changes = append(changes, Change{Shard: s, Add: add[0]})
			add = add[1:]
		}
		for i := range add {
			changes = append(changes, Change{Shard: s, Add: add[i], Remove: remove[i]})
		}
		for _, id := range remove[len(add):] {
			changes = append(changes, Change{Shard: s, Remove: id})
		}
	}
	return changes
}
