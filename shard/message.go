package shard

import (
	"encoding/binary"
	"errors"
	"math"

	"dashi/pipeline/event"
)

// The kinds of message between shards. FORMAT.md has the bytes; a number is never reused.
//
// A message is addressed to an identifier and begins at its home. A shard that has only a pointer for it passes the message on to where that
// leads: always to a smaller identifier, so the message arrives.
const (
	messageLink    = 1  // a fact: two identifiers were seen in one event. To the home of the weaker one
	messageMerge   = 2  // the same fact on its way back: the component of the weaker one is rooted below the stronger one
	messageAbsorb  = 3  // a component moves to that of a smaller root
	messageRelink  = 4  // an identifier lies at that root now: the pointer is shortened
	messageUnlink  = 5  // a fact: somebody said that two identifiers are never one person
	messageForward = 6  // an event whose strongest identifier lies elsewhere
	messagePeople  = 7  // what people contribute to an account
	messageAccount = 8  // an event that an account counts
	messageErase   = 9  // the person who has an identifier shall be erased
	messageErased  = 10 // an identifier was erased where it lay: to its home
	messagePart    = 11 // a part of a message that is too long for one
)

// The flags of an encoded fact.
const (
	factCut     = 1 << 7 // fact.cut
	factStrongs = 1 << 6 // fact.strongs
)

var errMessage = errors.New("message that says what cannot be")

// fact is a link, or a cut, between two identifiers that may lie in different places.
type fact struct {
	weak, strong key
	cut          bool
	strongs      bool // the message is for where the stronger one lies, else for the weaker one's place
	first, last  int64
	id           uint32 // see messageID
}

// end is the one of the two that the message with the fact is for.
func (f *fact) end() key {
	if f.strongs {
		return f.strong
	}
	return f.weak
}

func (s *Shard) appendFact(dst []byte, f *fact) []byte {
	dst = s.appendKey(s.appendKey(dst, f.weak), f.strong)
	flags := byte(0)
	if f.cut {
		flags = factCut
	}
	if f.strongs {
		flags |= factStrongs
	}
	dst = append(dst, flags)
	dst = binary.AppendVarint(dst, f.first)
	dst = binary.AppendUvarint(dst, uint64(f.last-f.first))
	return binary.LittleEndian.AppendUint32(dst, f.id)
}

// messageID is what links remember of an event's message id. With the time of the link that is enough to tell which event it was.
func messageID(e *event.Event) uint32 { return uint32(e.ID[0] >> 32) }

func (s *Shard) readFact(src []byte) (f fact, rest []byte, err error) {
	if f.weak, src, err = s.readKey(src); err != nil {
		return f, nil, err
	}
	if f.strong, src, err = s.readKey(src); err != nil {
		return f, nil, err
	}
	if len(src) == 0 {
		return f, nil, errShort
	}
	f.cut, f.strongs = src[0]&factCut != 0, src[0]&factStrongs != 0
	if f.first, src, err = varint(src[1:]); err != nil {
		return f, nil, err
	}
	length, src, err := uvarint(src)
	if err != nil || len(src) < 4 {
		return f, nil, errShort
	}
	if int64(length) < 0 || f.first+int64(length) < f.first || f.weak.is(f.strong) {
		return f, nil, errMessage
	}
	f.last, f.id = f.first+int64(length), binary.LittleEndian.Uint32(src)
	return f, src[4:], nil
}

// appendJoin appends a Link, Merge or Unlink: the component of to shall be one with that of other, because of f.
func (s *Shard) appendJoin(dst []byte, kind byte, to, other key, f *fact) []byte {
	dst = s.appendKey(append(dst, kind), to)
	return s.appendFact(s.appendKey(dst, other), f)
}

func (s *Shard) readJoin(src []byte) (other key, f fact, err error) {
	if other, src, err = s.readKey(src); err != nil {
		return other, f, err
	}
	if f, src, err = s.readFact(src); err == nil && len(src) > 0 {
		err = errMessage
	}
	return other, f, err
}

// appendRelink appends a Relink: k, which is known there since the instant since, lies at root.
func (s *Shard) appendRelink(dst []byte, k, root key, since int64) []byte {
	return binary.AppendVarint(s.appendKey(s.appendKey(append(dst, messageRelink), k), root), since)
}

// readRelink reads what follows the identifier. Messages of old logs do not say since when: since ever.
func (s *Shard) readRelink(src []byte) (root key, since int64, err error) {
	if root, src, err = s.readKey(src); err != nil || len(src) == 0 {
		return root, math.MaxInt64, err
	}
	if since, src, err = varint(src); err == nil && len(src) > 0 {
		err = errMessage
	}
	return root, since, err
}

// appendForward appends a Forward of a packed event.
func (s *Shard) appendForward(dst []byte, to key) []byte {
	return s.appendKey(append(dst, messageForward), to)
}
