package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

// pageProfiles is how many members of an audience are handed over under one hold of a shard's lock, scanPage how many profiles are asked a condition at most.
// One that loops over lists takes ten milliseconds for a profile (pipeline/expr, maxCost), and what is to be applied waits meanwhile: after scanHold the page ends.
const (
	pageProfiles = 256
	scanPage     = 2048
	scanHold     = time.Millisecond
	scanStep     = 32 // profiles between two looks at the clock, at most: a look costs less than one of them
)

// pageBytes is how much another node sends of a page: a third of askBytes.
const pageBytes = 1 << 20

// selection is what a walk over all profiles picks: the members of an audience, or those for which a condition is true.
type selection struct {
	audience int // its index; -1: the condition, or not known yet
	name     string
	where    string
	is       expr.Bool
	program  *recipe.Program // the program of the condition
	accounts bool            // the condition is of accounts, not of people
}

// page hands one page of a shard, which is held for reading, to fn. It returns the ordinal to go on from, whether there may be more, and whether fn has had
// enough. The error is httpapi.ErrSwitching if the shard has another cookbook than the condition is for.
func (p *selection) page(ctx context.Context, s *shard.Shard, from uint32, v *shard.View, fn func(*shard.View) bool) (next uint32, more, stopped bool, err error) {
	if p.audience >= 0 {
		left := pageProfiles
		next, more = s.Members(p.audience, from, v, func(v *shard.View) bool {
			left--
			stopped = !fn(v)
			return !stopped && left > 0
		})
		return next, more, stopped, nil
	}
	if !has(s, p.program) {
		return from, true, true, httpapi.ErrSwitching
	}
	if p.accounts {
		s = s.Accounts()
	}
	begun := time.Now()
	for left, step := uint32(scanPage), uint32(1); ; from, step = next, min(2*step, scanStep, left) {
		next, more = s.Scan(p.is, from, step, v, func(v *shard.View) bool {
			stopped = !fn(v)
			return !stopped
		})
		if left -= step; !more || stopped || left == 0 || time.Since(begun) >= scanHold {
			return next, more, stopped || ctx.Err() != nil, nil
		}
	}
}

// has says whether a shard has this program in force: a condition of another program cannot be asked.
func has(s *shard.Shard, p *recipe.Program) bool {
	return s.Program() != nil && s.Program().Hash == p.Hash
}

// Members calls fn for the members of an audience from a cursor on until it returns false, and returns where to go on and whether there
// may be more. A member that leaves or comes meanwhile may be seen or not; none is seen twice, whichever replicas answer: a profile has the same number in all.
func (n *Node) Members(ctx context.Context, audience int, from Cursor, fn func(*shard.View) bool) (next Cursor, more bool, err error) {
	all := n.cookbook.Load().AllAudiences()
	if audience >= len(all) {
		return Cursor{}, false, nil
	}
	return n.walk(ctx, &selection{audience: audience, name: all[audience].Name}, from, fn)
}

// walk goes through the shards from a cursor on: a page under each hold of a lock here, so that updates never wait long, or a page in each call of another
// node.
func (n *Node) walk(ctx context.Context, p *selection, c Cursor, fn func(*shard.View) bool) (Cursor, bool, error) {
	l := looks.Get().(*look)
	defer looks.Put(l)
	l.view.At = n.now()
	r := readingOf(ctx)
	for c.Shard < len(n.shards) {
		h := n.shards[c.Shard]
		var next uint32
		var more, stopped bool
		var err error
		h.mu.RLock()
		here := r.level == readLocal && h.answers
		if here {
			next, more, stopped, err = p.page(ctx, h.shard, c.Ordinal, &l.view, fn)
		}
		h.mu.RUnlock()
		if here {
			n.noteHere(r, h)
		} else {
			next, more, stopped, err = n.farPage(ctx, r, h, p, c.Ordinal, l, fn)
		}
		if err != nil {
			return c, false, err
		}
		c.Ordinal = next
		if !more {
			c = Cursor{Shard: c.Shard + 1}
		}
		if stopped {
			return c, c.Shard < len(n.shards), nil
		}
	}
	return Cursor{}, false, nil
}

// The body of askPage: the ordinal to begin at, what is selected (a byte), the name of the audience or the condition as text. The answer: hash of the
// cookbook, ordinal to go on from, whether there may be more (a byte); then for every profile its ordinal plus one and shard.AppendView.

