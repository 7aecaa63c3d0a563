package identity

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// These values are on disks and in other people's logs. If this test fails, the code is wrong (I1).
func TestHashGolden(t *testing.T) {
	f := func(namespace, value string, want uint64) {
		t.Helper()
		if got := Hash(namespace, []byte(value)); got != want {
			t.Errorf("Hash(%q, %q) = %#016x, want %#016x", namespace, value, got, want)
		}
	}
	f("", "", 0xe934a84adb052768)
	f("user_id", "42", 0x0e20f0b2a14ae961)
	f("email", "ada@example.com", 0xecd4595b3712c058)
	f("anonymous_id", "9f1c2d3e-0000-4000-8000-000000000001", 0x25cedb9a15e9d19d)
	f("phone", "+81312345678", 0x049af678147b5885)
	f("user_id", strings.Repeat("x", 120), 0x4a41f6c29fa98a10)
	f("user_id", strings.Repeat("x", 121), 0x8ca5be6fd5ae127d)
	f("user_id", strings.Repeat("x", 256), 0x0018d561e4a34f43)
}

func TestHashIsXXHash64OfTheParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.StringN(0, 60, 200).Draw(t, "namespace")
		value := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "value")
		want := xxhash.Sum64String(ns + "\x00" + string(value))
		if got := Hash(ns, value); got != want {
			t.Fatalf("Hash = %#x, want %#x", got, want)
		}
	})
}

func TestParseIdentifier(t *testing.T) {
	f := func(in, namespace, value string, ok bool) {
		t.Helper()
		n, v, err := ParseIdentifier(in)
		if (err == nil) != ok || n != namespace || v != value {
			t.Errorf("ParseIdentifier(%q) = %q, %q, %v", in, n, v, err)
		}
		if err != nil && !errors.Is(err, ErrIdentifier) {
			t.Errorf("ParseIdentifier(%q): %v does not wrap ErrIdentifier", in, err)
		}
		nb, vb, err := ParseIdentifier([]byte(in))
		if (err == nil) != ok || string(nb) != namespace || string(vb) != value {
			t.Errorf("ParseIdentifier([]byte(%q)) = %q, %q, %v", in, nb, vb, err)
		}
	}
	f("user_id:42", "user_id", "42", true)
	f("url:https://x/y", "url", "https://x/y", true)
	f("a::", "a", ":", true)
	f("", "", "", false)
	f(":", "", "", false)
	f(":42", "", "", false)
	f("user_id:", "", "", false)
	f("user_id", "", "", false)
}

func TestBlocked(t *testing.T) {
	f := func(value string, want bool) {
		t.Helper()
		if got := Blocked([]byte(value)); got != want {
			t.Errorf("Blocked(%q) = %v", value, got)
		}
	}
	for _, v := range []string{"", " ", "null", "NULL", " Null\n", "undefined", "None", "guest", "UNKNOWN", "0", "-", "-1", "nan", "NaN",
		"anonymous", "00000000-0000-0000-0000-000000000000", "000", "ffffffff-ffff-ffff-ffff-ffffffffffff", strings.Repeat("F", 32),
		"[object Object]", "(not provided)", "(Not Set)", "n/a", "true", "FALSE", "{}", strings.Repeat("0", 500)} {
		f(v, true)
	}
	for _, v := range []string{"1", "42", "00000000-0000-0000-0000-000000000001", "ada", "nullable", "guest1", "null@example.com",
		"nobody's", strings.Repeat("z", 32), strings.Repeat("f", 31), "(not provided)x", "\x00"} {
		f(v, false)
	}
}

