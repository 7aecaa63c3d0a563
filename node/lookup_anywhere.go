package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"dashi/node/cookbook"
	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
	"dashi/ring"
	"dashi/shard"
)

// want is one look-up that other nodes may have to answer.
type want struct {
	namespace string
	value     []byte // normalised
	hash      uint64
	via       shard.Place // an identifier in whose component it lies; not Known at first
	view      []byte      // shard.AppendView; nil: there is none
	junk      bool        // nobody's: see shard.View.Junk
	program   uint64      // hash of the cookbook that view is written under
	by        string      // the member of groups that answered
	behind    uint64      // entries that it is known to be behind its leader
	err       error
}

// shard is where to ask next.
func (w *want) shard(shards int) int {
	if w.via.Known {
		return ring.Shard(w.via.Hash, shards)
	}
	return ring.Shard(w.hash, shards)
}

// wanted is the look-up of namespace:value as a client wrote it; false when nobody can have such an identifier.
func (n *Node) wanted(namespace, value []byte) (*want, bool) {
	w := &want{}
	kept, hash, ok := n.normalise(&w.value, namespace, value)
	if !ok {
		return nil, false
	}
	w.namespace, w.value, w.hash = string(namespace), bytes.Clone(kept), hash
	return w, true
}

// fetch looks profiles up wherever they are. It returns when each want has a view, is known to have none, or has an error. An identifier that is on its
// way between two shards is waited for: that it is found on neither is no answer, and while a leader is being replaced the way takes longer than a moment.
func (n *Node) fetch(ctx context.Context, level readLevel, wants []*want) {
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	pause := followPause
	for len(wants) > 0 {
		questions := make([]*question, len(wants))
		for i, w := range wants {
			questions[i] = &question{kind: askLook, shard: w.shard(len(n.shards)), body: w.append(nil)}
		}
		_ = n.inquire(ctx, level, questions) // each question has its own error
		again, moving := wants[:0:0], false
		for i, w := range wants {
			q := questions[i]
			if w.err = q.err; w.err != nil {
				continue
			}
			w.by, w.behind = q.by, max(w.behind, q.behind)
			more, err := w.take(q.answer)
			switch {
			case err != nil:
				w.err = err
			case more == lookMoving && ctx.Err() != nil:
				w.err = fmt.Errorf("%w: the identifier is on its way from one shard to another", httpapi.ErrUnavailable)
			case more == lookMoving: // begin at its home again: the pointer that led there may be gone
				moving, w.via.Known = true, false
				again = append(again, w)
			case more == lookNext:
				again = append(again, w)
			}
		}
		if wants = again; moving {
			time.Sleep(pause)
			pause = min(2*pause, followPauseMost)
		}
	}
}

// What an answer to askLook begins with.
const (
	lookMissing = 0
	lookFound   = 1 // hash of the cookbook, shard.AppendView
	lookNext    = 2 // namespace, value, hash of an identifier: ask at the home of that one
	lookMoving  = 3 // it is between two shards
	lookJunk    = 4 // missing, and nobody's
)

// append appends the body of askLook: namespace, value, hash; and those of the identifier that led to the shard in question, if there is one.
func (w *want) append(dst []byte) []byte {
	dst = appendIdentifier(dst, w.namespace, w.value, w.hash)
	if w.via.Known {
		dst = appendIdentifier(dst, w.via.Namespace, w.via.Value, w.via.Hash)
	}
	return dst
}

func appendIdentifier(dst []byte, namespace string, value []byte, hash uint64) []byte {
	dst = appendBytes(appendBytes(dst, []byte(namespace)), value)
	return binary.LittleEndian.AppendUint64(dst, hash)
}

func readIdentifier(src []byte) (namespace, value []byte, hash uint64, rest []byte, err error) {
	if namespace, src, err = readBytes(src); err != nil {
		return
	}
	if value, src, err = readBytes(src); err != nil || len(src) < 8 {
		return nil, nil, 0, nil, errAnswer
	}
	return namespace, value, binary.LittleEndian.Uint64(src), src[8:], nil
}

// take notes an answer, and says what it was.
func (w *want) take(answer []byte) (kind byte, err error) {
	if len(answer) == 0 {
		return 0, errAnswer
	}
	switch kind = answer[0]; kind {
	case lookFound:
		if len(answer) < 9 {
			return 0, errAnswer
		}
		w.program, w.view = binary.LittleEndian.Uint64(answer[1:]), answer[9:]
	case lookNext:
		namespace, value, hash, _, err := readIdentifier(answer[1:])
		if err != nil {
			return 0, err
		}
		w.via = shard.Place{Known: true, Namespace: string(namespace), Value: value, Hash: hash}
	case lookJunk:
		w.junk = true
	}
	return kind, nil
}