// What askPage selects.
const (
	selectPeople   = 0
	selectMembers  = 1
	selectAccounts = 2
)

// farPage has another node hand a page over.
func (n *Node) farPage(ctx context.Context, r *reading, h *shardHost, p *selection, from uint32, l *look, fn func(*shard.View) bool) (next uint32, more, stopped bool, err error) {
	body := binary.LittleEndian.AppendUint32(nil, from)
	switch {
	case p.audience >= 0:
		body = appendBytes(append(body, selectMembers), []byte(p.name))
	case p.accounts:
		body = appendBytes(append(body, selectAccounts), []byte(p.where))
	default:
		body = appendBytes(append(body, selectPeople), []byte(p.where))
	}
	q := &question{kind: askPage, shard: int(h.id), body: body}
	limited, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	if err := n.inquire(limited, r.level, []*question{q}); err != nil {
		return 0, false, false, err
	}
	r.note(q.by, q.behind)
	src := q.answer
	if len(src) < 13 {
		return 0, false, false, errAnswer
	}
	reader, err := n.readers.of(n, binary.LittleEndian.Uint64(src))
	if err != nil {
		return 0, false, false, err
	}
	next, more, src = binary.LittleEndian.Uint32(src[8:]), src[12] == 1, src[13:]
	for len(src) > 0 {
		behind, rest, err := readUvarint(src)
		if err != nil {
			return 0, false, false, err
		}
		var view []byte
		if view, src, err = readBytes(rest); err != nil {
			return 0, false, false, err
		}
		if err := reader.Read(view, &l.view); err != nil {
			return 0, false, false, err
		}
		if !fn(&l.view) {
			return uint32(behind), more || len(src) > 0, true, nil
		}
	}
	return next, more, ctx.Err() != nil, nil
}

// answerPage answers askPage.
func (n *Node) answerPage(ctx context.Context, h *shardHost, body []byte) ([]byte, error) {
	if len(body) < 5 {
		return nil, errAnswer
	}
	from, members := binary.LittleEndian.Uint32(body), body[4] == selectMembers
	text, _, err := readBytes(body[5:])
	if err != nil {
		return nil, err
	}
	p := &selection{audience: -1, accounts: body[4] == selectAccounts}
	if !members {
		if p.program = programOf(n.cookbook.Load().Program, p.accounts); p.program == nil {
			return nil, httpapi.ErrSwitching
		}
		x, bad := p.program.Condition(string(text))
		if bad != nil {
			return nil, fmt.Errorf("cannot read the condition: %s", bad.Message)
		}
		p.is = x.Bool
	}
	l := looks.Get().(*look)
	defer looks.Put(l)
	l.view.At = n.now()
	a := pageAnswer{next: from, more: true}
	for range scanPages {
		if err := a.add(ctx, h, p, string(text), l); err != nil || !a.more || len(a.profiles) > 0 {
			if err != nil {
				return nil, err
			}
			break
		}
	}
	answer := binary.LittleEndian.AppendUint64(nil, a.program)
	answer = append(binary.LittleEndian.AppendUint32(answer, a.next), bit(a.more))
	return append(answer, a.profiles...), nil
}

// scanPages is how many pages one call goes through until one has a profile.
const scanPages = 32

// pageAnswer is what answerPage has found.
type pageAnswer struct {
	program  uint64
	next     uint32
	more     bool
	profiles []byte
}

// add goes through one page. name is that of the audience.
func (a *pageAnswer) add(ctx context.Context, h *shardHost, p *selection, name string, l *look) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	program := h.shard.Program()
	if program == nil {
		return httpapi.ErrSwitching
	}
	if p.is == nil {
		p.audience = slices.IndexFunc(program.AllAudiences(), func(d audience.Definition) bool { return d.Name == name })
		if p.audience < 0 {
			return httpapi.ErrSwitching
		}
	}
	a.program = program.Hash
	var err error
	a.next, a.more, _, err = p.page(ctx, h.shard, a.next, &l.view, func(v *shard.View) bool {
		a.profiles = binary.AppendUvarint(a.profiles, uint64(v.Ordinal())+1)
		a.profiles = appendBytes(a.profiles, shard.AppendView(nil, v))
		return len(a.profiles) < pageBytes
	})
	return err
}
