package shard

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"dashi/pipeline/audience"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// A profile travels, from the node that holds its shard to the node that was asked for it, as its record with its component and the levels in force:
// whoever receives it reads it like one of its own. Both nodes must have the same cookbook, which the caller sees to, and the same version of dashi.

// AppendView appends the profile that v shows.
func AppendView(dst []byte, v *View) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(v.Env.Now))
	dst = appendNames(dst, v.namespaces)
	if v.IsAccount() {
		dst = appendNames(append(dst, travelsAccount), v.spaces)
	} else {
		dst = append(dst, travelsPerson)
	}
	for i := range v.Program.Levels {
		level := math.NaN()
		if i < len(v.Env.Levels) {
			level = v.Env.Levels[i]
		}
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(level))
	}
	dst = appendBytes(dst, v.rec.Body())
	if dst = appendBytes(dst, v.links); len(v.links) > 0 {
		root := &v.linked.idents[0]
		dst = binary.AppendUvarint(dst, uint64(v.member))
		dst = appendBytes(append(dst, root.ns), root.value)
	}
	return dst
}

// What travels.
const (
	travelsPerson  = 0
	travelsAccount = 1
)

func appendNames(dst []byte, names []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = appendBytes(dst, []byte(name))
	}
	return dst
}

func readNames(src []byte) (names []string, rest []byte, err error) {
	n, src, err := uvarint(src)
	if err != nil || n > math.MaxUint8+1 {
		return nil, nil, errShort
	}
	names = make([]string, n)
	for i := range names {
		var name []byte
		if name, src, err = readBytes(src); err != nil {
			return nil, nil, err
		}
		names[i] = string(name)
	}
	return names, src, nil
}

// Ordinal is the number that the profile has in its shard, on every replica; 0 for one that has travelled.
func (v *View) Ordinal() uint32 { return v.rec.Ordinal() }

// Reader reads profiles that have travelled. It is safe for concurrent use.
type Reader struct{ program, accounts *program }

// NewReader makes a reader of profiles that were written under a program.
func NewReader(p *recipe.Program) *Reader {
	r := &Reader{program: shapeOf(p)}
	if p.Accounts != nil {
		r.accounts = shapeOf(p.Accounts.Program)
		r.accounts.forAccounts(p.Accounts)
	}
	return r
}

// Program is the one that the profiles are read with.
func (r *Reader) Program() *recipe.Program { return r.program.Program }

// Read fills v with the profile that AppendView wrote. v aliases src.
func (r *Reader) Read(src []byte, v *View) error {
	if err := r.read(src, v); err != nil {
		return fmt.Errorf("cannot read a profile of another node: %w", err)
	}
	return nil
}

func (r *Reader) read(src []byte, v *View) error {
	if len(src) < 8 {
		return errShort
	}
	now := int64(binary.LittleEndian.Uint64(src))
	namespaces, src, err := readNames(src[8:])
	if err != nil || len(src) == 0 {
		return errShort
	}
	p, what := r.program, src[0]
	if v.namespaces, src = namespaces, src[1:]; what == travelsAccount {
		if p = r.accounts; p == nil {
			return errMessage
		}
		if v.spaces, src, err = readNames(src); err != nil {
			return err
		}
	}
	n := 8 * len(p.Levels)
	if len(src) < n {
		return errShort
	}
	v.levels = slices.Grow(v.levels[:0], len(p.Levels))[:len(p.Levels)]
	readLevels(src[:n], v.levels)
	body, src, err := readBytes(src[n:])
	if err != nil {
		return err
	}
	rec, err := profile.RecordOf(p.layout(), body)
	if err != nil {
		return err
	}
	if int(rec.Namespace()) >= len(v.namespaces) {
		return errMessage
	}
	v.fill(p, rec, now)
	v.Env.Levels = v.levels
	if !v.people.sound(len(v.spaces)) {
		return errMessage
	}
	if len(rec.Segment(v.since)) != 8*audience.Bits(v.Env.Audiences).Count() {
		return errMessage
	}
	links, src, err := readBytes(src)
	if err != nil {
		return err
	}
	if len(links) == 0 {
		v.fillIdentifier()
		return nil
	}
	member, src, err := uvarint(src)
	if err != nil || len(src) == 0 {
		return errShort
	}
	root := key{ns: src[0]}
	if root.value, _, err = readBytes(src[1:]); err != nil {
		return err
	}
	return v.readForeign(links, member, root)
}

// readForeign is readComponent and fillIdentifiers for a component that another node has written, and that may be damaged.
func (v *View) readForeign(links []byte, member uint64, root key) error {
	if _, err := v.linked.read(links[1:], nil, root); err != nil {
		return err
	}
	for i := range v.linked.idents {
		if int(v.linked.idents[i].ns) >= len(v.namespaces) {
			return errMessage
		}
	}
	if member >= uint64(len(v.linked.idents)) || v.linked.idents[member].profile != int(member) {
		return errMessage
	}
	v.links = links
	v.fillIdentifiers(int(member))
	return nil
}
