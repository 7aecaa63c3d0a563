package node

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"dashi/node/httpapi"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

// Query counts the profiles, or accounts, for which a condition is true, and calls fn for the first q.Limit of them from q.From on. A
// condition over few audiences alone is counted from their bitmaps; anything else by reading every profile, a page under each
// hold of a shard's lock. Each shard is asked once; when one does not answer there is no count, but an error that names it.
func (n *Node) Query(ctx context.Context, q httpapi.Query, fn func(*shard.View)) (httpapi.Found, error) {
	all := n.cookbook.Load().Program
	program := programOf(all, q.Accounts)
	if program == nil {
		return httpapi.Found{}, &httpapi.BadQuery{Message: "the cookbook has no accounts", Hint: "a recipe says what is known of them under accounts"}
	}
	x, bad := program.Condition(q.Where)
	if bad != nil {
		return httpapi.Found{}, &httpapi.BadQuery{Message: bad.Message, Hint: cmp.Or(otherKind(all, q), bad.Hint)}
	}
	var found httpapi.Found
	r := readingOf(ctx)
	var here []*shardHost
	var far, moved []*question // moved: the replica here went while it was read
	question := func(h *shardHost) *question {
		return &question{kind: askCount, shard: int(h.id), body: append([]byte{bit(q.Accounts)}, q.Where...)}
	}
	for _, h := range n.shards {
		if r.level == readLocal && n.canAnswer(h, readLocal) {
			here = append(here, h)
		} else {
			far = append(far, question(h))
		}
	}
	asked := make(chan error, 1)
	go func() { asked <- n.inquire(ctx, r.level, far) }()
	for _, h := range here {
		count, err := n.count(ctx, h, program, q.Accounts, x)
		if !n.canAnswer(h, readLocal) {
			moved = append(moved, question(h))
			continue
		}
		if err != nil {
			return found, err
		}
		found.Count += count
		n.noteHere(r, h)
	}
	if err := errors.Join(<-asked, n.inquire(ctx, r.level, moved), ctx.Err()); err != nil {
		return found, err
	}
	far = append(far, moved...)
	for _, q := range far {
		count, _, err := readUvarint(q.answer)
		if err != nil {
			return found, err
		}
		found.Count += int64(count)
		r.note(q.by, q.behind)
	}
	var err error
	if q.Limit > 0 {
		left := q.Limit
		found.Next, found.More, err = n.walk(ctx, &selection{audience: -1, where: q.Where, program: program, accounts: q.Accounts, is: x.Bool}, q.From, func(v *shard.View) bool {
			fn(v)
			left--
			return left > 0
		})
	}
	return found, errors.Join(err, ctx.Err())
}

// otherKind is the hint that the condition of a query is one about accounts although it asks about people, or the other way round; empty if it is not.
func otherKind(program *recipe.Program, q httpapi.Query) string {
	other := programOf(program, !q.Accounts)
	if other == nil {
		return ""
	}
	if _, bad := other.Condition(q.Where); bad != nil {
		return ""
	}
	if q.Accounts {
		return `that is known of people: leave out --accounts, or "of": "accounts" over HTTP`
	}
	return `that is known of accounts: ask with --accounts, or "of": "accounts" over HTTP`
}

// answerCount answers askCount. Body: whether about accounts (a byte), the condition as text. Answer: a uvarint.
func (n *Node) answerCount(ctx context.Context, h *shardHost, body []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, errAnswer
	}
	program := programOf(n.cookbook.Load().Program, body[0] == 1)
	if program == nil {
		return nil, httpapi.ErrSwitching
	}
	x, bad := program.Condition(string(body[1:]))
	if bad != nil {
		return nil, fmt.Errorf("cannot read the condition: %s", bad.Message)
	}
	count, err := n.count(ctx, h, program, body[0] == 1, x)
	return binary.AppendUvarint(nil, uint64(count)), err
}

// count counts the profiles of the shard for which a condition of a program is true.
func (n *Node) count(ctx context.Context, h *shardHost, program *recipe.Program, accounts bool, x *expr.Expr) (total int64, err error) {
	sets := len(x.Attributes) == 0 && len(x.Purposes) == 0 && !x.UsesNow && len(x.Audiences) <= shard.MaxCountAudiences && !x.Interpreted
	if sets && !accounts {
		h.mu.RLock()
		defer h.mu.RUnlock()
		if !has(h.shard, program) {
			return 0, httpapi.ErrSwitching
		}
		return int64(h.shard.Count(x.Bool, x.Audiences)), nil
	}
	l := looks.Get().(*look)
	defer looks.Put(l)
	l.view.At = n.now()
	p := selection{audience: -1, program: program, accounts: accounts, is: x.Bool}
	for from, more := uint32(0), true; more && err == nil; {
		h.mu.RLock()
		from, more, _, err = p.page(ctx, h.shard, from, &l.view, func(*shard.View) bool { total++; return true })
		h.mu.RUnlock()
		err = cmp.Or(err, ctx.Err())
	}
	return total, err
}

// programOf is what a cookbook says of people, or of accounts; nil when it says nothing of those.
func programOf(p *recipe.Program, accounts bool) *recipe.Program {
	if !accounts {
		return p
	}
	if p.Accounts == nil {
		return nil
	}
	return p.Accounts.Program
}
