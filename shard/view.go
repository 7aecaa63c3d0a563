package shard

import (
	"strconv"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/consent"
	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// View is one profile as a reader sees it. It aliases the shard's pages: it is good only inside the callback that received it, or after a look-up,
// and while the caller holds the shard for reading. It can be used again.
type View struct {
	Program *recipe.Program
	Env     expr.Env // State, Consent, Audiences, Hash and Now of the profile
	// At is set by the reader: its clock, in milliseconds. Attributes that change with time are shown as of then, or as of the last
	// entry if that is later.
	At int64
	// Bare is set by the reader of a Lookup that asks for attributes and audiences only: Identifiers is empty, Refused says
	// nothing, and AppendView and AppendJSON must not be asked for.
	Bare        bool
	Identifiers []Identifier
	Version     uint64                      // updates of the profile so far
	Refused     [len(identity.Verdicts)]int // links of its identifiers that a rule refused, by verdict
	Next        Place                       // after a look-up that found nothing: where to ask
	Moving      bool                        // after one that found nothing: the identifier is on its way here
	Junk        bool                        // after one that found nothing: the identifier is nobody's, see identity.MaxPartners
	since       int                         // the segment of rec with the entry times: an int64 for each audience that the profile is in, by index
	namespaces  []string                    // the shard's
	linked      component                   // the component of the profile
	place       []byte                      // scratch
	rec         profile.Record              // the record of the profile
	links       []byte                      // what linked is read from; empty: the profile is linked with nobody
	member      int                         // the profile's index in linked
	people      gathering                   // of an account
	levels      []float64                   // of a view that has travelled: the memory of Env.Levels
	spaces      []string                    // of an account: the namespaces of its people, by number
	accounts    *recipe.Accounts            // of an account: what the cookbook says of accounts
}

// Place is an identifier whose home knows more about another one: that lies in its component.
type Place struct {
	Known     bool
	Namespace string
	Value     []byte // of the view's own
	Hash      uint64
}

// Identifier is one identifier of a profile.
type Identifier struct {
	Namespace           string
	Value               []byte
	FirstSeen, LastSeen int64 // event time, milliseconds
	Saturated           bool  // it was seen with so many people that it is nobody's: see identity.MaxPartners
}

// AppendID appends the profile's id, "namespace:value".
func (v *View) AppendID(dst []byte) []byte {
	dst = append(dst, v.Identifiers[0].Namespace...)
	dst = append(dst, ':')
	return append(dst, v.Identifiers[0].Value...)
}

// Fields is the number of attributes of the program; FieldName and AppendField take 0..Fields()-1.
func (v *View) Fields() int { return len(v.Program.Attributes) }

// FieldName is the name of attribute i.
func (v *View) FieldName(i int) string { return v.Program.Attributes[i].Name }

// AppendField appends attribute i as plain text, as RESP clients read it: a number, a string without
// quotes, an RFC 3339 time, 0 or 1, and JSON for sets, tallies and lists. ok is false, and nothing is
// appended, when nothing has been seen.
func (v *View) AppendField(dst []byte, i int) (out []byte, ok bool) {
	a := &v.Program.Attributes[i]
	switch a.Type {
	case attribute.String:
		s, ok := a.Str(&v.Env)
		if !ok {
			return dst, false
		}
		return append(dst, s...), true
	case attribute.Number:
		n, ok := a.Num(&v.Env)
		if !ok {
			return dst, false
		}
		return appendNumber(dst, n), true
	case attribute.Bool:
		switch a.Truth(&v.Env) {
		case expr.True:
			return append(dst, '1'), true
		case expr.False:
			return append(dst, '0'), true
		}
		return dst, false
	case attribute.Time:
		n, ok := a.Num(&v.Env)
		if !ok {
			return dst, false
		}
		return attribute.AppendTime(dst, int64(n)), true
	}
	n := len(dst)
	dst = a.AppendJSON(dst, &v.Env)
	if string(dst[n:]) == "null" {
		return dst[:n], false
	}
	return dst, true
}

// In says whether the profile is in the audience with this index in Program.Audiences.
func (v *View) In(i int) bool { return audience.Bits(v.Env.Audiences).Has(i) }

// AudienceOf turns an index into recipe.Program.AllAudiences, which has the audiences of people and then those of accounts, into one for
// v.Program.Audiences, which has only the former or the latter. It is negative for an audience of people if this is an account.
func (v *View) AudienceOf(index int) int {
	if v.accounts != nil {
		return index - v.accounts.Base
	}
	return index
}

// EachAudience calls fn for every audience that the profile is in, with the instant it entered, in milliseconds.
func (v *View) EachAudience(fn func(index int, since int64)) {
	k, since := 0, v.rec.Segment(v.since)
	for i := range v.Program.Audiences {
		if v.In(i) {
			fn(i, int64(le64(since[8*k:])))
			k++
		}
	}
}

// AppendJSON appends the profile as the HTTP interface answers it:
// {"id","identifiers":[{"namespace","value","first_seen","last_seen"}],"attributes":{},"audiences":{"NAME":{"since"}},"consent":{},"version"}.
// Attributes of which nothing has been seen are left out. Some members are there only when they have something to say: "saturated" of an identifier
// that is nobody's; "people" of an account (see appendPeople); "truncated" with the names of attributes of which a limit has dropped something; and,
// behind the version, "refused_links" with how many links the rules refused, by verdict.
func (v *View) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"id":`...)
	dst = attribute.AppendQuotedID(dst, v.Identifiers[0].Namespace, v.Identifiers[0].Value)
	dst = append(dst, `,"identifiers":[`...)
	dst = v.appendIdentifiers(dst)
	dst = append(dst, `],"attributes":{`...)
	dst = v.appendAttributes(dst)
	dst = append(dst, `},"audiences":{`...)
	dst = v.appendAudiences(dst)
	dst = append(dst, `},"consent":{`...)
	dst = v.appendConsent(dst)
	dst = append(dst, '}')
	dst = v.appendPeople(dst)
	dst = v.appendTruncated(dst)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendUint(dst, v.Version, 10)
	return append(v.appendRefused(dst), '}')
}

func (v *View) appendIdentifiers(dst []byte) []byte {
	for i, id := range v.Identifiers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"namespace":`...)
		dst = attribute.AppendQuoted(dst, []byte(id.Namespace))
		dst = append(dst, `,"value":`...)
		dst = attribute.AppendQuoted(dst, id.Value)
		dst = append(dst, `,"first_seen":"`...)
		dst = attribute.AppendTime(dst, id.FirstSeen)
		dst = append(dst, `","last_seen":"`...)
		dst = attribute.AppendTime(dst, id.LastSeen)
		dst = append(dst, '"')
		if id.Saturated {
			dst = append(dst, `,"saturated":true`...)
		}
		dst = append(dst, '}')
	}
	return dst
}

