package match

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Comparing all with all takes time with the square of the records. Blocking compares only records that share a key; several
// passes with different keys catch the pairs that one key misses, since a slip of the pen spoils only some.

const (
	// smallFile is how many records are compared all with all, in no time.
	smallFile = 200
	// largestBlock is how many records with the same key are compared all with all. In a larger block (a common
	// name, a big city) each is compared with its neighbours in an order by name and date.
	largestBlock = 100
	neighbours   = 12 // on either side
	// mostPasses bounds the memory for keys: 8 bytes a record and pass.
	mostPasses = 24
)

// pass is one way of blocking.
type pass struct {
	name  string
	key   func(record int32) uint64 // 0: the record has no such key
	order []int32                   // records that have the key, by key and then by what makes neighbours
	where []int32                   // for each record: 1 + its place in order; 0: it has none
	begin []int32                   // for each place: where its block begins; the first of a block holds minus its size
}

// keyPart is a piece of a value that often survives a slip of the pen.
type keyPart struct {
	name   string
	field  int
	strong bool // good enough alone
	cut    func(value string) string
}

func whole(v string) string { return v }

// keyParts lists the pieces that the fields offer.
func (t *Table) keyParts() []keyPart {
	var parts []keyPart
	add := func(i int, what string, strong bool, cut func(string) string) {
		parts = append(parts, keyPart{t.fields[i].name + what, i, strong, cut})
	}
	for i := range t.fields {
		switch f := &t.fields[i]; f.kind {
		case Email:
			add(i, "", true, whole)
			add(i, " (mailbox)", true, func(v string) string {
				mailbox, _, _ := strings.Cut(v, "@")
				if len(mailbox) < 5 {
					return ""
				}
				return mailbox
			})
			add(i, " (beginning)", false, func(v string) string { return v[:min(len(v), 4)] })
		case Phone:
			add(i, "", true, func(v string) string { return v[max(len(v)-8, 0):] })
		case Code:
			add(i, "", true, whole)
		case Date:
			add(i, "", true, whole)
			add(i, " (year)", false, func(v string) string { return v[:min(len(v), 4)] })
			add(i, " (day)", false, func(v string) string { return v[min(len(v), 4):] })
		case GivenName, FamilyName:
			add(i, "", false, soundsLike)
		case Postcode, Place:
			add(i, "", false, whole)
		case Address:
			add(i, "", true, whole)
			add(i, " (beginning)", false, func(v string) string { return v[:min(len(v), 6)] })
		}
	}
	return parts
}

// plan makes the passes: every strong part alone, the two names in any order, and weak parts of different fields in pairs,
// the most telling first.
func (t *Table) plan() []pass {
	parts := t.keyParts()
	keys := make([][]uint64, len(parts)) // by value
	for i, p := range parts {
		f := &t.fields[p.field]
		keys[i] = make([]uint64, len(f.values))
		for v, value := range f.values {
			if piece := p.cut(value); piece != "" {
				keys[i][v] = xxhash.Sum64String(piece) | 1
			}
		}
	}
	of := func(i int, record int32) uint64 {
		v := t.fields[parts[i].field].of[record]
		if v == 0 {
			return 0
		}
		return keys[i][v-1]
	}
	var passes []pass
	for i, p := range parts {
		if p.strong {
			passes = append(passes, pass{name: p.name, key: func(r int32) uint64 { return of(i, r) }})
		}
	}
	var pairs []pass
	for i, p := range parts {
		for j := i + 1; j < len(parts); j++ {
			if q := parts[j]; !p.strong && !q.strong && p.field != q.field {
				pairs = append(pairs, pass{name: p.name + " and " + q.name, key: func(r int32) uint64 {
					a, b := of(i, r), of(j, r)
					if a == 0 || b == 0 {
						return 0
					}
					if t.fields[p.field].kind+t.fields[q.field].kind == GivenName+FamilyName {
						return (a ^ b) | 1 // whichever is which
					}
					return (a*0x9e3779b97f4a7c15 + b) | 1
				}})
			}
		}
	}
	for i := range pairs {
		t.sortPass(&pairs[i])
	}
	slices.SortStableFunc(pairs, func(a, b pass) int { return cmp.Compare(a.work(), b.work()) })
	for i := range passes {
		t.sortPass(&passes[i])
	}
	passes = append(passes, pairs...)
	return passes[:min(len(passes), mostPasses)]
}

