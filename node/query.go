package node

import (
	"cmp"
	"context"

	"dashi/node/httpapi"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

// Query counts the profiles, or accounts, for which a condition is true, and calls fn for the first q.Limit of them from q.From on. A
// condition over few audiences alone is counted from their bitmaps; anything else by reading every profile, a page under each
// hold of a shard's lock.
func (n *Node) Query(ctx context.Context, q httpapi.Query, fn func(*shard.View)) (httpapi.Found, error) {
	program := n.cookbook.Load().Program
	if q.Accounts {
		if program.Accounts == nil {
			return httpapi.Found{}, &httpapi.BadQuery{Message: "the cookbook has no accounts", Hint: "a recipe says what is known of them under accounts"}
		}
		program = program.Accounts.Program
	}
	x, bad := program.Condition(q.Where)
	if bad != nil {
		return httpapi.Found{}, &httpapi.BadQuery{Message: bad.Message, Hint: bad.Hint}
	}
	var found httpapi.Found
	sets := len(x.Attributes) == 0 && len(x.Purposes) == 0 && !x.UsesNow && len(x.Audiences) <= shard.MaxCountAudiences && !x.Interpreted
	if sets && !q.Accounts {
		for _, m := range n.members {
			m.mu.RLock()
			if !has(m.shard, program) {
				m.mu.RUnlock()
				return found, httpapi.ErrSwitching
			}
			found.Count += int64(m.shard.Count(x.Bool, x.Audiences))
			m.mu.RUnlock()
		}
	} else {
		counted, err := n.countByScan(ctx, program, q.Accounts, x.Bool)
		if err != nil {
			return found, err
		}
		found.Count = counted
	}
	if q.Limit > 0 {
		left := q.Limit
		var err error
		found.Next, found.More, err = n.Scan(ctx, program, q.Accounts, x.Bool, q.From, func(v *shard.View) bool {
			fn(v)
			left--
			return left > 0
		})
		if err != nil {
			return found, err
		}
	}
	return found, ctx.Err()
}

func (n *Node) countByScan(ctx context.Context, program *recipe.Program, accounts bool, condition expr.Bool) (total int64, err error) {
	_, _, err = n.Scan(ctx, program, accounts, condition, Cursor{}, func(*shard.View) bool {
		total++
		return true
	})
	return total, cmp.Or(err, ctx.Err())
}

// has says whether a shard has a program in force: conditions of another cannot be asked.
func has(s *shard.Shard, p *recipe.Program) bool {
	return s.Program() != nil && s.Program().Hash == p.Hash
}
