package event

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"dashi/pipeline/identity"
)

func normaliser(name string) func(dst, value []byte) ([]byte, bool) {
	n, err := identity.Normaliser(name)
	if err != nil {
		panic(err)
	}
	return n
}

// shop is a schema like that of a real cookbook, with all that a schema can have.
func shop() *Schema {
	p := func(s string) []string { return strings.Split(s, ".") }
	return &Schema{
		Types: []string{"Order Completed", "Product Viewed", "Product Added", "page", "Products Searched", "identify"},
		Fields: []Field{
			{Path: p("properties.order_id"), Kind: String},
			{Path: p("properties.total"), Kind: Number},
			{Path: p("properties.revenue"), Kind: Number},
			{Path: p("properties.currency"), Kind: String},
			{Path: p("properties.coupon"), Kind: String},
			{Path: p("properties.is_gift"), Kind: Bool},
			{Path: p("properties.product_id"), Kind: String},
			{Path: p("properties.price"), Kind: Number},
			{Path: p("properties.quantity"), Kind: Number},
			{Path: p("properties.ordered_at"), Kind: Time},
			{Path: p("context.page.path"), Kind: String},
			{Path: p("context.campaign.source"), Kind: String},
			{Path: p("properties.products.[].product_id"), Kind: String, Array: 1},
			{Path: p("properties.products.[].price"), Kind: Number, Array: 1},
			{Path: p("properties.products.[].meta.sold_at"), Kind: Time, Array: 1},
			{Path: p("properties.tags.[]"), Kind: String, Array: 2},
			{Path: p("userId"), Kind: String},
			{Path: p("properties.total"), Kind: String},
			{Path: p("timestamp"), Kind: Time},
		},
		Arrays: [][]string{p("properties.products"), p("properties.tags"), p("properties.lines")},
		Namespaces: []Namespace{
			{Name: "user_id", Paths: [][]string{p("userId"), p("traits.id")}, Normalise: normaliser("exact")},
			{Name: "email", Paths: [][]string{p("context.traits.email"), p("traits.email"), p("properties.email")}, Normalise: normaliser("email")},
			{Name: "anonymous_id", Paths: [][]string{p("anonymousId")}},
		},
	}
}

// benchShop reads twelve plain fields, besides type, event, ids and time.
func benchShop() *Schema {
	s := shop()
	s.Fields, s.Arrays = s.Fields[:12], nil
	return s
}

// messages makes n messages of about 505 bytes in the given number of shapes: the same keys in other orders and
// with other optional keys. Values differ from message to message.
func messages(shapes, n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	type layout struct{ top, properties, context []int }
	layouts := make([]layout, shapes)
	for i := range layouts {
		layouts[i] = layout{r.Perm(7), r.Perm(12), r.Perm(4)}
	}
	out := make([][]byte, n)
	for i := range out {
		l := layouts[r.IntN(shapes)]
		out[i] = message(r, l.top, l.properties[:10], l.context)
	}
	return out
}

func message(r *rand.Rand, top, properties, context []int) []byte {
	names := []string{"Order Completed", "Product Viewed", "Product Added", "Cart Viewed"}
	props := []string{
		fmt.Sprintf(`"order_id":"O-%d"`, r.IntN(1e7)), fmt.Sprintf(`"total":%d.%02d`, r.IntN(500), r.IntN(100)),
		fmt.Sprintf(`"revenue":%d.%d`, r.IntN(500), r.IntN(10)), `"currency":"` + []string{"EUR", "USD", "JPY"}[r.IntN(3)] + `"`,
		fmt.Sprintf(`"coupon":"SAVE%d"`, r.IntN(100)), `"is_gift":` + []string{"true", "false"}[r.IntN(2)],
		fmt.Sprintf(`"product_id":"sku-%d"`, r.IntN(1e5)), fmt.Sprintf(`"price":%d`, r.IntN(100)),
		fmt.Sprintf(`"quantity":%d`, r.IntN(9)+1), fmt.Sprintf(`"ordered_at":"2024-%02d-%02dT10:%02d:00Z"`, r.IntN(12)+1, r.IntN(28)+1, r.IntN(60)),
		fmt.Sprintf(`"shipping":%d.%02d`, r.IntN(9), r.IntN(100)), `"affiliation":"store"`,
	}
	ctx := []string{
		fmt.Sprintf(`"page":{"path":"/p/%d"}`, r.IntN(1e5)), `"campaign":{"source":"newsletter"}`,
		fmt.Sprintf(`"ip":"10.%d.%d.%d"`, r.IntN(256), r.IntN(256), r.IntN(256)), `"locale":"de-DE"`,
	}
	pick := func(all []string, order []int) string {
		var out []string
		for _, i := range order {
			out = append(out, all[i])
		}
		return strings.Join(out, ",")
	}
	tops := []string{
		`"type":"track"`, `"event":"` + names[r.IntN(4)] + `"`, fmt.Sprintf(`"messageId":"m-%016x"`, r.Uint64()),
		fmt.Sprintf(`"timestamp":"2024-05-%02dT%02d:%02d:%02d.%03dZ"`, r.IntN(28)+1, r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000)),
		fmt.Sprintf(`"userId":"u%d"`, r.IntN(1e6)), `"properties":{` + pick(props, properties) + `}`, `"context":{` + pick(ctx, context) + `}`,
	}
	out := "{" + pick(tops, top) + fmt.Sprintf(`,"anonymousId":"%08x-%04x-4000-8000-%012x"`, r.Uint32(), r.IntN(1<<16), r.Uint64()>>16)
	return []byte(out + "}")
}

const noon = 1_717_243_200_000 // 2024-06-01T12:00:00Z

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
