package recipe

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"dashi/pipeline/attribute"
)

// MaxProfileBytes is the most that all stored attributes of one profile, or account, may take together, in bytes, if each is at its limit. What else stands
// in a record is far less, and has bounds of its own; the shard's own limit (shard.MaxProfile) is above this.
const MaxProfileBytes = 56 << 20

// largest is how many of the attributes that take most are named.
const largest = 3

// measure finds out whether a record of the program could become larger than MaxProfileBytes, and reports it at one of its attributes.
func (c *compiler) measure() {
	p := c.program
	total, order := 0, make([]int, len(p.Attributes))
	sizes := make([]int, len(p.Attributes))
	for i := range p.Attributes {
		if order[i] = i; p.Attributes[i].Kind != nil {
			sizes[i] = attribute.MaxBytes(p.Attributes[i].Kind)
			total += sizes[i]
		}
	}
	if total <= MaxProfileBytes {
		return
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sizes[b], sizes[a]) })
	var most []string
	for _, i := range order[:min(len(order), largest)] {
		if e := &c.attributes[i]; sizes[i] > 0 {
			most = append(most, quote(e.name)+" "+mebibytes(sizes[i])+" ("+e.doc.source.Name+":"+strconv.Itoa(e.key.Line)+")")
		}
	}
	first := &c.attributes[order[0]]
	whose := "a profile"
	if c.people != nil {
		whose = "an account"
	}
	p.Oversize = &Diagnostic{File: first.doc.source.Name, Line: first.key.Line, Column: first.key.Column,
		Message: "the attributes of " + whose + " may take " + mebibytes(total) + " with all limits reached; at most " + mebibytes(MaxProfileBytes) + ". Most takes " + strings.Join(most, ", "),
		Hint:    "lower their `limit`, or the `longest` of their session; an element counts as " + strconv.Itoa(attribute.MaxElement) + " bytes"}
}

// mebibytes is a number of bytes, rounded up.
func mebibytes(n int) string { return strconv.Itoa((n+1<<20-1)>>20) + " MiB" }
