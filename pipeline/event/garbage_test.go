package event

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Every kind of rubbish, with the reason and the words that a person gets for it.
func TestGarbage(t *testing.T) {
	s := shop()
	s.Fields = s.Fields[:18] // without timestamp as a field, which would complain first
	d := NewDecoder(s, DefaultLimits)
	var e Event
	f := func(src string, want Reason, detail string) {
		t.Helper()
		err := d.Decode([]byte(src), noon, &e)
		if reasonOf(err) != want || err != nil && err.(*Rejected).Detail != detail {
			t.Errorf("%.100q:\n got %v\nwant %s: %s", src, err, want, detail)
		}
	}
	with := func(members string) string { return `{"type":"page","userId":"u",` + members + `}` }
	props := func(members string) string { return with(`"properties":{` + members + `}`) }

	f(props(``), "", "")
	f("\ufeff"+props(``), Malformed, `byte 0: unexpected "\ufeff{\"type\":\"page\",\"u"`)
	f(``, Malformed, `it ends too early, after 0 bytes`)
	f(" \n ", Malformed, `it ends too early, after 3 bytes`)
	f("\x00", Malformed, `byte 0: unexpected "\x00"`)
	f(`hello`, Malformed, `byte 0: unexpected "hello"`)
	f(`[1,2]`, WrongType, `the message: want object, got something else`)
	f(`null`, WrongType, `the message: want object, got something else`)
	f(`nul`, Malformed, `byte 0: unexpected "nul"`)
	f(with(`"x":nan`), Malformed, `byte 32: unexpected "nan}"`)
	f(with(`"x":NaN`), Malformed, `byte 32: unexpected "NaN}"`)
	f(with(`"x":-`), Malformed, `byte 33: unexpected "}"`)
	f(with(`"x":01`), Malformed, `byte 33: unexpected "1}"`)
	f(with(`"x":1.`), Malformed, `byte 34: unexpected "}"`)
	f(with(`"x":.5`), Malformed, `byte 32: unexpected ".5}"`)
	f(with(`"x":+1`), Malformed, `byte 32: unexpected "+1}"`)
	f(with(`"x":1e`), Malformed, `byte 34: unexpected "}"`)
	f(with(`"x":'a'`), Malformed, `byte 32: unexpected "'a'}"`)
	f(with("\"x\":\"a\nb\""), Malformed, `byte 34: unexpected "\nb\"}"`)
	f(with(`"x":"\x41"`), Malformed, `byte 34: unexpected "x41\"}"`)
	f(with(`"x":"\u00g0"`), Malformed, `byte 37: unexpected "g0\"}"`)
	f(with(`"x":1,`), Malformed, `byte 34: unexpected "}"`)
	f(with(`"x" 1`), Malformed, `byte 32: unexpected "1}"`)
	f(with(`x:1`), Malformed, `byte 28: unexpected "x:1}"`)
	f(with(`"x":[1,]`), Malformed, `byte 35: unexpected "]}"`)
	f(with(`"x":[1}`), Malformed, `byte 34: unexpected "}}"`)
	f(props(``)+`{}`, Malformed, `byte 44: unexpected "{}"`)
	f(props(``)+"\n \t", "", "")
	f(props(`"coupon":"`+"\xc3\x28"+`"`), Malformed, `properties.coupon: not UTF-8: "\xc3("`)
	f(props(`"unread":"`+"\xc3\x28"+`"`), "", "")

	f(props(`"total":{}`), WrongType, `properties.total: want number, got object`)
	f(props(`"revenue":[1]`), WrongType, `properties.revenue: want number, got array`)
	f(props(`"revenue":"12,50"`), WrongType, `properties.revenue: want number, got string "12,50"`)
	f(props(`"revenue":""`), WrongType, `properties.revenue: want number, got string ""`)
	f(props(`"revenue":"NaN"`), WrongType, `properties.revenue: want number, got string "NaN"`)
	f(props(`"revenue":"Infinity"`), WrongType, `properties.revenue: want number, got string "Infinity"`)
	f(props(`"revenue":1e999`), WrongType, `properties.revenue: want finite number, got "1e999"`)
	f(props(`"revenue":true`), WrongType, `properties.revenue: want number, got bool`)
	f(props(`"is_gift":1`), WrongType, `properties.is_gift: want bool, got number`)
	f(props(`"is_gift":"yes"`), WrongType, `properties.is_gift: want bool, got string "yes"`)
	f(props(`"ordered_at":"yesterday"`), WrongType, `properties.ordered_at: want RFC 3339 or unix time, got string "yesterday"`)
	f(props(`"ordered_at":1e300`), WrongType, `properties.ordered_at: want RFC 3339 or unix time, got number "1e300"`)
	f(props(`"coupon":{"a":1}`), WrongType, `properties.coupon: want string, got object`)
	f(props(`"products":{}`), WrongType, `properties.products: want array, got object`)
	f(props(`"products":"p"`), WrongType, `properties.products: want array, got string`)
	f(props(`"products":[1]`), WrongType, `properties.products[]: want object, got number`)
	f(props(`"products":[{"price":1},{"price":{}}]`), WrongType, `properties.products[].price: want number, got object`)
	f(props(`"tags":[[]]`), WrongType, `properties.tags[]: want string, got array`)
	f(with(`"properties":5`), WrongType, `properties: want object, got number`)
	f(with(`"properties":[]`), WrongType, `properties: want object, got array`)
	f(with(`"properties":null`), "", "")
	f(props(`"total":null,"products":null,"tags":[null],"coupon":null`), "", "")
	f(props(`"coupon":"`+strings.Repeat("x", 4096)+`"`), "", "")
	f(props(`"coupon":"`+strings.Repeat("x", 4097)+`"`), TooLarge, `properties.coupon: more than 4096 bytes`)

	f(`{"userId":"u"}`, NoType, `type: missing; want track, identify, page, screen, group or alias`)
	f(`{"type":"Track","userId":"u"}`, NoType, `type: want track, identify, page, screen, group or alias, got "Track"`)
	f(`{"type":"track","userId":"u"}`, NoType, `event: a track call needs an event name`)
	f(`{"type":"track","event":"","userId":"u"}`, NoType, `event: a track call needs an event name`)
	f(`{"type":"track","event":7,"userId":"u"}`, WrongType, `event: want string, got number`)
	f(`{"type":"page","event":7,"userId":"u"}`, "", "")
	f(`{"type":7,"userId":"u"}`, WrongType, `type: want string, got number`)
	f(with(`"messageId":7`), WrongType, `messageId: want string, got number`)

	f(`{"type":"page"}`, NoIdentifier, `none of the namespaces of the cookbook has a value`)
	f(`{"type":"page","userId":"","anonymousId":null}`, NoIdentifier, `none of the namespaces of the cookbook has a value`)
	f(`{"type":"page","userId":" NULL "}`, NoIdentifier, `none of the namespaces of the cookbook has a value`)
	f(`{"type":"page","UserId":"u"}`, NoIdentifier, `none of the namespaces of the cookbook has a value`)
	f(`{"type":"page","anonymousId":{"id":1}}`, WrongType, `anonymousId: want string or whole number, got object`)
	f(`{"type":"page","anonymousId":1.5}`, WrongType, `anonymousId: want string or whole number, got number`)
	f(`{"type":"page","anonymousId":"`+strings.Repeat("x", 257)+`"}`, TooLarge, `anonymousId: 257 bytes; an identifier has at most 256`)

	f(with(`"userId":"v"`), DuplicateKey, `userId: stands twice`)
	f(with(`"u\u0073erId":"v"`), DuplicateKey, `userId: stands twice`)
	f(with(`"type":"page"`), DuplicateKey, `type: stands twice`)
	f(with(`"messageId":"a","messageId":"a"`), DuplicateKey, `messageId: stands twice`)
	f(props(`"total":1,"total":1`), DuplicateKey, `properties.total: stands twice`)
	f(props(`"unread":1,"unread":1`), "", "")
	f(with(`"properties":{},"properties":{}`), DuplicateKey, `properties: stands twice`)
	f(props(`"products":[{"price":1,"price":2}]`), DuplicateKey, `properties.products[].price: stands twice`)
	f(props(`"products":[{"price":1},{"price":2}],"products":[]`), DuplicateKey, `properties.products: stands twice`)

	f(with(`"timestamp":"2024-06-02T12:00:00Z"`), "", "")
	f(with(`"timestamp":"2024-06-02T12:00:01Z"`), BadTime, `timestamp: 1d1s ahead of the record that brought it, which may be 1d`)
	f(with(`"timestamp":"9999-12-31T23:59:59Z"`), BadTime, `timestamp: 106751d23h47m16s ahead of the record that brought it, which may be 1d`) // and more: no time.Duration is longer
	f(with(`"timestamp":"1969-12-31T23:59:59.999Z"`), BadTime, `timestamp: before 1970`)
	f(with(`"timestamp":"soon"`), BadTime, `timestamp: want RFC 3339 or unix time, got string "soon"`)
	f(with(`"timestamp":{}`), BadTime, `timestamp: want RFC 3339 or unix time, got object`)
	f(with(`"originalTimestamp":true`), BadTime, `originalTimestamp: want RFC 3339 or unix time, got bool`)
	f(with(`"timestamp":"2024-06-01T12:00:00Z","originalTimestamp":true`), "", "")

	items := strings.TrimSuffix(strings.Repeat("1,", 1000), ",")
	f(props(`"tags":[`+items+`]`), "", "")
	f(props(`"tags":[`+items+`,1]`), TooMany, `properties.tags[]: more than 1000 elements`)
	f(props(`"unread":[`+items+`,1]`), "", "")
	for _, open := range []string{`[`, `{"a":`, `[[`, `[{"a":`} {
		f(strings.Repeat(open, 10_000), TooDeep, fmt.Sprintf("byte %d: nested deeper than 64", len(strings.Repeat(open, 10_000)[:deepAt(open)])))
	}
	f(with(`"x":`+strings.Repeat("[", 63)+strings.Repeat("]", 63)), "", "")
	f(with(`"x":`+strings.Repeat("[", 64)+strings.Repeat("]", 64)), TooDeep, `byte 95: nested deeper than 64`)
	f(with(`"x":`+strings.Repeat(`{"x":`, 62)+"{}"+strings.Repeat("}", 62)), "", "")
	f(with(`"x":`+strings.Repeat(`{"x":`, 63)+"{}"+strings.Repeat("}", 63)), TooDeep, `byte 347: nested deeper than 64`)
	f(with(`"x":"`+strings.Repeat("x", 10<<20)+`"`), TooLarge, `10485795 bytes; 262144 are allowed`)
}

