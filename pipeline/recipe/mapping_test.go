package recipe

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dashi/pipeline/event"
)

// compileText compiles one recipe that must be good.
func compileText(t testing.TB, text string) *Program {
	t.Helper()
	p, found := Compile([]Source{{Name: "test.yml", Text: []byte(text)}})
	if p == nil {
		t.Fatalf("does not compile: %v", found)
	}
	return p
}

func readRecipe(t testing.TB, name string) Source {
	t.Helper()
	path := filepath.Join(recipes, name)
	if strings.HasPrefix(name, "testdata/") {
		path = name
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Source{Name: name, Text: text}
}

var retailHeader = strings.Split("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country", ",")

func retailBinding(t testing.TB) *Binding {
	t.Helper()
	p, found := Compile([]Source{readRecipe(t, "online_retail.yml")})
	if p == nil {
		t.Fatal(found)
	}
	b, err := p.Mappings["online_retail"].Bind(retailHeader)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMappingRetail(t *testing.T) {
	b := retailBinding(t)
	f := func(row, want, wantKey string, wantMillis int64, wantErr string) {
		t.Helper()
		out, key, ms, err := b.AppendEvent([]byte("before"), strings.Split(row, ","))
		if err != nil {
			if err.Error() != wantErr {
				t.Errorf("%s: error %q, want %q", row, err, wantErr)
			}
			if string(out) != "before" {
				t.Errorf("%s: dst is %q after an error", row, out)
			}
			return
		}
		got := strings.TrimPrefix(string(out), "before")
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: not JSON: %s", row, got)
		}
		if got != want || string(key) != wantKey || ms != wantMillis || wantErr != "" {
			t.Errorf("%s:\n got %s %s %d\nwant %s %s %d %s", row, got, key, ms, want, wantKey, wantMillis, wantErr)
		}
	}
	f("536365,85123A,HOLDER,6,2010-12-01T08:26:00,2.55,17850,United Kingdom",
		`{"type":"track","event":"Order Line Completed","timestamp":"2010-12-01T08:26:00Z","messageId":"6003084e5fcd0d318311a60543ca455b","userId":"17850","properties":{"invoice":"536365","product_id":"85123A","name":"HOLDER","quantity":6,"price":2.55,"total":15.299999999999999,"currency":"GBP","country":"United Kingdom"}}`,
		"user_id:17850", 1291191960000, "")
	f(`C536379,D,Dis"count,-1,2011-07-01T09:41:00,27.50,14527,`,
		`{"type":"track","event":"Order Line Refunded","timestamp":"2011-07-01T08:41:00Z","messageId":"6486df29a43a864dcb114baadf368bf9","userId":"14527","properties":{"invoice":"C536379","product_id":"D","name":"Dis\"count","quantity":-1,"price":27.5,"total":-27.5,"currency":"GBP"}}`,
		"user_id:14527", 1309509660000, "")
	f("536414,22139,,56,2010-12-01T11:52:00,0,,United Kingdom", "", "", 0, ErrAnonymous.Error())
	f("536414,22139,,fifty,2010-12-01T11:52:00,0,1,United Kingdom", "", "", 0,
		`wrong_type: properties.quantity cannot be computed: number(row.Quantity), row.Quantity is "fifty"`)
	f("536414,22139,,1,2010-13-01T11:52:00,0,1,United Kingdom", "", "", 0,
		`bad_time: cannot read the time "2010-13-01T11:52:00" as 2006-01-02T15:04:05`)
	f("536414,22139,,1,,0,1,United Kingdom", "", "", 0, "bad_time: the row has no time: row.InvoiceDate is empty")
	f("536414,22139", "", "", 0, "malformed: the row has 2 columns, the header 8")
	f(",22139,,1,2010-12-01T11:52:00,NaN,1,United Kingdom", "", "", 0,
		`wrong_type: properties.price cannot be computed: number(row.UnitPrice), row.UnitPrice is "NaN"`)
	f("536414,22139,,1,2010-12-01T11:52:00,1,null,United Kingdom", "", "", 0, ErrAnonymous.Error()) // blocked
}

const customers = `
recipe: customers
mappings:
  people:
    format: jsonl
    event: identify
    time: {from: row.at, layout: unix}
    identifiers: {email: row.contact.mail, user_id: row.id, anonymous_id: 'row["cookie id"]'}
    anonymous: reject
    message_id: row.id + "/" + row.at
    traits:
      email: '"shadowed"'
      name: row.first + " " + row.last
      age: number( row.age )
      vip: row.level == "gold"
      address.city: row.city
      since: timestamp(row.since)
      source: 7
    context:
      campaign.name: lower(row.campaign)
`

func TestMappingObjects(t *testing.T) {
	_, found := Compile([]Source{{Name: "c.yml", Text: []byte(customers)}})
	if len(found) == 0 || !strings.Contains(found[0].Message, "stands at the place of an identifier") {
		t.Errorf("a trait over an identifier: %v", found)
	}
	p := compileText(t, strings.Replace(customers, `      email: '"shadowed"'`+"\n", "", 1))
	m := p.Mappings["people"]
	out, key, ms, err := m.AppendEvent(nil, map[string]string{"at": "1700000000.5", "id": "7", "contact.mail": "A@B.example", "cookie id": "x",
		"first": "Ada", "last": "L", "age": " 36 ", "level": "gold", "city": "", "campaign": "SPRING"})
	want := `{"type":"identify","timestamp":"2023-11-14T22:13:20.5Z","messageId":"7/1700000000.5","userId":"7","traits":{"email":"A@B.example","name":"Ada L","age":36,"vip":true,"source":7},"anonymousId":"x","context":{"campaign":{"name":"spring"}}}`
	if err != nil || string(out) != want || string(key) != "user_id:7" || ms != 1700000000500 {
		t.Errorf("got %s %s %d %v\nwant %s", out, key, ms, err, want)
	}
	_, _, _, err = m.AppendEvent(nil, map[string]string{"at": "1"})
	var rejected *event.Rejected
	if !errors.As(err, &rejected) || rejected.Reason != event.NoIdentifier {
		t.Errorf("nobody: %v", err)
	}
}

func TestBindColumns(t *testing.T) {
	p, _ := Compile([]Source{readRecipe(t, "online_retail.yml")})
	header := append([]string(nil), retailHeader...)
	header[6] = "Customer ID"
	_, err := p.Mappings["online_retail"].Bind(header)
	want := "cannot bind mapping \"online_retail\": the file has no column \"CustomerID\" (did you mean `Customer ID`?)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRowMessageID(t *testing.T) {
	b := retailBinding(t)
	id := func(row ...string) string {
		out, _, _, err := b.AppendEvent(nil, row)
		if err != nil {
			t.Fatal(err)
		}
		var m struct{ MessageID string }
		if err := json.Unmarshal(out, &m); err != nil {
			t.Fatal(err)
		}
		return m.MessageID
	}
	a := id("1", "23", "x", "6", "2010-12-01T08:26:00", "2.55", "1", "UK")
	if len(a) != 32 || a != id("1", "23", "x", "6", "2010-12-01T08:26:00", "2.55", "1", "UK") {
		t.Errorf("the same row has two ids: %s", a)
	}
	if a == id("12", "3", "x", "6", "2010-12-01T08:26:00", "2.55", "1", "UK") {
		t.Error("other columns, same id")
	}
}

func TestNumbers(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := numbers(in); got != want {
			t.Errorf("numbers(%s) = %s, want %s", in, got, want)
		}
	}
	f(`number(row.A) * number(row["b c"])`, `number_row.A  * number_row["b c"] `)
	f(`"number(row.A)" + row.B`, `"number(row.A)" + row.B`)
	f(`number(row.A + row.B)`, `double(row.A + row.B)`)
	f(`number( row.A ) > 1`, `number_row.A    > 1`)
	f(`mynumber(row.A)`, `mynumber(row.A)`)
	f(`'it\'s number(1)' + number(row.a.b)`, `'it\'s number(1)' + number_row.a.b `)
}

