package identity

import (
	"cmp"
	"slices"
)

// MaxPartners is the most identifiers of one namespace that an identifier may be seen with below it: a family's tablet is, a kiosk or
// the mailbox that a call centre types for want of another is not. Beyond it the identifier is saturated: nobody's, for good. The number
// bounds how many people one identifier can bring to one place.
const MaxPartners = 64

// Facts are what is known of identifiers that hang together by links, whatever the rules say of those. They are sets that only
// grow, so every order of arrival ends in the same facts; who is whom is then a function of them.
type Facts struct {
	Members []Member // in the order of ids: stronger namespace, smaller hash, smaller value first
	Links   []Link   // in the order of B, A, with cuts after links
}

// Member is one identifier.
type Member struct {
	Namespace int  // index in Rules.Namespaces; one beyond them has no rule
	Saturated bool // see MaxPartners
	Profile   int  // set by Resolve: index of the member that gives the profile its id, the smallest
}

// Link says that two identifiers were seen in one event, or, as a cut, that somebody said they are never one person.
type Link struct {
	A, B        int    // members, A < B: B is the weaker
	Cut         bool   //
	First, Last int64  // event time, milliseconds; of a cut: when it was made
	ID          uint32 // of the message that was First: the upper half of its hash; 0 for none
	Verdict     Verdict
}

// Verdict is what became of a link.
type Verdict uint8

// The verdicts.
const (
	Joined    Verdict = iota
	Cut               // a cut keeps the two apart
	OverLimit         // the profile would have more values of a namespace than its rule allows
	TooLarge          // the profile would have more than Rules.MaxIdentifiers
	Isolated          // the weaker one was seen with people who must not merge, and its namespace isolates
)

// Verdicts are the words for them.
var Verdicts = [...]string{Joined: "joined", Cut: "cut", OverLimit: "limit", TooLarge: "max_identifiers", Isolated: "isolated"}

func (v Verdict) String() string { return Verdicts[v] }

// Resolver is the scratch space of Resolve. The zero value is ready.
type Resolver struct {
	rules  *Rules
	facts  *Facts
	root   []int // union-find, the smallest member of a set is its root
	next   []int // the members of a set in a ring
	size   []int
	came   []int64 // by member: when it was first linked
	went   []int64 // and when it was last linked
	order  []int
	newest []int
	shared []int
	times  []int64
	undo   []int
}

// Resolve partitions the members into profiles. It is a pure function of facts and rules:
//
//  1. Links whose weaker member is of a namespace that says First, in the order of event time, each joins the profiles of its ends, unless a cut,
//     a limit or the size of the profile forbids it. (Kruskal's algorithm, with refusals.)
//  2. Of these, the links of a member whose namespace says Oldest are kept back until then, and come in the opposite order, the one that was
//     seen last first: what is over the limit is then the oldest. None of these members is in a profile before, so none is in the way.
//  3. Members of the other namespaces, in the order in which they were first linked, those that say Oldest behind them, in the order in which they were last
//     linked, the last one first: one that says LastAuthenticated goes to the profile it was seen with last and joins the others to it as far as
//     that is allowed; one that says Isolate joins all it was seen with, or, when any of that is forbidden, none.
//
// It does not allocate once it has been used.
func (r *Resolver) Resolve(rules *Rules, f *Facts) {
	r.rules, r.facts = rules, f
	r.reset()
	r.order, r.newest, r.shared = r.order[:0], r.newest[:0], r.shared[:0]
	for i := range f.Links {
		l := &f.Links[i]
		if l.Cut {
			continue
		}
		r.came[l.A], r.came[l.B] = min(r.came[l.A], l.First), min(r.came[l.B], l.First)
		r.went[l.A], r.went[l.B] = max(r.went[l.A], l.Last), max(r.went[l.B], l.Last)
		switch {
		case r.policy(l.B) != First:
			if !slices.Contains(r.shared, l.B) {
				r.shared = append(r.shared, l.B)
			}
		case r.oldest(l.A) || r.oldest(l.B):
			r.newest = append(r.newest, i)
		default:
			r.order = append(r.order, i)
		}
	}
	slices.SortFunc(r.order, r.earlier)
	for _, i := range r.order {
		r.judge(i)
	}
	slices.SortFunc(r.newest, r.later)
	for _, i := range r.newest {
		r.judge(i)
	}
	slices.SortFunc(r.shared, r.before)
	for _, m := range r.shared {
		r.share(m)
	}
	for i := range f.Members {
		f.Members[i].Profile = r.find(i)
	}
}

const never = int64(1)<<62 - 1

func (r *Resolver) reset() {
	n := len(r.facts.Members)
	r.root, r.next, r.size = slices.Grow(r.root[:0], n)[:n], slices.Grow(r.next[:0], n)[:n], slices.Grow(r.size[:0], n)[:n]
	r.came, r.went = slices.Grow(r.came[:0], n)[:n], slices.Grow(r.went[:0], n)[:n]
	for i := range n {
		r.root[i], r.next[i], r.size[i], r.came[i], r.went[i] = i, i, 1, never, -never
	}
}

func (r *Resolver) policy(m int) Shared {
	if rule := r.rule(m); rule != nil {
		return rule.Shared
	}
	return First
}

