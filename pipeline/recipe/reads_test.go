package recipe

import (
	"testing"

	"dashi/pipeline/event"
)

// A field that is read in events of one type, and is of another type there than in events of another one, does not reject the latter.
func TestWrongTypeInAnotherType(t *testing.T) {
	p, diagnostics := Compile([]Source{{Name: "r.yml", Text: []byte(`
recipe: r
attributes:
  spent: {kind: sum, on: Order Completed, value: properties.total, where: properties.currency == "EUR"}
  lines: {kind: count, on: Order Completed, each: properties.products}
  seen: {kind: count, on: Product Viewed}
activations:
  big: {on: {event: Order Refunded}, where: properties.value > 10}
`)}})
	if p == nil {
		t.Fatal(diagnostics)
	}
	d := event.NewDecoder(p.Schema, event.DefaultLimits)
	f := func(name, properties string, want event.Reason) {
		t.Helper()
		var e event.Event
		err := d.Decode([]byte(`{"type":"track","event":"`+name+`","userId":"u","properties":`+properties+`}`), 0, &e)
		got := event.Reason("")
		if r, ok := err.(*event.Rejected); ok {
			got = r.Reason
		}
		if got != want {
			t.Errorf("%s %s: %q, want %q (%v)", name, properties, got, want, err)
		}
	}
	f("Order Completed", `{"total":"much"}`, event.WrongType)
	f("Order Completed", `{"currency":["EUR"]}`, event.WrongType)
	f("Order Completed", `{"products":3}`, event.WrongType)
	f("Order Completed", `{"value":"high"}`, "")
	f("Product Viewed", `{"total":"much","currency":["EUR"],"products":3,"value":[]}`, "")
	f("Never Named", `{"total":"much","currency":["EUR"],"products":3,"value":[]}`, "")
	f("Order Refunded", `{"total":"much","value":1}`, "")
	f("Order Refunded", `{"value":"high"}`, event.WrongType)
	f("Product Viewed", `{"total":1,"total":1}`, event.DuplicateKey)
}
