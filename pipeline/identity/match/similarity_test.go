package match

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func setText(s string) *text {
	var t text
	t.set(s)
	return &t
}

// naiveJaroWinkler follows the definition with slices and flags.
func naiveJaroWinkler(x, y string) float64 {
	a, b := []rune(x), []rune(y)
	if len(a) == 0 && len(b) == 0 {
		return 1
	}
	reach := max(len(a), len(b))/2 - 1
	takenA, takenB := make([]bool, len(a)), make([]bool, len(b))
	var fromA []rune
	for i, r := range a {
		for j, s := range b {
			if !takenB[j] && r == s && (j-i <= reach && i-j <= reach || i == j) {
				takenA[i], takenB[j] = true, true
				fromA = append(fromA, r)
				break
			}
		}
	}
	if len(fromA) == 0 {
		return 0
	}
	var fromB []rune
	for j, s := range b {
		if takenB[j] {
			fromB = append(fromB, s)
		}
	}
	moved := 0
	for i := range fromA {
		if fromA[i] != fromB[i] {
			moved++
		}
	}
	m := float64(len(fromA))
	jaro := (m/float64(len(a)) + m/float64(len(b)) + (m-math.Floor(float64(moved)/2))/m) / 3
	prefix := 0.0
	for i := 0; i < 4 && i < len(a) && i < len(b) && a[i] == b[i]; i++ {
		prefix++
	}
	return jaro + prefix*0.1*(1-jaro)
}

// naiveEdits is the recursive definition of optimal string alignment.
func naiveEdits(a, b []rune) int {
	switch {
	case len(a) == 0:
		return len(b)
	case len(b) == 0:
		return len(a)
	}
	x, y := a[:len(a)-1], b[:len(b)-1]
	cost := 1
	if a[len(a)-1] == b[len(b)-1] {
		cost = 0
	}
	d := min(naiveEdits(x, b)+1, naiveEdits(a, y)+1, naiveEdits(x, y)+cost)
	if len(a) > 1 && len(b) > 1 && a[len(a)-1] == b[len(b)-2] && a[len(a)-2] == b[len(b)-1] {
		d = min(d, naiveEdits(a[:len(a)-2], b[:len(b)-2])+1)
	}
	return d
}

func TestSimilarityAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[abcü]{0,6}`)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		if got, want := jaroWinkler(setText(a), setText(b)), naiveJaroWinkler(a, b); math.Abs(got-want) > 1e-12 {
			t.Fatalf("jaroWinkler(%q, %q) = %v, want %v", a, b, got, want)
		}
		want := naiveEdits([]rune(a), []rune(b))
		limit := rapid.IntRange(0, 6).Draw(t, "limit")
		if got := edits(setText(a), setText(b), limit); got != min(want, limit+1) {
			t.Fatalf("edits(%q, %q, %d) = %d, want %d", a, b, limit, got, want)
		}
	})
}

// Longer words, and the properties that need no oracle: symmetric edits, 1 for the same word only.
func TestSimilarityProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-e]{0,70}`)
		a, b := setText(word.Draw(t, "a")), setText(word.Draw(t, "b"))
		if d := edits(a, b, longest); d != edits(b, a, longest) || (d == 0) != (*a == *b) && a.n == b.n && d == 0 {
			t.Fatalf("edits are %d and %d", d, edits(b, a, longest))
		}
		s := jaroWinkler(a, b)
		if s < 0 || s > 1 || jaroWinkler(a, a) != 1 {
			t.Fatalf("similarity %v", s)
		}
	})
}

// Published examples.
func TestJaroWinkler(t *testing.T) {
	f := func(a, b string, want float64) {
		t.Helper()
		if got := jaroWinkler(setText(a), setText(b)); math.Abs(got-want) > 0.0006 {
			t.Errorf("%s and %s: %.4f, want %.4f", a, b, got, want)
		}
	}
	f("martha", "marhta", 0.961)
	f("dwayne", "duane", 0.840)
	f("dixon", "dicksonx", 0.813)
	f("abc", "xyz", 0)
	f("", "", 1)
	f("a", "", 0)
}

func TestSoundsLike(t *testing.T) {
	for in, want := range map[string]string{"robert": "r163", "rupert": "r163", "ashcraft": "a261", "tymczak": "t522", "pfister": "p236",
		"honeyman": "h555", "smith": "s530", "smyth": "s530", "lee": "l000", "渡辺": "渡辺", "": "", "42": "42"} {
		if got := soundsLike(in); got != want {
			t.Errorf("soundsLike(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestComparingDoesNotAllocate(t *testing.T) {
	table, err := NewTable([]Column{{"first name", GivenName}, {"surname", FamilyName}, {"dob", Date}, {"email", Email}, {"city", Place}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	table.Add([]string{"Marsha Ann", "Kelly", "1971-06-24", "m.kelly@example.com", "London"})
	table.Add([]string{"Kelly", "Masha", "1971-06-25", "mkelly@exampel.com", "Lonon"})
	c := &comparer{nicknames: newNicknames()}
	if n := testing.AllocsPerRun(100, func() { table.pattern(c, 0, 1) }); n > 0 {
		t.Errorf("a comparison allocates %v times", n)
	}
}