func TestNormalisers(t *testing.T) {
	f := func(name, in, want string, opts ...Option) {
		t.Helper()
		n, err := Normaliser(name, opts...)
		if err != nil {
			t.Fatal(err)
		}
		out, ok := n([]byte("<"), []byte(in))
		if ok != (want != "") || string(out) != "<"+want {
			t.Errorf("%s(%q) = %q, %v, want %q", name, in, out, ok, want)
		}
	}
	f("exact", " Ada ", " Ada ")
	f("exact", " NULL ", "")
	f("trim", "\t Ada \r\n", "Ada")
	f("trim", "   ", "")
	f("lower", " ADA Ünal ", "ada ünal")
	f("lower", "A\xffB", "a\xffb")
	f("lower", "Guest", "")
	f("lower", "Kiosk-7 ", "", Block(pattern(t, "kiosk-7")))
	f("lower", "kiosk-8", "kiosk-8", Block(pattern(t, "kiosk-7")))

	f("email", " Ada.Lovelace+x@Example.COM ", "ada.lovelace+x@example.com")
	f("email", "ÅSA@EXAMPLE.SE", "åsa@example.se")
	for _, bad := range []string{"", "ada", "ada@", "@example.com", "a@b@c.com", "ada@example", "ada@.com", "ada@com.", "ada@a..b",
		"ada lovelace@example.com", "ada@exam ple.com", "ada@example.com,bob@example.com", "Ada <ada@example.com>", "a\x00@b.com"} {
		f("email", bad, "")
	}
	f("email", "NOBODY@shop.example", "", Block(pattern(t, "nobody@shop.example")))

	f("phone", "+81 3-1234-5678", "+81312345678")
	f("phone", "0081 3 1234 5678", "+81312345678")
	f("phone", "03-1234-5678", "+81312345678", Region("JP"))
	f("phone", "０９０ー１２３４ー５６７８", "", Region("JP")) // a long vowel mark is not a dash
	f("phone", "０９０－１２３４－５６７８", "+819012345678", Region("JP"))
	f("phone", "＋８１　９０　１２３４　５６７８", "+819012345678")
	f("phone", "010 44 20 7946 0958", "+442079460958", Region("jp"))
	f("phone", "010-1234-5678", "+821012345678", Region("KR"))
	f("phone", "(415) 555-2671", "+14155552671", Region("US"))
	f("phone", "1 (415) 555-2671", "+14155552671", Region("US"))
	f("phone", "011 44 20 7946 0958", "+442079460958", Region("US"))
	f("phone", "020 7946 0958", "+442079460958", Region("GB"))
	f("phone", "+44 (0)20 7946 0958", "+442079460958")
	f("phone", "06 12345678", "+390612345678", Region("IT"))
	f("phone", "8 (495) 123-45-67", "+74951234567", Region("RU"))
	f("phone", "06 1 234 5678", "+3612345678", Region("HU"))
	f("phone", "030/1234.567", "+49301234567", Region("DE"))
	f("phone", "020 7946 0958", "")               // no region
	f("phone", "020 7946", "", Region("GB"))      // too short
	f("phone", "415 555 26711", "", Region("US")) // too long
	for _, bad := range []string{"", "+", "++81312345678", "81+312345678", "+81312345678 ext 5", "call me", "+0312345678", "+123456",
		"+1234567890123456", "00000000000", strings.Repeat("1", 100), "\xff", "\xe3\x80", "+8１"} {
		f("phone", bad, "")
	}
}

func TestNormaliserNames(t *testing.T) {
	if names := NormaliserNames(); !slices.IsSorted(names) {
		t.Errorf("%q are not sorted", names)
	}
	for _, name := range NormaliserNames() {
		if _, err := Normaliser(name); err != nil {
			t.Errorf("Normaliser(%q): %v", name, err)
		}
	}
	if _, err := Normaliser("e-mail"); !errors.Is(err, ErrNormaliser) {
		t.Errorf("e-mail: %v", err)
	}
	if _, err := Normaliser("phone", Region("XX")); !errors.Is(err, ErrRegion) {
		t.Errorf("region XX: %v", err)
	}
	if codes := Regions(); !slices.IsSorted(codes) {
		t.Errorf("%q are not sorted", codes)
	}
}

// I2, and nothing panics or writes before len(dst).
func FuzzNormalisers(f *testing.F) {
	for _, s := range []string{"Ada@Example.com", "+81 3 1234 5678", "03-1234-5678", "İ", "null", "＋８１３１２３４５６７８"} {
		f.Add([]byte(s))
	}
	var all []Normalise
	for _, name := range NormaliserNames() {
		n, err := Normaliser(name, Region("JP"), Block(pattern(f, "x")))
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, n)
	}
	for _, iso := range Regions() {
		n, err := Normaliser("phone", Region(iso))
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, n)
	}
	for _, name := range NormaliserNames() {
		n, err := Normaliser(name, SHA256(), Block(pattern(f, "a*z"), pattern(f, "/^0.*f$/")))
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, n)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		for i, n := range all {
			out, ok := n([]byte("<"), value)
			if out[0] != '<' || !ok && len(out) != 1 {
				t.Fatalf("%d: %q gave %q, %v", i, value, out, ok)
			}
			if !ok {
				continue
			}
			again, ok := n(nil, out[1:])
			if !ok || !bytes.Equal(again, out[1:]) {
				t.Fatalf("%d: %q gave %q and that gave %q, %v", i, value, out[1:], again, ok)
			}
		}
	})
}

// I3
func TestAllocations(t *testing.T) {
	email, _ := Normaliser("email", Block(pattern(t, "nobody@example.com")))
	phone, _ := Normaliser("phone", Region("JP"))
	dst := make([]byte, 0, 400)
	short, long := []byte("Ada@Example.com"), bytes.Repeat([]byte("x"), 300)
	number := []byte("03-1234-5678")
	f := func(what string, fn func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s allocates %v times", what, n)
		}
	}
	f("Hash", func() { Hash("email", short) })
	f("Hash of a long value", func() { Hash("email", long) })
	f("Blocked", func() { Blocked(short); Blocked(long) })
	f("email", func() { email(dst, short) })
	f("phone", func() { phone(dst, number) })
	key := []byte("user_id:42")
	f("ParseIdentifier", func() { ParseIdentifier(key) })
}

func BenchmarkHash(b *testing.B) {
	for b.Loop() {
		Hash("user_id", []byte("9f1c2d3e-0000-4000-8000-000000000001"))
	}
}

func BenchmarkNormalise(b *testing.B) {
	for name, in := range map[string]string{"email": "Ada.Lovelace@Example.com", "phone": "+81 3-1234-5678", "exact": "cust-1234567"} {
		b.Run("name="+name, func(b *testing.B) {
			n, _ := Normaliser(name)
			value, dst := []byte(in), make([]byte, 0, 64)
			for b.Loop() {
				n(dst, value)
			}
		})
	}
}
