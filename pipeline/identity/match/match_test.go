package match

import (
	"math"
	"reflect"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// people makes up n people and, for some, a second record with a slip.
func people(seed uint64, n int, double float64) (rows [][]string, truth []string) {
	random := splitMix(seed)
	given := []string{"Marsha", "Robert", "Grace", "Oscar", "Evie", "Logan", "Ryan", "Ivy", "Hugo", "Darcy", "Emma", "Leo"}
	pick := func(s []string) string { return s[random.below(len(s))] }
	word := func() string {
		w := ""
		for range 2 + random.below(2) {
			w += pick([]string{"ba", "ker", "son", "mil", "ler", "fi", "sh", "ro", "wan", "tel", "do", "ham"})
		}
		return w
	}
	for i := range n {
		dob := strconv.Itoa(1940+random.below(70)) + "-" + pad2(strconv.Itoa(1+random.below(12))) + "-" + pad2(strconv.Itoa(1+random.below(28)))
		r := []string{pick(given), word(), dob, word() + "ton"}
		rows, truth = append(rows, r), append(truth, strconv.Itoa(i))
		if float64(random.below(1000)) < 1000*double {
			s := append([]string(nil), r...)
			switch random.below(4) {
			case 0:
				s[1] = s[1][1:]
			case 1:
				s[2] = s[2][:8] + "30"
			case 2:
				s[3] = ""
			case 3:
				s[0] = s[0][:1]
			}
			rows, truth = append(rows, s), append(truth, strconv.Itoa(i))
		}
	}
	return rows, truth
}

var peopleHeader = []string{"first_name", "surname", "dob", "city"}

func TestMadeUpPeople(t *testing.T) {
	rows, truth := people(7, 3000, 0.3)
	res := Run(tableOf(t, peopleHeader, rows), Settings{})
	p, r, f := quality(res.Groups, truth)
	t.Logf("precision %.4f, recall %.4f", p, r)
	if f < 0.97 {
		t.Errorf("precision %.4f, recall %.4f", p, r)
	}
}

// A file in which nobody is twice is left alone.
func TestNobodyTwice(t *testing.T) {
	rows, _ := people(3, 2000, 0)
	if res := Run(tableOf(t, peopleHeader, rows), Settings{}); len(res.Pairs) > 2 {
		t.Errorf("%d pairs among people who are all different", len(res.Pairs))
	}
}

// I1
func TestSameResult(t *testing.T) {
	rows, _ := people(9, 500, 0.5)
	a, b := Run(tableOf(t, peopleHeader, rows), Settings{}), Run(tableOf(t, peopleHeader, rows), Settings{})
	if !reflect.DeepEqual(a, b) {
		t.Error("the same file gave another result")
	}
}

// I3, and no pair in a block of bearable size is missed.
func TestCandidatesAgainstAllPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 250).Draw(t, "records")
		table, err := NewTable([]Column{{"last", FamilyName}, {"dob", Date}, {"first", GivenName}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		random := splitMix(rapid.Uint64().Draw(t, "seed"))
		days := 1 + random.below(60)
		for range n {
			table.Add([]string{[]string{"Kelly", "Smith", ""}[random.below(3)], "1971-06-" + pad2(strconv.Itoa(random.below(days))), []string{"Ann", "Bob"}[random.below(2)]})
		}
		passes := table.plan()
		seen := map[[2]int32]int{}
		before := [2]int32{-1, -1}
		table.candidates(passes, func(int) {}, func(a, b int32) {
			seen[[2]int32{a, b}]++
			if a >= b || a < before[0] {
				t.Fatalf("pair %d, %d after %v", a, b, before)
			}
			before = [2]int32{a, b}
		})
		for pair, times := range seen {
			if times > 1 {
				t.Fatalf("%v came %d times", pair, times)
			}
		}
		for a := range int32(n) {
			for b := a + 1; b < int32(n); b++ {
				share := false
				for i := range passes {
					p := &passes[i]
					if k := p.key(a); k == 0 || k != p.key(b) {
						continue
					}
					begin, end := p.block(p.where[a] - 1)
					share = share || end-begin <= largestBlock
				}
				if share && seen[[2]int32{a, b}] == 0 {
					t.Fatalf("%d and %d share a key and were not compared", a, b)
				}
			}
		}
	})
}

