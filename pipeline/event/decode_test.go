package event

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var strictRFC3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

func strictTime(s string) (time.Time, bool) {
	if !strictRFC3339.MatchString(s) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

// genJSON draws JSON text in which what the shop schema reads comes up often, right and wrong.
func genJSON(t *rapid.T) []byte {
	var b strings.Builder
	genObject(t, &b, 0)
	return []byte(b.String())
}

var genKeys = []string{"type", "event", "messageId", "timestamp", "originalTimestamp", "userId", "anonymousId", "properties", "context", "traits",
	"total", "revenue", "coupon", "is_gift", "ordered_at", "product_id", "price", "products", "tags", "lines", "meta", "sold_at", "page", "path",
	"email", "id", "Type", "x", "", "ev\\u0065nt", "caf\\u00e9", "\\ud800", "\\\"", "a key of more than sixteen bytes"}

var genScalars = []string{`"track"`, `"page"`, `"Order Completed"`, `"Unknown"`, `""`, `null`, `true`, `false`, `"true"`, `0`, `-0`, `1`, `12.50`, `1e400`,
	`1e-400`, `"12.5"`, `"1e5"`, `" 1"`, `"-"`, `123456789012345678901234567890`, `0.1e1`, `1717243200`, `1717243200123`, `1717243200.5`, `-1e11`, `1e17`,
	`"2024-06-01T12:00:00Z"`, `"2024-06-01T12:00:00.123456+05:30"`, `"2024-06-01"`, `"2024-02-30T00:00:00Z"`, `"1969-12-31T23:59:59Z"`,
	`"2024-06-01T12:00:00.1234567890123456789012Z"`, `"2024-06-01T13:00:01Z"`, `"u1"`, `"null"`, `" GUEST "`, `"Ada@Example.com"`, `"not an email"`, `"\u0041da"`, `"\ud83d\ude00"`, `"\ud800x"`, `"caf` + "\xc3\xa9" + `"`, "\"\xff\"",
	`"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`, `"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`, `"a\/b\n"`, `""`}

// genGood are values that are accepted at a key, so that enough messages are.
var genGood = map[string][]string{
	"type": {`"track"`, `"page"`, `"identify"`}, "event": {`"Order Completed"`, `"\u0041da"`, `"caf` + "\xc3\xa9" + `"`}, "messageId": {`"m1"`, `""`, `null`},
	"timestamp": {`"2024-06-01T12:00:00Z"`, `1717243200`, `1717243200123`, `""`, `null`}, "originalTimestamp": {`"2024-05-01T12:00:00.5+02:00"`, `{}`},
	"userId": {`"u1"`, `42`, `"null"`, `""`, `"\ud83d\ude00"`}, "anonymousId": {`"a1"`, `-7`}, "email": {`"Ada@Example.com"`, `"no address"`},
	"total": {`1`, `"12.5"`, `0.1e1`, `null`}, "revenue": {`1e-400`, `-0`, `"1e5"`}, "price": {`9.99`, `0`}, "is_gift": {`true`, `"false"`},
	"coupon": {`"a\/b\n"`, `12.50`, `true`, `"\ud800x"`}, "product_id": {`"p"`, `7`}, "sold_at": {`-1e11`, `"0000-01-01T00:00:00Z"`}, "ordered_at": {`1717243200.5`},
	"properties": {`null`}, "context": {`null`}, "traits": {`null`}, "products": {`null`}, "tags": {`null`}, "meta": {`null`}, "page": {`null`},
}

func genObject(t *rapid.T, b *strings.Builder, depth int) {
	space := rapid.SampledFrom([]string{"", "", "", "", " ", "\n\t"}).Draw(t, "space")
	b.WriteString("{" + space)
	n := rapid.IntRange(0, 8).Draw(t, "members")
	used := map[string]bool{}
	if depth == 0 {
		b.WriteString(rapid.SampledFrom([]string{`"type":"track","event":"Order Completed",`, `"type":"page",`, ``}).Draw(t, "begin"))
		used["type"], used["event"], used["userId"], used["anonymousId"] = true, true, true, true
		b.WriteString(rapid.SampledFrom([]string{`"userId":"u1",`, `"anonymousId":5,`, ``}).Draw(t, "who"))
		n++
	}
	for i := range n {
		if i > 0 {
			b.WriteString("," + space)
		}
		key := rapid.SampledFrom(genKeys).Draw(t, "key")
		if used[key] && rapid.IntRange(0, 3).Draw(t, "again") > 0 {
			key = "x"
		}
		used[key] = true
		b.WriteString(`"` + key + `"` + space + ":" + space)
		genValue(t, b, depth, key)
		b.WriteString(space)
	}
	b.WriteString("}")
}

func genValue(t *rapid.T, b *strings.Builder, depth int, key string) {
	shape := rapid.IntRange(0, 11).Draw(t, "shape")
	if slices.Contains([]string{"properties", "context", "traits", "meta", "page"}, key) && shape < 9 {
		shape = 10
	}
	if slices.Contains([]string{"products", "tags", "lines"}, key) && shape < 9 {
		shape = 11
	}
	switch {
	case shape == 10 && depth < 8:
		genObject(t, b, depth+1)
	case shape == 11 && depth < 8:
		b.WriteString("[")
		for i := range rapid.IntRange(0, 4).Draw(t, "elements") {
			if i > 0 {
				b.WriteString(", ")
			}
			if key == "products" {
				genObject(t, b, depth+1)
			} else {
				genValue(t, b, depth+1, "")
			}
		}
		b.WriteString("]")
	default:
		choice := genScalars
		if good := genGood[key]; good != nil && shape < 8 {
			choice = good
		}
		b.WriteString(rapid.SampledFrom(choice).Draw(t, "scalar"))
	}
}

func newDecoders() (warm, cold *Decoder) {
	warm, cold = NewDecoder(shop(), tight), NewDecoder(shop(), tight)
	cold.frozen = true
	return warm, cold
}

// I1 to I4, against the oracle.
func TestDecodeEqualsOracle(t *testing.T) {
	warm, cold := newDecoders()
	accepted, rejected := 0, 0
	sound := [][]byte{[]byte(`{"type":"track","event":"Sale","userId":"u"}`), []byte(`{"userId":"u","type":"page"}`)}
	rapid.Check(t, func(rt *rapid.T) {
		var src []byte
		if rapid.Bool().Draw(rt, "sound") { // of those that are generated most are no event
			src = bytes.Clone(rapid.SampledFrom(sound).Draw(rt, "message"))
		} else {
			src = genJSON(rt)
		}
		if rapid.IntRange(0, 5).Draw(rt, "damage") == 0 {
			at := rapid.IntRange(0, len(src)-1).Draw(rt, "at")
			src[at] = rapid.Byte().Draw(rt, "byte")
		}
		if ev, _ := judgeMessage(warm.schema, tight, src, noon); ev != nil {
			accepted++
		} else {
			rejected++
		}
		checkDecode(t, warm, cold, src, noon)
	})
	t.Logf("%d accepted, %d rejected, %d places, %d edges", accepted, rejected, len(warm.places), warm.edges)
	if accepted == 0 || rejected == 0 {
		t.Error("the generator is one-sided")
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range messages(3, 5) {
		f.Add(m)
	}
	for _, m := range seeds() {
		f.Add([]byte(m))
	}
	warm, cold := newDecoders()
	f.Fuzz(func(t *testing.T, src []byte) { checkDecode(t, warm, cold, src, noon) })
}

func seeds() []string {
	var out []string
	for _, s := range genScalars {
		out = append(out, fmt.Sprintf(`{"type":"track","event":%s,"userId":%s,"properties":{"total":%s,"tags":[%s,null],"products":[{"price":%s},{},null]}}`, s, s, s, s, s))
		out = append(out, fmt.Sprintf(`{"type":"page","userId":"u","timestamp":%s,"x":%s,"properties":{"is_gift":%s,"ordered_at":%s,"lines":[%s]}}`, s, s, s, s, s))
	}
	return out
}

func TestSeedsEqualOracle(t *testing.T) {
	warm, cold := newDecoders()
	for _, m := range seeds() {
		checkDecode(t, warm, cold, []byte(m), noon)
	}
}

// What a shorter message taught must not be believed of a longer one: each of these is decoded after each other.
func TestShapesDoNotMislead(t *testing.T) {
	var all []string
	for _, v := range []string{`1`, `"1"`, `null`, `{}`, `{"path":"/"}`, `{"path":{}}`, `[]`, `[1]`, `["a","b"]`, `[{}]`, `[{"product_id":"p"}]`,
		`[{"product_id":"p","price":1},{"price":2}]`, `[[]]`, `[null]`, `[{},{}]`, `true`, ` 1`, `1 `, `[ ]`, `{ }`, ``, `]`, `}`, `1]`, `1}`, `"`} {
		for _, key := range []string{"products", "tags", "lines", "total", "other"} {
			all = append(all, `{"type":"page","userId":"u","properties":{"`+key+`":`+v+`}}`, `{"type":"page","userId":"u","properties":{"`+key+`":`+v+`,"coupon":"c"},"x":1}`)
		}
		all = append(all, `{"type":"page","userId":"u","context":{"page":`+v+`},"x":2}`, `{"type":"page","userId":"u","other":{"page":`+v+`},"x":`+v+`}`,
			`{"type":"page","userId":`+v+`}`, v, `{"type":"page","userId":"u"`+v, `{"type":"page","userId":"u"}`+v)
	}
	warm, cold := newDecoders()
	for i := range all {
		for _, j := range []int{i, (i + 1) % len(all), (i * 7) % len(all)} {
			checkDecode(t, warm, cold, []byte(all[j]), noon)
		}
	}
	for _, m := range all {
		for cut := range len(m) {
			checkDecode(t, warm, cold, []byte(m[:cut]), noon)
		}
	}
}
