package match

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestForms(t *testing.T) {
	f := func(k Kind, in, want string) {
		t.Helper()
		if got := form(k, in, dayFirst); got != want {
			t.Errorf("%s %q is %q, want %q", k, in, got, want)
		}
	}
	f(GivenName, "  Anne-Marie ", "anne marie")
	f(FamilyName, "O'Brien", "obrien")
	f(FamilyName, "Müller", "mueller")
	f(FamilyName, "García", "garcia")
	f(FamilyName, "Garci\u0301a", "garcia")
	f(FamilyName, "N/A", "")
	f(Postcode, "sw1a 1aa", "sw1a1aa")
	f(Phone, "+44 (0)20 7946", "440207946")
	f(Phone, "020 7946", "207946")
	f(Phone, "12", "")
	f(Email, " Ada@Example.COM ", "ada@example.com")
	f(Date, "1971-06-24", "19710624")
	f(Date, "1971-06-24T00:00:00Z", "19710624")
	f(Date, "24/6/1971", "19710624")
	f(Date, "24.06.1971", "19710624")
	f(Date, "19710624", "19710624")
	f(Date, "0000-00-00", "00000000")
	f(Date, "unknown", "")
	f(Place, "St. Albans", "st albans")
	f(Text, "渡辺　謙", "渡辺 謙")
	if got := form(Date, "06/24/1971", monthFirst); got != "19710624" {
		t.Errorf("month first: %q", got)
	}
	if got := findDateOrder([][]string{{"01/02/1971"}, {"12/24/1971"}}, 0); got != monthFirst {
		t.Error("12/24 has the month first")
	}
}

func TestNameParts(t *testing.T) {
	f := func(in, given, family string) {
		t.Helper()
		if g, s := nameParts(in); g != given || s != family {
			t.Errorf("%q is %q, %q", in, g, s)
		}
	}
	f("Marsha Kelly", "marsha", "kelly")
	f("M. Kelly", "m", "kelly")
	f("Kelly, Marsha Ann", "marsha", "kelly")
	f("Marsha Ann Kelly", "marsha", "kelly")
	f("Kelly", "", "kelly")
	f("Kelly,", "", "kelly")
	f("", "", "")
}

func TestLevels(t *testing.T) {
	c := &comparer{nicknames: newNicknames()}
	f := func(k Kind, a, b string, want level) {
		t.Helper()
		if got, back := c.compare(k, a, b), c.compare(k, b, a); got != want || back != want {
			t.Errorf("%s %q and %q: %s, back %s, want %s", k, a, b, got, back, want)
		}
	}
	f(GivenName, "robert", "rob", kindred)
	f(GivenName, "bob", "rob", kindred)
	f(GivenName, "m", "marsha", kindred)
	f(GivenName, "m", "robert", differs)
	f(GivenName, "anne marie", "marie", kindred)
	f(GivenName, "ryan", "rnyan", close)
	f(GivenName, "marsha", "robert", differs)
	f(FamilyName, "allen", "alan", differs)
	f(FamilyName, "allen", "alen", close)
	f(FamilyName, "kelly", "kellison", similar)
	f(FamilyName, "smith jones", "jones", kindred)
	f(FamilyName, "lee", "llee", close)
	f(Date, "19710624", "19710524", close)
	f(Date, "19710206", "19710602", close)
	f(Date, "19710624", "19710817", differs)
	f(Date, "19710624", "19710699", similar)
	f(Email, "a.kelly@x.example", "akelly@x.example", close)
	f(Email, "marsha.kelly@x.example", "marsha.kelly@post.test", kindred)
	f(Email, "marsha.kelly@x.example", "robert.smith@y.test", differs)
	f(Phone, "442079460958", "2079460958", kindred)
	f(Phone, "2079460958", "2079460985", close)
	f(Postcode, "sw1a1aa", "sw1a1ab", close)
	f(Postcode, "sw1a1aa", "sw1a2bb", differs)
	f(Place, "portsmouth", "pootsmruth", close)
	f(Number, "12", "13", differs)
	f(Code, "123456", "123465", close)
	f(Code, "1234", "1243", differs)
	f(Category, "m", "male", kindred)
	f(Category, "female", "male", differs)
}

func TestCrossedNames(t *testing.T) {
	table, err := NewTable([]Column{{"first", GivenName}, {"last", FamilyName}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][]string{{"Oscar", "Moore"}, {"Moore", "Oscar"}, {"", "Oscar"}, {"Moor", "Oscr"}, {"Moore", "Smith"}, {"Oscar", ""}} {
		table.Add(r)
	}
	c := &comparer{nicknames: newNicknames()}
	f := func(a, b int32, given, family level) {
		t.Helper()
		if p := table.pattern(c, a, b); p.at(0) != given || p.at(1) != family {
			t.Errorf("%d and %d: %s, %s", a, b, p.at(0), p.at(1))
		}
	}
	f(0, 1, crossed, crossed)
	f(0, 2, crossed, missing)
	f(0, 3, crossed, crossed)
	f(0, 4, differs, differs)
	f(0, 5, exact, missing)
}

func TestDetect(t *testing.T) {
	columns := []string{"unique_id", "First Name", "SURNAME", "d.o.b", "city", "Kontakt", "cluster", "name", "note", "customer id"}
	rows := [][]string{{"1", "", "", "", "", "a@b.example", "7", "", "x"}, {"2", "", "", "", "", "", "7"}}
	want := []Kind{ID, GivenName, FamilyName, Date, Place, Email, Ignored, Ignored, Ignored, Ignored}
	if got := Detect(columns, rows); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, k := range KindNames() {
		if parsed, ok := ParseKind(k); !ok || parsed.String() != k {
			t.Errorf("kind %q", k)
		}
	}
	if _, ok := ParseKind("email address"); ok {
		t.Error("there is no such kind")
	}
}

// A form is a form of itself, never longer than what is compared, and valid where the value was.
func FuzzForms(f *testing.F) {
	for _, s := range []string{"Anne-Marie O’Neil", "24.12.1971", "+44 20", "ADA@example.com", "渡辺 謙", "\xff", "İ", strings.Repeat("a", longest-1) + strings.Repeat(" b", 10*longest)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for k := range Kind(len(kindNames)) {
			v := form(k, s, dayFirst)
			if utf8.ValidString(s) && !utf8.ValidString(v) || len([]rune(v)) > 3*longest {
				t.Fatalf("%s %q gave %q", k, s, v)
			}
			soundsLike(v)
		}
		nameParts(s)
	})
}