// answerLook answers askLook. It goes on to the next shard by itself when that is here too.
func (n *Node) answerLook(ctx context.Context, level readLevel, body []byte) (answer []byte, err error) {
	n.asked.Add(1)
	l := looks.Get().(*look)
	defer looks.Put(l)
	namespace, value, hash, rest, err := readIdentifier(body)
	if err != nil {
		return nil, err
	}
	l.view.At, l.view.Bare, l.at.Known = n.now(), false, false
	if len(rest) > 0 {
		ns, v, h, _, err := readIdentifier(rest)
		if err != nil {
			return nil, err
		}
		l.at = shard.Place{Known: true, Namespace: string(ns), Value: append([]byte(nil), v...), Hash: h}
	}
	for first := true; ; first = false {
		at := hash
		if l.at.Known {
			at = l.at.Hash
		}
		h := n.shards[ring.Shard(at, len(n.shards))]
		if !first && (!n.canAnswer(h, level) || level == readLinearizable && n.confirm(ctx, h) != nil) {
			return appendIdentifier([]byte{lookNext}, l.at.Namespace, l.at.Value, l.at.Hash), nil
		}
		answer, done := h.lookTravelling(l, namespace, value, hash)
		if !first && !n.canAnswer(h, level) { // the replica may have gone meanwhile; answerAll checks that of the first shard
			return appendIdentifier([]byte{lookNext}, l.at.Namespace, l.at.Value, l.at.Hash), nil
		}
		if done {
			return answer, nil
		}
		l.at, l.view.Next = l.view.Next, l.at
	}
}

// lookTravelling is one step of answerLook; it is not done when l.view.Next says where to go on.
func (h *shardHost) lookTravelling(l *look, namespace, value []byte, hash uint64) (answer []byte, done bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	found := false
	if l.at.Known {
		found = h.shard.LookupVia(&l.at, namespace, value, hash, &l.view)
	} else {
		found = h.shard.Lookup(namespace, value, hash, &l.view)
	}
	switch {
	case found:
		return shard.AppendView(binary.LittleEndian.AppendUint64([]byte{lookFound}, h.shard.Program().Hash), &l.view), true
	case l.view.Next.Known:
		return nil, false
	case l.view.Moving:
		return []byte{lookMoving}, true
	case l.view.Junk:
		return []byte{lookJunk}, true
	}
	return []byte{lookMissing}, true
}

// show calls fn with the profile that was fetched, if there is one.
func (n *Node) show(w *want, fn func(*shard.View)) (found bool, err error) {
	if w.err != nil || w.view == nil {
		return false, w.err
	}
	r, err := n.readers.of(n, w.program)
	if err != nil {
		return false, err
	}
	l := looks.Get().(*look)
	defer looks.Put(l)
	if err := r.Read(w.view, &l.view); err != nil {
		return false, err
	}
	fn(&l.view)
	return true, nil
}

// readers read the profiles that come from other nodes, under the cookbook that those have.
type readers struct {
	mu sync.Mutex
	by []*shard.Reader // the last two
}

// of is the reader for a cookbook. While a cookbook is being replaced another node may have one that is not in force here: the directory has it.
func (r *readers) of(n *Node, hash uint64) (*shard.Reader, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, reader := range r.by {
		if reader.Program().Hash == hash {
			return reader, nil
		}
	}
	program := n.cookbook.Load().Program
	if program.Hash != hash {
		if program = n.committed(hash); program == nil {
			return nil, fmt.Errorf("%w: another node has a cookbook that is not known here yet", httpapi.ErrUnavailable)
		}
	}
	reader := shard.NewReader(program)
	r.by = append(r.by[max(0, len(r.by)-1):], reader)
	return reader, nil
}

// committed finds a cookbook in the directory by its hash.
func (n *Node) committed(hash uint64) *recipe.Program {
	all := n.directory.State().Cookbooks
	for i := len(all) - 1; i >= 0; i-- {
		if p, _ := n.compile(cookbook.Sources(&all[i])); p != nil && p.Hash == hash {
			return p
		}
	}
	return nil
}