// deepAt is where the 65th bracket stands in a repetition of open.
func deepAt(open string) int {
	brackets := 0
	for i := 0; ; i++ {
		if c := open[i%len(open)]; c == '[' || c == '{' {
			if brackets++; brackets == 65 {
				return i
			}
		}
	}
}

func TestTruncatedAtEveryByte(t *testing.T) {
	warm, cold := NewDecoder(shop(), DefaultLimits), NewDecoder(shop(), DefaultLimits)
	cold.frozen = true
	for _, m := range [][]byte{[]byte(goldenMessages[0]), messages(1, 1)[0]} {
		checkDecode(t, warm, cold, m, noon)
		for n := range m {
			checkDecode(t, warm, cold, m[:n], noon)
		}
	}
}

func TestEveryByteReplaced(t *testing.T) {
	warm, cold := NewDecoder(shop(), DefaultLimits), NewDecoder(shop(), DefaultLimits)
	cold.frozen = true
	m := []byte(goldenMessages[0])
	for i := range m {
		for _, c := range []byte("\"\\{}[],:0x \x00\x80") {
			damaged := append([]byte(nil), m...)
			damaged[i] = c
			checkDecode(t, warm, cold, damaged, noon)
		}
	}
}

func TestDecodeResult(t *testing.T) {
	d := NewDecoder(shop(), DefaultLimits)
	var e Event
	if err := d.Decode([]byte(goldenMessages[0]), noon, &e); err != nil {
		t.Fatal(err)
	}
	if e.Type != 1 || string(e.Name) != "Order Completed" || e.Time != noon-1 || e.ID != hashID([]byte("m-1")) {
		t.Errorf("head %+v", e)
	}
	ids := fmt.Sprintf("%d=%s %d=%s %d=%s", e.Identifiers[0].Namespace, e.Identifiers[0].Value, e.Identifiers[1].Namespace, e.Identifiers[1].Value,
		e.Identifiers[2].Namespace, e.Identifiers[2].Value)
	if len(e.Identifiers) != 3 || ids != "0=u1 1=ada@example.com 2=a1" {
		t.Errorf("identifiers %s", ids)
	}
	if fmt.Sprint(e.Lens) != "[3 3 2]" || len(e.Items[12]) != 3 || string(e.Items[12][1].Str) != "2" || e.Items[13][1].Kind != Absent ||
		string(e.Values[4].Str) != "café" || e.Values[9].Bits != 1717243200_000 || len(e.Items[0]) != 0 {
		t.Errorf("values %+v", normal(&e))
	}
	// Two events of one decoder do not share anything.
	var other Event
	if err := d.Decode([]byte(goldenMessages[2]), noon, &other); err != nil {
		t.Fatal(err)
	}
	if string(e.Identifiers[1].Value) != "ada@example.com" || string(e.Values[4].Str) != "café" {
		t.Errorf("the first event changed: %+v", normal(&e))
	}
}