func (r *Resolver) oldest(m int) bool {
	rule := r.rule(m)
	return rule != nil && rule.Limit > 0 && rule.Excess == Oldest
}

func (r *Resolver) rule(m int) *Rule {
	if ns := r.facts.Members[m].Namespace; ns < len(r.rules.Namespaces) {
		return &r.rules.Namespaces[ns]
	}
	return nil
}

// earlier is the order of step 1.
func (r *Resolver) earlier(i, j int) int {
	a, b := &r.facts.Links[i], &r.facts.Links[j]
	return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B))
}

// before is the order of members in step 3.
func (r *Resolver) before(a, b int) int {
	switch p, q := r.oldest(a), r.oldest(b); {
	case p && q:
		return cmp.Or(cmp.Compare(r.went[b], r.went[a]), cmp.Compare(a, b))
	case p:
		return 1
	case q:
		return -1
	}
	return cmp.Or(cmp.Compare(r.came[a], r.came[b]), cmp.Compare(a, b))
}

// later is the order of step 2, and of step 3 for LastAuthenticated.
func (r *Resolver) later(i, j int) int {
	a, b := &r.facts.Links[i], &r.facts.Links[j]
	return cmp.Or(cmp.Compare(b.Last, a.Last), cmp.Compare(b.First, a.First), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B))
}

// share is step 3 for one member.
func (r *Resolver) share(m int) {
	r.order = r.order[:0]
	for i := range r.facts.Links {
		if l := &r.facts.Links[i]; l.B == m && !l.Cut {
			r.order = append(r.order, i)
		}
	}
	if r.policy(m) == LastAuthenticated {
		slices.SortFunc(r.order, r.later)
		for _, i := range r.order {
			r.judge(i)
		}
		return
	}
	slices.SortFunc(r.order, r.earlier)
	n := len(r.root)
	r.undo = append(append(append(r.undo[:0], r.root...), r.next...), r.size...)
	for _, i := range r.order {
		if r.judge(i) != Joined {
			copy(r.root, r.undo)
			copy(r.next, r.undo[n:])
			copy(r.size, r.undo[2*n:])
			for _, j := range r.order {
				r.facts.Links[j].Verdict = Isolated
			}
			return
		}
	}
}

// judge joins the profiles of the ends of a link if that is allowed.
func (r *Resolver) judge(i int) Verdict {
	l := &r.facts.Links[i]
	a, b := r.find(l.A), r.find(l.B)
	l.Verdict = Joined
	if a == b {
		return Joined
	}
	switch {
	case r.cut(a, b):
		l.Verdict = Cut
	case r.size[a]+r.size[b] > r.rules.MaxIdentifiers:
		l.Verdict = TooLarge
	case r.over(a, b):
		l.Verdict = OverLimit
	default:
		if b < a {
			a, b = b, a
		}
		r.root[b] = a
		r.size[a] += r.size[b]
		r.next[a], r.next[b] = r.next[b], r.next[a] // two rings become one
	}
	return l.Verdict
}

func (r *Resolver) find(m int) int {
	for r.root[m] != m {
		m = r.root[m]
	}
	return m
}

// cut says whether somebody said that a member of one set and one of the other are never one person.
func (r *Resolver) cut(a, b int) bool {
	for i := range r.facts.Links {
		l := &r.facts.Links[i]
		if !l.Cut {
			continue
		}
		if x, y := r.find(l.A), r.find(l.B); x == a && y == b || x == b && y == a {
			return true
		}
	}
	return false
}

// over says whether the two sets together would break the limit of a namespace.
func (r *Resolver) over(a, b int) bool {
	for ns := range r.rules.Namespaces {
		rule := &r.rules.Namespaces[ns]
		if rule.Limit == 0 {
			continue
		}
		r.times = r.times[:0]
		r.gather(a, ns)
		mine := len(r.times)
		r.gather(b, ns)
		if mine == 0 || mine == len(r.times) || len(r.times) <= rule.Limit {
			continue // what one set alone has was allowed
		}
		if rule.Period == 0 {
			return true
		}
		slices.Sort(r.times)
		for i := rule.Limit; i < len(r.times); i++ {
			if r.times[i]-r.times[i-rule.Limit] < rule.Period {
				return true
			}
		}
	}
	return false
}

// gather appends when the members of a namespace in a set were first linked.
func (r *Resolver) gather(set, ns int) {
	for m := r.next[set]; ; m = r.next[m] {
		if r.facts.Members[m].Namespace == ns {
			r.times = append(r.times, r.came[m])
		}
		if m == set {
			return
		}
	}
}

// Saturate marks the members that were seen with more than MaxPartners identifiers of one namespace, and drops their links: what
// they would say no longer matters. Cuts stay. It returns how many it marked.
func Saturate(f *Facts) (marked int) {
	if len(f.Links) <= MaxPartners {
		return 0
	}
	count := map[[2]int]int{}
	for i := range f.Links {
		l := &f.Links[i]
		if l.Cut {
			continue
		}
		k := [2]int{l.B, f.Members[l.A].Namespace}
		count[k]++
		if count[k] > MaxPartners && !f.Members[l.B].Saturated {
			f.Members[l.B].Saturated = true
			marked++
		}
	}
	f.Links = slices.DeleteFunc(f.Links, func(l Link) bool { return !l.Cut && f.Members[l.B].Saturated })
	return marked
}
