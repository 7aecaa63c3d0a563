package attribute

// headcount is how many people of an account something is true of. Unlike count it is known from the start: nobody is 0.
type headcount struct{ count }

// Headcount is the kind of a number of people: an update adds one.
func Headcount() Kind { return headcount{} }

func (headcount) Name() string { return "people" }

func (headcount) Num(fixed, seg []byte, now int64) (float64, bool) { return float64(get(fixed)), true }

func (k headcount) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	return appendNum(dst, k, fixed, seg, now)
}
