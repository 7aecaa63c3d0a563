package shard

import "testing"

// Whoever waits for the change of an attribute hears of it too when a merge or an unmerge changed it, and only then.
func TestChangesByFold(t *testing.T) {
	w := newTown(t, `
recipe: changes
attributes:
  spent: {kind: sum, on: buy, value: properties.total}
  last_item: {kind: last, on: buy, value: properties.product_id}
activations:
  spending: {on: {change: spent}}
  latest: {on: {change: last_item}}
`)
	w.event("0 buy a 10 anonymous_id:d")
	w.event("1 buy b 20 user_id:u")
	w.want(w.left(), "change spending anonymous_id:d, change latest anonymous_id:d, change spending user_id:u, change latest user_id:u")
	w.event("2 look c 0 user_id:u anonymous_id:d")
	w.want(w.left(), "merged user_id:u [anonymous_id:d] [], change spending user_id:u")
	w.event("3 look c 0 user_id:u anonymous_id:d")
	w.want(w.left(), "")
	// Under a name that is new everything is.
	w.event("4 buy a 5 anonymous_id:e")
	w.left()
	w.event("5 look c 0 user_id:v anonymous_id:e")
	w.want(w.left(), "merged user_id:v [anonymous_id:e] [], change spending user_id:v, change latest user_id:v")

	w.unlink("user_id:u", "anonymous_id:d")
	w.want(w.left(), "change spending user_id:u, unmerged anonymous_id:d [] [user_id:u], change spending anonymous_id:d, change latest anonymous_id:d")
}