func TestIsRow(t *testing.T) {
	for in, want := range map[string]bool{"row.X": true, `row["X"]`: true, "arrow.X": false, "row": false, "Order Completed": false,
		`x + row . Y`: true, "tomorrow": false, "rower.X row.Y": true} {
		if isRow(in) != want {
			t.Errorf("isRow(%q) is not %v", in, want)
		}
	}
}

func TestAppendEventAllocations(t *testing.T) {
	b := retailBinding(t)
	rows := [][]string{
		{"536365", "85123A", "HOLDER", "6", "2010-12-01T08:26:00", "2.55", "17850", "United Kingdom"},
		{"C536365", "85123B", "HANGER", "-6", "2010-12-01T08:26:00", "12.55", "17851", "France"},
	}
	dst := make([]byte, 0, 4096)
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		if _, _, _, err := b.AppendEvent(dst, rows[i&1]); err != nil {
			t.Fatal(err)
		}
		i++
	}); n > 0 {
		t.Errorf("AppendEvent allocates %v times a row", n)
	}
}

func FuzzAppendEvent(f *testing.F) {
	b := retailBinding(f)
	f.Add("536365", "85123A", "6", "2010-12-01T08:26:00", "2.55", "17850")
	f.Add("C1", "\xff\x00\"", "-0", "2010-12-01T08:26:00Z", "1e999", "null")
	f.Fuzz(func(t *testing.T, invoice, stock, quantity, date, price, customer string) {
		out, key, _, err := b.AppendEvent(nil, []string{invoice, stock, "d", quantity, date, price, customer, "c"})
		if err != nil {
			if len(out) > 0 {
				t.Fatalf("an error and output: %v %s", err, out)
			}
			return
		}
		if !json.Valid(out) || len(key) < len("user_id:x") {
			t.Fatalf("bad event %s %s", key, out)
		}
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	m := retailBinding(b)
	row := []string{"536365", "85123A", "WHITE HANGING HEART T-LIGHT HOLDER", "6", "2010-12-01T08:26:00", "2.55", "17850", "United Kingdom"}
	b.Run("mapping=online_retail", func(b *testing.B) {
		var dst []byte
		b.ReportAllocs()
		for b.Loop() {
			dst, _, _, _ = m.AppendEvent(dst[:0], row)
		}
	})
}

func TestUnquoted(t *testing.T) {
	for in, want := range map[string]string{`"Order Completed"`: "Order Completed", `'Order'`: "Order", `"`: `"`, `""`: "", `Order`: "Order", `"a" and "b"`: `"a" and "b"`, `"a'`: `"a'`, `"\n"`: `"\n"`} {
		if got := unquoted(in); got != want {
			t.Errorf("unquoted(%q) is %q, want %q", in, got, want)
		}
	}
}
