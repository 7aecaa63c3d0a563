package group

import "github.com/hashicorp/raft"

// proposal is an entry whose outcome is open, or a barrier, which has no future.
type proposal struct {
	entry  []byte
	done   func(index uint64, result any, err error)
	future raft.ApplyFuture
	// tag goes with the entry through Raft as its extensions, which are neither logged nor sent: when the entry comes out of Raft, the address of the
	// tag says which proposal it is, and the byte whether the entry may be kept.
	tag [1]byte
}

// tagKept, as the byte of a tag, says that nobody will change the entry any more.
const tagKept = 1

// queue is first in, first out.
type queue struct {
	list      []*proposal
	at        int // of the head in list
	proposals int // without barriers
	bytes     int
}

func (q *queue) head() *proposal {
	if q.at == len(q.list) {
		return nil
	}
	return q.list[q.at]
}

func (q *queue) push(p *proposal) {
	if q.at > 0 && len(q.list) == cap(q.list) {
		n := copy(q.list, q.list[q.at:])
		clear(q.list[n:])
		q.list, q.at = q.list[:n], 0
	}
	q.list = append(q.list, p)
	if p.future != nil {
		q.proposals++
		q.bytes += len(p.entry)
	}
}

func (q *queue) pop() *proposal {
	p := q.list[q.at]
	q.list[q.at] = nil
	q.at++
	if p.future != nil {
		q.proposals--
		q.bytes -= len(p.entry)
	}
	return p
}