// sortPass finds the blocks.
func (t *Table) sortPass(p *pass) {
	type entry struct {
		key    uint64
		record int32
	}
	var list []entry
	for r := range int32(t.records) {
		if k := p.key(r); k != 0 {
			list = append(list, entry{k, r})
		}
	}
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.record, b.record))
	})
	p.order, p.begin, p.where = make([]int32, len(list)), make([]int32, len(list)), make([]int32, t.records)
	for begin := 0; begin < len(list); {
		end := begin + 1
		for end < len(list) && list[end].key == list[begin].key {
			end++
		}
		block := p.order[begin:end]
		for i := range block {
			block[i] = list[begin+i].record
		}
		if len(block) > largestBlock {
			slices.SortFunc(block, t.neighbourly)
		}
		for i := begin; i < end; i++ {
			p.where[p.order[i]] = int32(i + 1)
			p.begin[i] = int32(begin)
		}
		p.begin[begin] = int32(begin - end)
		begin = end
	}
}

// neighbourly orders records so that likely pairs stand near each other.
func (t *Table) neighbourly(a, b int32) int {
	for _, k := range [...]Kind{FamilyName, GivenName, Date, Email, Address, Postcode} {
		for i := range t.fields {
			if f := &t.fields[i]; f.kind == k {
				if c := cmp.Compare(f.value(a), f.value(b)); c != 0 {
					return c
				}
			}
		}
	}
	return cmp.Compare(a, b)
}

// block is where the block of a place begins and ends.
func (p *pass) block(place int32) (begin, end int32) {
	begin = place
	if b := p.begin[place]; b >= 0 {
		begin = b
	}
	return begin, begin - p.begin[begin]
}

// work is how many comparisons the pass asks for.
func (p *pass) work() int {
	sum := 0
	for i := 0; i < len(p.order); {
		begin, end := p.block(int32(i))
		n := int(end - begin)
		if n > largestBlock {
			sum += n * neighbours
		} else {
			sum += n * (n - 1) / 2
		}
		i = int(end)
	}
	return sum
}

// cutBlocks counts the blocks that are too large to compare in full.
func (p *pass) cutBlocks() int {
	cut := 0
	for i := 0; i < len(p.order); {
		begin, end := p.block(int32(i))
		if end-begin > largestBlock {
			cut++
		}
		i = int(end)
	}
	return cut
}

// candidates calls fn with every pair worth comparing, once, a < b, in a fixed order. at is called now and then with
// the number of records that are done.
func (t *Table) candidates(passes []pass, at func(done int), fn func(a, b int32)) {
	if passes == nil {
		for a := range int32(t.records) {
			for b := a + 1; b < int32(t.records); b++ {
				fn(a, b)
			}
		}
		return
	}
	seen := make([]int32, t.records) // 1 + the last record that was compared with it
	for a := range int32(t.records) {
		if a%1024 == 0 {
			at(int(a))
		}
		for i := range passes {
			p := &passes[i]
			place := p.where[a] - 1
			if place < 0 {
				continue
			}
			begin, end := p.block(place)
			if end-begin > largestBlock {
				begin, end = max(begin, place-neighbours), min(end, place+neighbours+1)
			}
			for _, b := range p.order[begin:end] {
				if b > a && seen[b] != a+1 {
					seen[b] = a + 1
					fn(a, b)
				}
			}
		}
	}
}
