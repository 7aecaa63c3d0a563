package shard

import "testing"

// Sets and tallies that are too small for what comes, elements that go again, strings and flags: whatever an update does, nobody is in an
// audience but whom evaluating all of them puts there.
const flipRecipe = `
recipe: flips
attributes:
  owned: {kind: set, add: {on: Order Completed, each: properties.products, value: item.product_id}, remove: {on: Order Completed, value: properties.coupon}, limit: 3}
  categories: {kind: tally, on: Order Completed, each: properties.products, value: item.category, by: item.price, limit: 2}
  last_coupon: {kind: last, on: Order Completed, value: properties.coupon}
  cheap: {kind: flag, raise: {on: Order Completed, where: properties.total < 20}, lower: {on: Order Completed, where: properties.total > 60}}
audiences:
  p1: '"P1" in owned'
  p2: '"P2" in owned && !("P3" in owned)'
  c1: '"C1" in owned'
  many: size(owned) > 2
  shoes: categories["shoes"] > 50
  hats: '"hats" in categories'
  richest: categories["bags"] > categories["coats"]
  two: size(categories) == 2
  c3: last_coupon == "C3"
  late: last_coupon > "C2"
  cheap_in: cheap
  dear: '!cheap'
  nested: shoes || cheap_in
`

func TestFlipsOfEveryKind(t *testing.T) {
	sources := readInline("flips.yml", flipRecipe)
	s := newShard(t, testSettings(), sources)
	f := newFeeder(t, compile(t, sources), orders(3000, 30, 4))
	for mark := int64(-1); mark < 2999; mark += 100 {
		mustAccept(t, s.Apply(f.batch(mark, mark+100, 1)))
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
	}
}
