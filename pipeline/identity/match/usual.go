package match

// usual is what a level is worth before anything is learnt: the share of pairs of records of one person, and of two people,
// that agree so. They are round figures from the field's folklore; the model trusts them like a few pairs (priorMatches,
// priorOthers) and learns the rest from the file.
type usual struct {
	match, other [levels]float64
	lasts        bool // a person has one for life
}

var usuals = map[Kind]usual{
	GivenName:  {[levels]float64{exact: .70, kindred: .06, close: .12, similar: .03, crossed: .02, differs: .07}, [levels]float64{exact: .006, kindred: .01, close: .006, similar: .02, crossed: .0003}, false},
	FamilyName: {[levels]float64{exact: .72, kindred: .02, close: .12, similar: .03, crossed: .02, differs: .09}, [levels]float64{exact: .003, kindred: .003, close: .005, similar: .01, crossed: .0003}, false},
	Date:       {[levels]float64{exact: .80, close: .12, similar: .03, differs: .05}, [levels]float64{exact: .0001, close: .001, similar: .01}, true},
	Email:      {[levels]float64{exact: .65, close: .15, kindred: .05, similar: .05, differs: .10}, [levels]float64{exact: .00001, close: .00003, kindred: .0001, similar: .001}, false},
	Phone:      {[levels]float64{exact: .70, close: .05, kindred: .10, differs: .15}, [levels]float64{exact: .00001, close: .00002, kindred: .00001}, false},
	Postcode:   {[levels]float64{exact: .60, close: .10, similar: .10, differs: .20}, [levels]float64{exact: .001, close: .001, similar: .01}, false},
	Place:      {[levels]float64{exact: .72, close: .10, similar: .04, differs: .14}, [levels]float64{exact: .05, close: .005, similar: .02}, false},
	Address:    {[levels]float64{exact: .60, close: .15, similar: .10, differs: .15}, [levels]float64{exact: .0005, close: .001, similar: .03}, false},
	Number:     {[levels]float64{exact: .80, differs: .20}, [levels]float64{exact: .01}, false},
	Code:       {[levels]float64{exact: .80, close: .10, differs: .10}, [levels]float64{exact: .00001, close: .00003}, true},
	Category:   {[levels]float64{exact: .94, kindred: .02, differs: .04}, [levels]float64{exact: .45, kindred: .02}, false},
	Text:       {[levels]float64{exact: .70, close: .10, similar: .05, differs: .15}, [levels]float64{exact: .01, close: .005, similar: .03}, false},
}

// usualOf completes the share of pairs that differ.
func usualOf(k Kind) usual {
	u := usuals[k]
	rest := 1.0
	for l := similar; l < levels; l++ {
		rest -= u.other[l]
	}
	u.other[differs] = rest
	return u
}

// atHome is what people of one household share without being one person: the shares of pairs of them that agree. Fields that
// are not here agree among them as among any two people.
var atHome = map[Kind][levels]float64{
	FamilyName: {exact: .80, close: .02, kindred: .05, similar: .01, differs: .12},
	Phone:      {exact: .30, close: .01, kindred: .04, differs: .65},
	Postcode:   {exact: .90, close: .03, similar: .02, differs: .05},
	Place:      {exact: .90, close: .03, similar: .02, differs: .05},
	Address:    {exact: .80, close: .08, similar: .07, differs: .05},
	Number:     {exact: .80, differs: .20},
}
