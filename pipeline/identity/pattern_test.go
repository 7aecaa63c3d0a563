package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func pattern(t testing.TB, text string) *Pattern {
	t.Helper()
	p, err := ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPatterns(t *testing.T) {
	f := func(text, value string, want bool) {
		t.Helper()
		l := &blocklist{}
		l.add(pattern(t, text))
		if got := l.holds([]byte(value)); got != want {
			t.Errorf("pattern %q holds %q: %v", text, value, got)
		}
	}
	f("kiosk", " KIOSK\n", true)
	f("Kiosk", "kiosk", true)
	f("kiosk", "kiosk2", false)
	f("*@shop.example", "ada@SHOP.example", true)
	f("*@shop.example", "ada@shop.example.com", false)
	f("test*", "test", true)
	f("a*b*c", "abbcbc", true)
	f("a*b*c", "acb", false)
	f(`/^test-\d+$/`, "TEST-12", true)
	f(`/^test-\d+$/`, "test-12x", false)
	f(`/robot/`, "a Robot b", true)
	f("/", "/", true) // one slash is a value
	f("a/b", "a/b", true)
	f(strings.Repeat("x", 300), strings.Repeat("X", 300), true)
}

func TestBadPatterns(t *testing.T) {
	for _, text := range []string{"*", " ** ", "//", "/.*/", "/[a/", "/a(?=b)/", strings.Repeat("x", LongestPattern+1)} {
		if _, err := ParsePattern(text); !errors.Is(err, ErrPattern) {
			t.Errorf("pattern %q: %v", text, err)
		}
	}
}

// A glob is what a regular expression says that is made of it the naive way.
func TestGlobAgainstRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		glob := rapid.StringMatching(`[ab*]{0,8}`).Draw(t, "glob")
		value := rapid.StringMatching(`[abAB]{0,10}`).Draw(t, "value")
		want := regexp.MustCompile("(?i)^" + strings.ReplaceAll(glob, "*", ".*") + "$").MatchString(value)
		if got := matchGlob(glob, []byte(value)); got != want {
			t.Fatalf("glob %q, value %q: %v", glob, value, got)
		}
	})
}

func TestHashedForm(t *testing.T) {
	n, err := Normaliser("email", SHA256(), Block(pattern(t, "Kiosk@shop.example"), pattern(t, "*@test.example")))
	if err != nil {
		t.Fatal(err)
	}
	digest := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	f := func(in, want string) {
		t.Helper()
		out, ok := n([]byte("<"), []byte(in))
		if ok != (want != "") || string(out) != "<"+want {
			t.Errorf("%q gave %q, %v, want %q", in, out, ok, want)
		}
	}
	f(" Ada@Example.com", digest("ada@example.com"))
	f(" "+strings.ToUpper(digest("ada@example.com")), digest("ada@example.com"))
	f("kiosk@shop.example", "")
	f(digest("kiosk@shop.example"), "")
	f("x@TEST.example", "")
	f(digest(""), "")
	f(digest("null"), "")
	f(strings.Repeat("0", 64), "")
	f("no address", "")
}

func TestRefusal(t *testing.T) {
	f := func(name, in, want string, opts ...Option) {
		t.Helper()
		refusal, err := Refusal(name, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if got := refusal([]byte(in)); got != want {
			t.Errorf("%s %q: %q, want %q", name, in, got, want)
		}
	}
	const always = "it is always blocked: clients send it for want of an identifier"
	block := Block(pattern(t, "test@test.com"), pattern(t, "*@Test.example"), pattern(t, `/^KIOSK-\d+@/`))
	f("email", "ada@example.com", "", block)
	f("email", " Test@Test.com", `the recipe blocks it, by "test@test.com"`, block)
	f("email", "x@test.example", `the recipe blocks it, by "*@test.example"`, block)
	f("email", "kiosk-7@shop.example", `the recipe blocks it, by "/^KIOSK-\\d+@/"`, block)
	f("email", "null", always, block)
	f("email", "ada", "it is no value of the form email", block)
	f("phone", "00000", always)
	f("phone", "+44 20 7946 0000", `the recipe blocks it, by "+442079460000"`, Block(pattern(t, "+442079460000"))) // in its canonical form
	f("phone", "12", "it is no value of the form phone")
	sum := sha256.Sum256([]byte("test@test.com"))
	f("email", "x@test.example", `the recipe blocks it, by "*@test.example"`, block, SHA256())
	f("email", hex.EncodeToString(sum[:]), "it is the hash of a blocked value", block, SHA256())
	f("email", "Ada@example.com", "", block, SHA256())
	if _, err := Refusal("nope"); err == nil {
		t.Error("there is no such form")
	}
}
