package match

import "strings"

// level says how well two values of a field agree. The model learns what each one is worth; it assumes nothing about their
// order, except that exact is agreement in full.
type level uint8

// The levels that comparisons give. Which of them a kind uses is in usual.
const (
	differs level = iota
	similar       // a good part is the same
	close         // a slip of the pen away
	kindred       // a nickname, an initial, the same mailbox elsewhere
	crossed       // given and family name changed places
	exact
	levels
	missing level = 15 // one of the values is not there: no evidence
)

var levelNames = [levels]string{"differs", "similar", "close", "kindred", "crossed", "exact"}

func (l level) String() string {
	if l == missing {
		return "missing"
	}
	return levelNames[l]
}

// comparer compares values. It belongs to one goroutine.
type comparer struct {
	nicknames nicknameTable
	a, b      text
}

// compare says how a and b, two different and non-empty forms, agree.
func (c *comparer) compare(k Kind, a, b string) level {
	c.a.set(a)
	c.b.set(b)
	switch k {
	case GivenName:
		return c.givenNames(a, b)
	case FamilyName:
		return c.familyNames(a, b)
	case Date:
		return c.dates(a, b)
	case Email:
		return c.emails(a, b)
	case Phone:
		if n := min(len(a), len(b)); n >= 7 && (strings.HasSuffix(a, b) || strings.HasSuffix(b, a)) {
			return kindred // one of them without its country code
		}
		return c.within(1)
	case Postcode:
		if c.within(1) == close {
			return close
		}
		if n := min(len(a), len(b)) - 2; n >= 2 && a[:n] == b[:n] {
			return similar
		}
		return differs
	case Number:
		return differs
	case Code:
		if min(c.a.n, c.b.n) >= 5 {
			return c.within(1)
		}
		return differs
	case Category:
		if a[0] == b[0] && min(len(a), len(b)) == 1 {
			return kindred // m and male
		}
		return differs
	}
	return c.texts(a, b)
}

func (c *comparer) within(most int) level {
	if edits(&c.a, &c.b, most) <= most {
		return close
	}
	return differs
}

func (c *comparer) givenNames(a, b string) level {
	if c.nicknames.same(a, b) || initialOf(a, b) || initialOf(b, a) || shareWord(a, b) {
		return kindred
	}
	return c.names(0.8)
}

func (c *comparer) familyNames(a, b string) level {
	if shareWord(a, b) || initialOf(a, b) || initialOf(b, a) {
		return kindred
	}
	return c.names(0.85)
}

// names: one slip, two in a long name, or else how similar they are.
func (c *comparer) names(alike float64) level {
	shorter := min(c.a.n, c.b.n)
	slips := 1
	if shorter >= 7 {
		slips = 2
	}
	if shorter >= 3 && edits(&c.a, &c.b, slips) <= slips {
		return close
	}
	if jaroWinkler(&c.a, &c.b) >= alike {
		return similar
	}
	return differs
}

// initialOf says whether a is the first letter of b alone.
func initialOf(a, b string) bool { return len(a) == 1 && b[0] == a[0] }

// shareWord says whether one of the two has several words and a word of the other stands among them, initials aside.
func shareWord(a, b string) bool {
	if !strings.Contains(a, " ") && !strings.Contains(b, " ") {
		return false
	}
	for x := range strings.FieldsSeq(a) {
		for y := range strings.FieldsSeq(b) {
			if x == y && len(x) > 1 {
				return true
			}
		}
	}
	return false
}

// dates are yyyymmdd: one digit wrong, two digits or day and month changed over; or two of the three parts the same.
func (c *comparer) dates(a, b string) level {
	if len(a) != 8 || len(b) != 8 {
		return c.within(1)
	}
	if edits(&c.a, &c.b, 1) <= 1 || a[:4] == b[:4] && a[4:6] == b[6:] && a[6:] == b[4:6] {
		return close
	}
	same := 0
	for _, part := range [...]bool{a[:4] == b[:4], a[4:6] == b[4:6], a[6:] == b[6:]} {
		if part {
			same++
		}
	}
	if same == 2 {
		return similar
	}
	return differs
}

func (c *comparer) emails(a, b string) level {
	slips := 1 + min(c.a.n, c.b.n)/8
	if edits(&c.a, &c.b, slips) <= slips {
		return close
	}
	mailboxA, _, _ := strings.Cut(a, "@")
	mailboxB, _, _ := strings.Cut(b, "@")
	if mailboxA == mailboxB && len(mailboxA) >= 5 {
		return kindred
	}
	if jaroWinkler(&c.a, &c.b) >= 0.9 {
		return similar
	}
	return differs
}

func (c *comparer) texts(a, b string) level {
	slips := 1 + min(c.a.n, c.b.n)/8
	if min(c.a.n, c.b.n) >= 4 && edits(&c.a, &c.b, slips) <= slips {
		return close
	}
	if shareWord(a, b) || jaroWinkler(&c.a, &c.b) >= 0.85 {
		return similar
	}
	return differs
}
