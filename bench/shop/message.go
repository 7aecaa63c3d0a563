package shop

import (
	"strconv"
	"time"
)

const productsPerCategory = 40

var categories = []string{"shoes", "women's shoes", "shirts", "dresses", "jackets", "bags", "watches", "sport", "kids", "home"}

var stores = []string{"Ginza", "Shibuya", "Umeda", "Sakae", "Tenjin"}

// price of a product in cents: 5 to 450, fixed by the product.
func price(p int) int { return 500 + (p*7919)%44500 }

func appendPrice(b []byte, cents int) []byte {
	b = strconv.AppendInt(b, int64(cents/100), 10)
	b = append(b, '.', byte('0'+cents/10%10), byte('0'+cents%10))
	return b
}

func quoted(b []byte, s string) []byte {
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendProduct(b []byte, p, quantity int) []byte {
	b = append(b, `"product_id":"P`...)
	b = strconv.AppendInt(b, int64(p), 10)
	b = append(b, `","sku":"SKU-`...)
	b = strconv.AppendInt(b, int64(100000+p), 10)
	b = append(b, `","category":`...)
	b = quoted(b, categories[p/productsPerCategory])
	b = append(b, `,"name":"Product `...)
	b = strconv.AppendInt(b, int64(p), 10)
	b = append(b, `","brand":"Brand `...)
	b = strconv.AppendInt(b, int64(p%9), 10)
	b = append(b, `","price":`...)
	b = appendPrice(b, price(p))
	b = append(b, `,"quantity":`...)
	return strconv.AppendInt(b, int64(quantity), 10)
}

func (s *Shop) appendMessageID(b []byte) []byte {
	s.serial++
	b = append(b, `"messageId":"shop-`...)
	b = strconv.AppendUint(b, s.seed, 36)
	b = append(b, '-')
	b = strconv.AppendUint(b, s.serial, 36)
	return append(b, '"')
}

func appendUser(b []byte, person int) []byte {
	b = append(b, 'u')
	return strconv.AppendInt(b, int64(person), 10)
}

func appendDevice(b []byte, v *visit) []byte {
	b = append(b, "dev-"...)
	b = strconv.AppendInt(b, int64(v.person), 36)
	b = append(b, '-')
	return strconv.AppendInt(b, int64(v.device), 10)
}

// head writes what every message begins with, and the key.
func (s *Shop) head(v *visit, now time.Time, kind string) {
	b := append(s.buf[:0], `{"type":`...)
	b = quoted(b, kind)
	b = append(b, ',')
	b = s.appendMessageID(b)
	b = append(b, `,"timestamp":"`...)
	b = now.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","anonymousId":"`...)
	b = appendDevice(b, v)
	b = append(b, '"')
	s.key = s.key[:0]
	if v.known {
		b = append(b, `,"userId":"`...)
		b = appendUser(b, v.person)
		b = append(b, '"')
		s.key = appendUser(append(s.key, "user_id:"...), v.person)
	} else {
		s.key = appendDevice(append(s.key, "anonymous_id:"...), v)
	}
	b = append(b, `,"context":{"ip":"203.0.113.7","library":{"name":"analytics.js","version":"2.1.0"},"locale":"en-GB","device":{"type":`...)
	if v.app {
		b = append(b, `"ios"}}`...)
	} else {
		b = append(b, `"web"},"page":{"path":"/c/`...)
		b = strconv.AppendInt(b, int64(v.browse/productsPerCategory), 10)
		b = append(b, `","url":"https://shop.example/c","referrer":"https://search.example/"}}`...)
	}
	s.buf = b
}

func (s *Shop) track(v *visit, now time.Time, event string, properties func([]byte) []byte) {
	s.head(v, now, "track")
	b := append(s.buf, `,"event":`...)
	b = quoted(b, event)
	b = append(b, `,"properties":{`...)
	if properties != nil {
		b = properties(b)
	}
	s.buf = append(b, '}', '}')
}

func (s *Shop) page(v *visit, now time.Time) {
	s.head(v, now, "page")
	b := append(s.buf, `,"name":"Category","properties":{"path":"/c/`...)
	b = strconv.AppendInt(b, int64(v.browse/productsPerCategory), 10)
	s.buf = append(b, `","title":"Category"}}`...)
}

func (s *Shop) identify(v *visit, now time.Time) {
	s.head(v, now, "identify")
	b := append(s.buf, `,"traits":{"email":"u`...)
	b = strconv.AppendInt(b, int64(v.person), 10)
	b = append(b, `@mail.example","loyalty_tier":`...)
	b = quoted(b, [...]string{"none", "bronze", "silver", "gold"}[v.person%4])
	b = append(b, `,"favourite_store":`...)
	b = quoted(b, stores[v.person%len(stores)])
	s.buf = append(b, '}', '}')
}

// consent is a choice in the preference centre: most people say yes to e-mail, fewer to ads and push.
func (s *Shop) consent(v *visit, now time.Time) {
	s.head(v, now, "track")
	// The context is the last object of the head: the choice goes into it.
	b := append(s.buf[:len(s.buf)-1], `,"consent":{"categoryPreferences":{"email":`...)
	b = strconv.AppendBool(b, s.rnd.IntN(10) < 8)
	b = append(b, `,"ads":`...)
	b = strconv.AppendBool(b, s.rnd.IntN(10) < 5)
	b = append(b, `,"push":`...)
	b = strconv.AppendBool(b, s.rnd.IntN(10) < 4)
	b = append(b, `,"personalisation":`...)
	b = strconv.AppendBool(b, s.rnd.IntN(10) < 7)
	s.buf = append(b, `}}},"event":"Segment Consent Preference Updated","properties":{"source":"banner"}}`...)
}

// till is the report of a purchase in a store.
func (s *Shop) till(x sale, now time.Time) Message {
	b := append(s.buf[:0], `{"type":"track",`...)
	b = s.appendMessageID(b)
	b = append(b, `,"timestamp":"`...)
	b = x.at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","receivedAt":"`...)
	b = now.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","userId":"`...)
	b = appendUser(b, x.person)
	b = append(b, `","context":{"channel":"pos"},"event":"Store Purchase","properties":{"receipt":"r-`...)
	b = strconv.AppendUint(b, s.serial, 36)
	b = append(b, `","store":`...)
	b = quoted(b, stores[x.person%len(stores)])
	b = append(b, `,"products":[`...)
	total := 0
	for i, p := range x.items[:x.n] {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		b = appendProduct(b, p, 1)
		b = append(b, '}')
		total += price(p)
	}
	b = append(b, `],"currency":"EUR","total":`...)
	b = appendPrice(b, total)
	s.buf = append(b, '}', '}')
	s.key = appendUser(append(s.key[:0], "user_id:"...), x.person)
	return Message{Key: s.key, Value: s.buf}
}
