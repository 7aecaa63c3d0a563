package shard

import (
	"math"
	"strconv"

	"dashi/pipeline/attribute"
)

// shownPeople is how many people of an account stand in its JSON; AppendPeople has all.
const shownPeople = 100

// IsAccount says whether the view is of an account.
func (v *View) IsAccount() bool { return v.accounts != nil }

// appendPeople appends `,"people":{"count":N,"first":["user_id:ada",..],"over":N}` of an account: how many belong to it, some of them, and how
// often somebody was turned away because it had its fill (left out when never).
func (v *View) appendPeople(dst []byte) []byte {
	if !v.IsAccount() {
		return dst
	}
	n := 0
	dst = append(dst, `,"people":{"first":[`...)
	v.people.each(func(i int) {
		if n++; n > shownPeople {
			return
		}
		if n > 1 {
			dst = append(dst, ',')
		}
		dst = attribute.AppendQuotedID(dst, v.spaces[v.people.space(i)], v.people.value(i))
	})
	dst = append(dst, `],"count":`...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	if over := v.people.over(); over > 0 {
		dst = strconv.AppendUint(append(dst, `,"over":`...), uint64(over), 10)
	}
	return append(dst, '}')
}

// AppendPeople appends who belongs to an account, and what each contributes to its numbers:
// {"id","people":[{"id","contributes":{"people.count(active)":true,"people.sum(spent)":12}}]}. For a view of a person it appends nothing.
func (v *View) AppendPeople(dst []byte) []byte {
	if !v.IsAccount() {
		return dst
	}
	dst = attribute.AppendQuotedID(append(dst, `{"id":`...), v.Identifiers[0].Namespace, v.Identifiers[0].Value)
	dst = append(dst, `,"people":[`...)
	first := true
	v.people.each(func(i int) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = attribute.AppendQuotedID(append(dst, `{"id":`...), v.spaces[v.people.space(i)], v.people.value(i))
		dst = v.appendContributed(append(dst, `,"contributes":{`...), i)
		dst = append(dst, "}}"...)
	})
	return append(dst, "]}"...)
}

func (v *View) appendContributed(dst []byte, i int) []byte {
	people := v.accounts
	bits, words, first := le64(v.people.contribution(i)), v.people.contribution(i)[8:], true
	for k := range people.Items {
		item := &people.Items[k]
		var word uint64
		if item.Attribute >= 0 {
			word, words = le64(words), words[8:]
		}
		if item.Attribute >= 0 && bits>>k&1 == 0 {
			continue
		}
		for _, f := range people.Folds {
			if f.Item != k {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = attribute.AppendQuoted(dst, []byte(people.Program.Attributes[f.Attribute].Name))
			dst = append(dst, ':')
			switch {
			case item.Audience >= 0:
				dst = strconv.AppendBool(dst, bits>>k&1 != 0)
			case item.Time:
				dst = append(attribute.AppendTime(append(dst, '"'), int64(word)), '"')
			default:
				dst = attribute.AppendNumber(dst, math.Float64frombits(word))
			}
		}
	}
	return dst
}