func (v *View) appendAttributes(dst []byte) []byte {
	first := true
	for i := range v.Program.Attributes {
		a := &v.Program.Attributes[i]
		n := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		dst = attribute.AppendQuoted(dst, []byte(a.Name))
		dst = append(dst, ':')
		m := len(dst)
		dst = a.AppendJSON(dst, &v.Env)
		if string(dst[m:]) == "null" {
			dst = dst[:n]
			continue
		}
		first = false
	}
	return dst
}

func (v *View) appendAudiences(dst []byte) []byte {
	first := true
	v.EachAudience(func(i int, since int64) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = attribute.AppendQuoted(dst, []byte(v.Program.Audiences[i].Name))
		dst = append(dst, `:{"since":"`...)
		dst = attribute.AppendTime(dst, since)
		dst = append(dst, `"}`...)
	})
	return dst
}

func (v *View) appendConsent(dst []byte) []byte {
	first := true
	for i, name := range v.Program.Purposes {
		w := le64(v.Env.Consent[8*i:])
		if !consent.Known(w) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = attribute.AppendQuoted(dst, []byte(name))
		dst = append(dst, `:{"granted":`...)
		dst = strconv.AppendBool(dst, consent.Granted(w))
		dst = append(dst, `,"since":"`...)
		dst = attribute.AppendTime(dst, consent.Time(w))
		dst = append(dst, `"}`...)
	}
	return dst
}

// appendRefused appends `,"refused_links":{VERDICT:N,..}` if there are any.
func (v *View) appendRefused(dst []byte) []byte {
	before := len(dst)
	for i, n := range v.Refused {
		if n == 0 {
			continue
		}
		if len(dst) == before {
			dst = append(dst, `,"refused_links":{`...)
		} else {
			dst = append(dst, ',')
		}
		dst = attribute.AppendQuoted(dst, []byte(identity.Verdict(i).String()))
		dst = strconv.AppendInt(append(dst, ':'), int64(n), 10)
	}
	if len(dst) > before {
		dst = append(dst, '}')
	}
	return dst
}

// appendTruncated appends `,"truncated":[NAME,..]` if there are any.
func (v *View) appendTruncated(dst []byte) []byte {
	any := false
	for i := range v.Program.Attributes {
		a := &v.Program.Attributes[i]
		if a.Kind == nil || a.Slot.Segment < 0 {
			continue // only a segment has a limit
		}
		fixed := v.Env.State.Fixed[a.Slot.Offset : a.Slot.Offset+a.Kind.FixedSize()]
		if !attribute.Truncated(a.Kind, fixed, v.Env.State.Segment(a.Slot.Segment), v.Env.Now) {
			continue
		}
		if any {
			dst = append(dst, ',')
		} else {
			dst = append(dst, `,"truncated":[`...)
		}
		any = true
		dst = attribute.AppendQuoted(dst, []byte(a.Name))
	}
	if any {
		dst = append(dst, ']')
	}
	return dst
}

func appendNumber(dst []byte, v float64) []byte {
	if v == float64(int64(v)) && v > -1e15 && v < 1e15 {
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

func le64(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}
