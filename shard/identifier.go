package shard

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"strings"

	"dashi/pipeline/identity"
)

// key is one identifier as this shard names it: ns is the shard's number of the namespace, hash is identity.Hash.
type key struct {
	ns    uint8
	hash  uint64
	value []byte
}

func (k key) is(o key) bool { return k.ns == o.ns && k.hash == o.hash && bytes.Equal(k.value, o.value) }

// key makes a key of a namespace's number and a value.
func (s *Shard) key(ns uint8, value []byte) key {
	return key{ns, identity.Hash(s.namespaces[ns], value), value}
}

// compare is the order of ids: stronger namespace, smaller hash, smaller value. Namespaces that the cookbook no longer has
// are the weakest, by name.
func (s *Shard) compare(a, b key) int {
	p, q := s.rank(a.ns), s.rank(b.ns)
	if p != q {
		return cmp.Compare(p, q)
	}
	if a.ns != b.ns {
		return strings.Compare(s.namespaces[a.ns], s.namespaces[b.ns])
	}
	return cmp.Or(cmp.Compare(a.hash, b.hash), bytes.Compare(a.value, b.value))
}

// unranked is the rank of a namespace that the cookbook does not have: it has at most 64.
const unranked = 64

// rank is the index of a namespace among those of the cookbook, the strongest first; unranked if it has none.
func (s *Shard) rank(ns uint8) int {
	if int(ns) < len(s.program.rank) {
		return s.program.rank[ns]
	}
	return unranked
}

// home is the number of the shard that is the home of an identifier.
func (s *Shard) home(k key) int {
	if s.settings.Home == nil {
		return s.settings.Self
	}
	return s.settings.Home(k.hash)
}

// Messages give a namespace by its rank, on which all shards with one cookbook agree. If the cookbook does not have it, byName and its name follow.
const byName = 255

func (s *Shard) appendNamespace(dst []byte, ns uint8) []byte {
	if rank := s.rank(ns); rank < unranked {
		return append(dst, uint8(rank))
	}
	return appendBytes(append(dst, byName), []byte(s.namespaces[ns]))
}

func (s *Shard) readNamespace(src []byte) (ns uint8, rest []byte, err error) {
	if len(src) == 0 {
		return 0, nil, errShort
	}
	rank := src[0]
	src = src[1:]
	if int(rank) < len(s.program.namespace) {
		return s.program.namespace[rank], src, nil
	}
	if rank != byName {
		return 0, nil, errMessage
	}
	name, src, err := readBytes(src)
	if err != nil {
		return 0, nil, err
	}
	ns, err = s.numberNamespace(name)
	return ns, src, err
}

// numberNamespace is the shard's number of a namespace. It gives one to a namespace that has none; there are at most 256.
func (s *Shard) numberNamespace(name []byte) (uint8, error) {
	i := s.namespaceNumber(name)
	if i < 0 {
		if i = len(s.namespaces); i > 255 {
			return 0, errMessage
		}
		s.namespaces = append(s.namespaces, string(name))
	}
	return uint8(i), nil
}

func (s *Shard) appendKey(dst []byte, k key) []byte {
	return appendBytes(s.appendNamespace(dst, k.ns), k.value)
}

func (s *Shard) readKey(src []byte) (k key, rest []byte, err error) {
	ns, src, err := s.readNamespace(src)
	if err != nil {
		return key{}, nil, err
	}
	value, src, err := readBytes(src)
	if err != nil {
		return key{}, nil, err
	}
	if len(value) == 0 || len(value) > maxIdentifier {
		return key{}, nil, errMessage
	}
	return s.key(ns, value), src, nil
}

// maxIdentifier is the longest value of an identifier that a message may carry: what a record's key may have.
const maxIdentifier = 1<<16 - 1

func uvarint(src []byte) (v uint64, rest []byte, err error) {
	v, k := binary.Uvarint(src)
	if k <= 0 {
		return 0, nil, errShort
	}
	return v, src[k:], nil
}

func varint(src []byte) (v int64, rest []byte, err error) {
	v, k := binary.Varint(src)
	if k <= 0 {
		return 0, nil, errShort
	}
	return v, src[k:], nil
}
