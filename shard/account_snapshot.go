package shard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"dashi/pipeline/attribute"
	"dashi/shard/profile"
	"dashi/shard/timer"
)

// accountsSnapshot is what a snapshot keeps of accounts.
type accountsSnapshot struct {
	first  int64
	flows  []byte
	timers *timer.Frozen
	table  *profile.Snapshot
}

func (s *Shard) freezeAccounts() *accountsSnapshot {
	if s.accounts == nil {
		return nil
	}
	return &accountsSnapshot{s.accounts.first, s.accounts.appendFlows(nil), s.accounts.timers.Freeze(), s.accounts.table.Snapshot()}
}

// append appends all but the table; nothing for a nil n: the cookbook says whether there are accounts.
func (n *accountsSnapshot) append(dst []byte) []byte {
	if n == nil {
		return dst
	}
	return n.timers.Append(append(binary.LittleEndian.AppendUint64(dst, uint64(n.first)), n.flows...))
}

// restoreAccounts reads the table of accounts, if the cookbook has any.
func (s *Shard) restoreAccounts(in io.Reader) (err error) {
	if s.program.Accounts == nil {
		return nil
	}
	acc := s.newAccounts()
	acc.program = acc.deriveAccounts(s.program.Program)
	acc.apply.use(acc.program)
	acc.fragments = profile.New(acc.program.fragmentLayout(), s.settings.Memory)
	if acc.table, err = profile.Read(in, s.settings.Memory); err != nil {
		acc.fragments.Close()
		return err
	}
	s.accounts = acc
	if acc.table.Layout() != acc.program.layout() {
		return errors.New("their records do not have the shape of the cookbook")
	}
	acc.fillMembers()
	return nil
}

// restoreClock reads what accountsSnapshot.append wrote into s, which is an inner shard.
func (s *Shard) restoreClock(src []byte) (rest []byte, err error) {
	if len(src) < 8 {
		return nil, errShort
	}
	s.first = int64(le64(src))
	if rest, err = s.restoreFlows(src[8:]); err != nil {
		return nil, err
	}
	s.timers, rest, err = s.restoreQueue(rest)
	return rest, err
}

// checkCrowds returns an error unless the numbers of every account are what folding its people anew gives, and its rows are in order.
func (s *Shard) checkCrowds() (err error) {
	p := s.program
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		c := gathering{rec.Segment(p.crowd), crowdWidth(p.of.Items)}
		for i := 1; i < c.len(); i++ {
			before := key{c.space(i - 1), c.hash(i - 1), c.value(i - 1)}
			if order := c.compare(i, before); order < 0 || order == 0 && c.shard(i) <= c.shard(i-1) {
				err = fmt.Errorf("account %q: row %d is out of order", rec.Key(), i)
				return false
			}
		}
		anew := bytes.Clone(rec.Fixed())
		p.foldPeople(&c, anew, new(attribute.Input))
		if !bytes.Equal(anew, rec.Fixed()) {
			err = fmt.Errorf("account %q: its numbers are not those of its people", rec.Key())
		}
		return err == nil
	})
	return err
}