// What the quick way reads of a number, the thorough way reads too; and the quick way reads all that it is for.
func TestShortNumber(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	text := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = '0' + byte(r.IntN(10))
		}
		return string(b)
	}
	quick := 0
	for range 20_000 {
		s := text(r.IntN(10))
		if r.IntN(2) == 0 {
			s += "." + text(r.IntN(10))
		}
		s += []string{"", ",", "}", "e3", "E", "-", " ", ".", "x"}[r.IntN(9)]
		end, f := shortNumber([]byte(s), 0)
		if end == 0 {
			continue
		}
		quick++
		wantEnd, n := scanNumber([]byte(s), 0)
		want, ok := n.float([]byte(s)[:max(wantEnd, 0)])
		if end != wantEnd || !ok || math.Float64bits(f) != math.Float64bits(want) {
			t.Fatalf("%q: %d, %v; want %d, %v", s, end, f, wantEnd, want)
		}
	}
	for _, s := range []string{"0", "7", "0.5", "12.50", "123456789012345", "1234567890.12345"} {
		want, err := strconv.ParseFloat(s, 64)
		if end, f := shortNumber([]byte(s+","), 0); end != len(s) || err != nil || f != want {
			t.Errorf("%q: %d, %v", s, end, f)
		}
	}
	for _, s := range []string{"", "-1", "01", "1.", "1e5", "1.5E3", "1234567890123456", "x"} {
		if end, f := shortNumber([]byte(s), 0); end != 0 {
			t.Errorf("%q: %d, %v; want nothing", s, end, f)
		}
	}
	if quick < 5_000 {
		t.Errorf("the quick way read %d of 20,000", quick)
	}
}