// The model finds the shares that made a population.
func TestModelLearnsShares(t *testing.T) {
	table, err := NewTable([]Column{{"a", Text}, {"b", Text}, {"c", Text}, {"d", Text}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	random := splitMix(5)
	share := func(p float64) bool { return float64(random.next()>>11)/(1<<53) < p }
	m := []float64{.9, .8, .7, .95}
	u := []float64{.01, .02, .05, .03}
	s := &sample{scale: 1, observed: make([][levels]float64, 4)}
	const pairs, prior = 200_000, 0.05
	for range pairs {
		from := u
		if share(prior) {
			from = m
		}
		var p pattern
		for f := range from {
			l := differs
			if share(from[f]) {
				l = exact
			}
			p.set(f, l)
			s.observed[f][l]++
		}
		s.pairs = append(s.pairs, samplePair{levels: p})
	}
	s.all = pairs
	model := newModel(table)
	model.learn(table, s)
	if math.Abs(model.match-prior) > 0.005 {
		t.Errorf("share of matches %v", model.match)
	}
	for f := range m {
		fm := model.fields[f]
		if math.Abs(fm.match[exact]-m[f]) > 0.02 || math.Abs(fm.other[exact]-u[f]) > 0.004 {
			t.Errorf("field %d: m %v, u %v", f, fm.match[exact], fm.other[exact])
		}
	}
}

// Families share a name and a house; they are several people all the same.
func TestFamilies(t *testing.T) {
	rows, truth := people(11, 1500, 0.3)
	header := append(append([]string(nil), peopleHeader...), "street", "postcode")
	random := splitMix(2)
	for i := range rows {
		home := strconv.Itoa(random.below(400))
		if i > 0 && truth[i] == truth[i-1] {
			rows[i] = append(rows[i], rows[i-1][4:]...)
			continue
		}
		if i > 0 && i%3 > 0 { // of the family of the row before
			rows[i][1] = rows[i-1][1]
			rows[i] = append(rows[i], rows[i-1][4:]...)
			continue
		}
		rows[i] = append(rows[i], home+" "+rows[i][3]+" road", "AB"+home)
	}
	res := Run(tableOf(t, header, rows), Settings{})
	p, r, f := quality(res.Groups, truth)
	t.Logf("precision %.4f, recall %.4f", p, r)
	if f < 0.95 {
		t.Errorf("precision %.4f, recall %.4f", p, r)
	}
}

func TestTinyFiles(t *testing.T) {
	for n := range 4 {
		table := tableOf(t, peopleHeader, nil)
		for range n {
			table.Add([]string{"Marsha", "Kelly", "1971-06-24", "Hull"})
		}
		res := Run(table, Settings{})
		if people := min(n, 1); res.People != people || len(res.Pairs) != n*(n-1)/2 {
			t.Errorf("%d equal records: %d people, %d pairs", n, res.People, len(res.Pairs))
		}
	}
	if _, err := NewTable([]Column{{"id", ID}}, nil); err == nil {
		t.Error("nothing to compare, and no error")
	}
	table := tableOf(t, peopleHeader, nil)
	table.Add(nil)
	table.Add([]string{"", "", "", "", "more"})
	if res := Run(table, Settings{}); res.People != 2 {
		t.Errorf("two empty records are %d people", res.People)
	}
}

// TestAddressesMadeOfNames: people of one name have e-mail addresses that look alike; that they differ in all else keeps them apart.
func TestAddressesMadeOfNames(t *testing.T) {
	people := 2000
	if testing.Short() {
		people = 500
	}
	random := splitMix(11)
	var rows [][]string
	var truth []string
	for i := range people {
		first, last := "F"+string(rune('a'+random.below(20)))+"nna", "Las"+string(rune('a'+random.below(10)))+"t"+string(rune('a'+random.below(10)))+"er"
		dob := strconv.Itoa(1940+random.below(70)) + "-" + pad2(strconv.Itoa(1+random.below(12))) + "-" + pad2(strconv.Itoa(1+random.below(28)))
		number := func(digits int) string {
			text := ""
			for range digits {
				text += strconv.Itoa(random.below(10))
			}
			return text
		}
		r := []string{first, last, first + "." + last + strconv.Itoa(i) + "@x.org", dob, "+49" + number(9), "Street " + number(3), "City" + number(2), number(5)}
		rows, truth = append(rows, r), append(truth, strconv.Itoa(i))
		if i%8 == 0 {
			s := append([]string(nil), r...)
			switch random.below(4) {
			case 0:
				s[1] = s[1][1:]
			case 1:
				s[3] = ""
			case 2:
				s[4] = ""
			case 3:
				s[2] = ""
			}
			rows, truth = append(rows, s), append(truth, strconv.Itoa(i))
		}
	}
	table := tableOf(t, []string{"first_name", "surname", "email", "dob", "phone", "street", "city", "postcode"}, rows)
	res := Run(table, Settings{})
	p, r, _ := quality(res.Groups, truth)
	t.Logf("%d pairs, precision %.4f, recall %.4f", len(res.Pairs), p, r)
	if p < 0.98 || r < 0.98 {
		t.Errorf("precision %.4f, recall %.4f", p, r)
	}
	for i := range table.fields {
		if bits := res.Model.Bits(table, i)["differs"]; bits > 0 {
			t.Errorf("to differ in %s speaks for one person: %.2f bits", table.fields[i].name, bits)
		}
	}
}
