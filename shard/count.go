package shard

import (
	"dashi/pipeline/audience"
	"dashi/pipeline/expr"

	"github.com/RoaringBitmap/roaring/v2"
)

// MaxCountAudiences is the most audiences that Count takes: it looks at up to 2^n combinations.
const MaxCountAudiences = 10

// Count is the number of profiles for which a condition is true, if it reads nothing but these audiences. It splits the set of all
// profiles by one audience after the other and asks the condition once for every combination that occurs
// (Shannon's expansion), so its cost hardly depends on how many profiles there are.
func (s *Shard) Count(condition expr.Bool, audiences []int) int {
	if s.program == nil {
		return 0
	}
	env := expr.Env{Audiences: audience.NewBits(max(1, 64*s.program.words)), Now: s.now}
	return s.count(condition, audiences, s.everyone, &env)
}

func (s *Shard) count(condition expr.Bool, audiences []int, set *roaring.Bitmap, env *expr.Env) int {
	if set.IsEmpty() {
		return 0
	}
	if len(audiences) == 0 {
		if condition(env) == expr.True {
			return int(set.GetCardinality())
		}
		return 0
	}
	bits, members := audience.Bits(env.Audiences), s.members[audiences[0]]
	bits.Set(audiences[0])
	n := s.count(condition, audiences[1:], roaring.And(set, members), env)
	bits.Clear(audiences[0])
	return n + s.count(condition, audiences[1:], roaring.AndNot(set, members), env)
}