func TestHashIDGolden(t *testing.T) {
	want := [2]uint64{0xc965ea9ec36b49af, 0x8ba5bec5b73fd001}
	if got := hashID([]byte("9f1c2d3e-0000-4000-8000-000000000001")); got != want {
		t.Errorf("hashID = %#x, want %#x", got, want)
	}
}

func TestSeededHashIsXXHash64(t *testing.T) {
	b := []byte(strings.Repeat("Is it the hash that the specification means? ", 4))
	for n := range b {
		for _, seed := range []uint64{0, 1, secondSeed} {
			x := xxhash.NewWithSeed(seed)
			x.Write(b[:n])
			if got := seededHash(seed, b[:n]); got != x.Sum64() {
				t.Fatalf("%d bytes, seed %#x: %#x, want %#x", n, seed, got, x.Sum64())
			}
		}
		if got, want := hashID(b[:n]), [2]uint64{seededHash(0, b[:n]), seededHash(secondSeed, b[:n])}; got != want {
			t.Fatalf("the id of %d bytes: %#x, want %#x", n, got, want)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2024-02-29T23:59:59.999999999Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "1900-02-29T00:00:00Z", "2024-06-01T12:00:00,5Z",
		"2024-06-01T1:00:00Z", "2024-06-01t12:00:00z", "2024-06-01T12:00:60Z", "2024-06-01T12:00:00.Z", "2024-06-01T12:00:00+24:00", "2024-06-01T12:00:00+00:60", "2024-00-00T00:00:00Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, wantOK := strictTime(s)
		got, ok := parseTime([]byte(s))
		if ok != wantOK || ok && got != want.UnixMilli() {
			t.Fatalf("%q: %d, %v; package time says %v, %v", s, got, ok, want, wantOK)
		}
	})
}

func TestParseTimeEveryDay(t *testing.T) {
	for day := time.Date(0, 1, 1, 7, 8, 9, 0, time.UTC); day.Year() < 10000; day = day.AddDate(0, 0, 17) {
		s := day.Format(time.RFC3339)
		if ms, ok := parseTime([]byte(s)); !ok || ms != day.UnixMilli() {
			t.Fatalf("%s: %d, %v, want %d", s, ms, ok, day.UnixMilli())
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.5", "123456789012345678", "9007199254740993", "1e22", "1e23", "0.1e-22", "1.7976931348623157e308", "1e309", "5e-324",
		"0.000000000000000000000000000001", "12345678901234567890123", "0e99999999999", "-1E+2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" {
			return
		}
		end, n := scanNumber([]byte(s), 0)
		valid := strings.Trim(s, "-+.eE0123456789") == "" && json.Valid([]byte(s))
		if (end == len(s)) != valid {
			t.Fatalf("%q: end %d, valid %v", s, end, valid)
		}
		if !valid {
			return
		}
		got, ok := n.float([]byte(s))
		want, err := strconv.ParseFloat(s, 64)
		if ok != (err == nil) || ok && math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%q: %v, %v; strconv says %v, %v", s, got, ok, want, err)
		}
	})
}
