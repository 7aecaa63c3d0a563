package order

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// MaxShapes is how many orders of keys there are.
const MaxShapes = 4

// Settings of a Generator.
type Settings struct {
	Seed   uint64
	Prefix string // of the message ids; [a-z0-9]
	People int
	Shapes int // 1 to MaxShapes: the same keys in so many orders
	// InTurn gives the people their orders one after the other, in place of at random.
	InTurn bool
	// NoIDs leaves the message ids out: nothing is then remembered of a message but what it did to its person.
	NoIDs bool
	// From is the event time of the first message; each next one is a millisecond later. Zero: 2026-01-01.
	From time.Time
}

// Generator makes messages without end.
type Generator struct {
	settings Settings
	rnd      *rand.Rand
	pcg      *rand.PCG
	serial   uint64
	millis   int64
	clock    []byte // the event time as text, made anew when its second changes
	second   int64
}

// New makes a generator.
func New(s Settings) *Generator {
	if s.From.IsZero() {
		s.From = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	s.Shapes = min(max(s.Shapes, 1), MaxShapes)
	pcg := rand.NewPCG(s.Seed, 0x0d3)
	return &Generator{settings: s, pcg: pcg, rnd: rand.New(pcg), millis: s.From.UnixMilli(), second: -1}
}

const (
	userDigits   = 12 // what redis-benchmark writes for __rand_int__
	serialDigits = 9
)

// AppendUser appends the user id of a person: u000000000042.
func AppendUser(dst []byte, person int) []byte {
	return appendPadded(append(dst, 'u'), uint64(person), userDigits)
}

func appendPadded(dst []byte, n uint64, digits int) []byte {
	at := len(dst)
	for range digits {
		dst = append(dst, '0')
	}
	for i := at + digits - 1; i >= at && n > 0; i-- {
		dst[i] += byte(n % 10)
		n /= 10
	}
	return dst
}

// part is one top-level piece of a message.
type part uint8

const (
	partEvent part = iota
	partID
	partTime
	partUser
	partContext
	partProperties
)

var shapes = [MaxShapes][]part{
	{partEvent, partID, partTime, partUser, partContext, partProperties},
	{partID, partEvent, partUser, partTime, partProperties, partContext},
	{partUser, partEvent, partProperties, partID, partTime, partContext},
	{partContext, partEvent, partID, partProperties, partUser, partTime},
}

const pageContext = `"context":{"library":{"name":"analytics.js","version":"2.1"},"ip":"203.0.113.7","locale":"en","page":{"path":"/checkout","url":"https://shop.example/checkout","title":"Checkout"}}`

// Append appends the next message to dst and says whose it is.
func (g *Generator) Append(dst []byte) (message []byte, person int) {
	s := &g.settings
	if s.InTurn {
		person = int(g.serial % uint64(s.People))
	} else {
		person = g.rnd.IntN(s.People)
	}
	sep := byte('{')
	for _, p := range shapes[g.serial%uint64(s.Shapes)] {
		if p == partID && s.NoIDs {
			continue
		}
		dst = append(dst, sep)
		sep = ','
		switch p {
		case partEvent:
			dst = append(dst, `"type":"track","event":"Order Completed"`...)
		case partID:
			dst = append(append(dst, `"messageId":"`...), s.Prefix...)
			dst = append(appendPadded(append(dst, '-'), g.serial, serialDigits), '"')
		case partTime:
			dst = g.appendTime(append(dst, `"timestamp":"`...))
			dst = append(dst, '"')
		case partUser:
			dst = append(AppendUser(append(dst, `"userId":"`...), person), '"')
		case partContext:
			dst = append(dst, pageContext...)
		case partProperties:
			dst = g.appendProperties(dst)
		}
	}
	g.serial++
	g.millis++
	return append(dst, '}'), person
}

var categories = [...]string{"shoes", "bags", "hats", "coats"}

func (g *Generator) appendProperties(dst []byte) []byte {
	r := g.pcg.Uint64() // one draw is enough for all of it
	draw := func(n uint64) uint64 {
		v := r % n
		r /= n
		return v
	}
	product := draw(60)
	dst = appendPadded(append(dst, `"properties":{"order_id":"o`...), g.serial, serialDigits)
	dst = appendCents(append(dst, `","total":`...), 500+draw(15000))
	dst = appendPadded(append(dst, `,"discount":`...), draw(3), 1)
	dst = appendPadded(append(dst, `,"coupon":"C`...), draw(5), 1)
	dst = appendPadded(append(dst, `","currency":"EUR","products":[{"product_id":"P`...), product, 2)
	dst = appendPadded(append(dst, `","sku":"SKU-`...), 1000+product, 4)
	dst = append(append(dst, `","category":"`...), categories[product%4]...)
	dst = appendCents(append(dst, `","price":`...), 500+draw(9000))
	dst = appendPadded(append(dst, `,"quantity":`...), 1+product%2, 1)
	return append(dst, `}]}`...)
}

func appendCents(dst []byte, cents uint64) []byte {
	dst = strconv.AppendUint(dst, cents/100, 10)
	return appendPadded(append(dst, '.'), cents%100, 2)
}

func (g *Generator) appendTime(dst []byte) []byte {
	if second := g.millis / 1000; second != g.second {
		g.second = second
		g.clock = time.Unix(second, 0).UTC().AppendFormat(g.clock[:0], "2006-01-02T15:04:05.")
	}
	return append(appendPadded(append(dst, g.clock...), uint64(g.millis%1000), 3), 'Z')
}
