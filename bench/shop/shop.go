package shop

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// Message is one event. Key is the strongest identifier, so that one person's events keep their order in Kafka.
// Both slices are good until the next call of Next.
type Message struct {
	Key   []byte
	Value []byte
}

// Shop is a town of people who visit one shop on the web, in its app and at its tills.
type Shop struct {
	rnd      *rand.Rand
	people   int
	visits   []visit
	late     []sale // ring of purchases at the till that have not been reported yet
	buf, key []byte
	serial   uint64
	seed     uint64
	telling  telling
	told     int // stories so far
}

// visit is somebody on a web site or in an app.
type visit struct {
	person int
	device int
	step   int
	steps  int
	known  bool // logged in
	browse int  // product looked at last
	cart   []int
	buyer  bool
	app    bool
}

type sale struct {
	person int
	at     time.Time
	due    time.Time
	items  [3]int
	n      int
}

const concurrentVisits = 2000

// New makes a shop with that many people.
func New(seed uint64, people int) *Shop {
	s := &Shop{rnd: rand.New(rand.NewPCG(seed, 0x5e11)), people: people, seed: seed}
	s.visits = make([]visit, min(concurrentVisits, max(16, people/4)))
	for i := range s.visits {
		s.begin(&s.visits[i])
		s.visits[i].step = s.rnd.IntN(s.visits[i].steps)
	}
	return s
}

func (s *Shop) begin(v *visit) {
	// A few people come often, most seldom: squaring a uniform number favours the low ones.
	u := s.rnd.Float64()
	*v = visit{
		person: int(u * u * float64(s.people)),
		device: s.rnd.IntN(3),
		steps:  3 + s.rnd.IntN(12),
		buyer:  s.rnd.IntN(5) == 0,
		app:    s.rnd.IntN(4) == 0,
		cart:   v.cart[:0],
	}
	v.browse = s.taste(v.person)
}

// taste picks a product: people keep to two favourite categories most of the time.
func (s *Shop) taste(person int) int {
	c := person % len(categories)
	if s.rnd.IntN(10) < 3 {
		c = s.rnd.IntN(len(categories))
	}
	return c*productsPerCategory + s.rnd.IntN(productsPerCategory)
}

// Next makes the message that happens at now.
func (s *Shop) Next(now time.Time) Message {
	if n := len(s.late); n > 0 && (now.After(s.late[0].due) || n > 4096) {
		sale := s.late[0]
		s.late = append(s.late[:0], s.late[1:]...)
		return s.till(sale, now)
	}
	if s.rnd.IntN(400) == 0 {
		s.sell(now)
	}
	if s.telling.scenes != nil {
		if s.rnd.IntN(10) == 0 {
			return s.scene(now)
		}
	} else if s.rnd.IntN(200) == 0 {
		s.tell()
	}
	v := &s.visits[s.rnd.IntN(len(s.visits))]
	if v.step >= v.steps {
		s.begin(v)
	}
	v.step++
	return s.act(v, now)
}

// sell notes a purchase at a till: the till reports it seconds to hours after it happened.
func (s *Shop) sell(now time.Time) {
	x := sale{person: s.rnd.IntN(s.people), at: now.Add(-time.Duration(s.rnd.IntN(6*3600)) * time.Second), n: 1 + s.rnd.IntN(3)}
	x.due = now.Add(time.Duration(1+s.rnd.IntN(20)) * time.Second)
	for i := range x.n {
		x.items[i] = s.taste(x.person)
	}
	s.late = append(s.late, x)
}

// act is what somebody does next on a visit.
func (s *Shop) act(v *visit, now time.Time) Message {
	r := s.rnd.IntN(100)
	switch {
	case v.step == 1 && v.app:
		s.track(v, now, "Application Opened", nil)
	case v.step == 1:
		s.page(v, now)
	case !v.known && r < 12 || v.buyer && !v.known && v.step == v.steps-2:
		v.known = true
		s.identify(v, now)
	case v.buyer && len(v.cart) > 0 && v.step == v.steps-1:
		s.track(v, now, "Checkout Started", s.basket(v, false))
	case v.buyer && len(v.cart) > 0 && v.step == v.steps:
		s.track(v, now, "Order Completed", s.basket(v, true))
		v.cart = v.cart[:0]
	case r < 16:
		s.track(v, now, "Products Searched", func(b []byte) []byte {
			return quoted(append(b, `"query":`...), categories[v.browse/productsPerCategory])
		})
	case r < 20:
		s.track(v, now, "Cart Viewed", s.basket(v, false))
	case r < 30 && len(v.cart) < 8:
		v.cart = append(v.cart, v.browse)
		p := v.browse
		s.track(v, now, "Product Added", func(b []byte) []byte { return appendProduct(b, p, 1) })
	case r < 32 && v.known:
		s.consent(v, now)
	case r < 33 && v.known:
		s.track(v, now, "Order Refunded", func(b []byte) []byte {
			b = append(b, `"order_id":"o-`...)
			b = strconv.AppendUint(b, s.serial, 10)
			b = append(b, `","total":`...)
			return appendPrice(b, price(v.browse))
		})
	default:
		v.browse = s.taste(v.person)
		p := v.browse
		s.track(v, now, "Product Viewed", func(b []byte) []byte { return appendProduct(b, p, 1) })
	}
	return Message{Key: s.key, Value: s.buf}
}

// basket appends the products in the cart, and for an order what it comes to.
func (s *Shop) basket(v *visit, order bool) func([]byte) []byte {
	return func(b []byte) []byte {
		total := 0
		b = append(b, `"order_id":"o-`...)
		b = strconv.AppendUint(b, s.serial, 10)
		b = append(b, `","products":[`...)
		for i, p := range v.cart {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '{')
			b = appendProduct(b, p, 1+p%2)
			b = append(b, '}')
			total += price(p) * (1 + p%2)
		}
		b = append(b, ']')
		if order {
			b = append(b, `,"currency":"EUR","revenue":`...)
			b = appendPrice(b, total*9/10)
			b = append(b, `,"total":`...)
			b = appendPrice(b, total)
			if total%7 == 0 {
				b = append(b, `,"coupon":"SPRING"`...)
			}
		}
		return b
	}
}
