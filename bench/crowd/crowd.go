package crowd

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// Settings of a Generator.
type Settings struct {
	Seed   uint64
	People int
	// Quiet leaves out what a device does on its own: it is only ever seen together with its person, so it has no state.
	Quiet bool
	// Alone leaves the people nothing but their user ids.
	Alone bool
}

const (
	// MostExtra is how many identifiers a person has besides the user id, at most: none to so many, each number as likely.
	MostExtra = 5
	// sharedPercent of the devices belong to a household of so many.
	sharedPercent = 5
	household     = 8
	// underWay people shop at the same time.
	underWay = 10_000
	// stepMillis is how much later each event is than the one before: a busy shop.
	stepMillis = 7
)

// Generator makes the messages of all people, once.
type Generator struct {
	settings Settings
	random   *rand.Rand
	open     []visitor
	next     int // person
	serial   uint64
	millis   int64
	extra    int
}

// visitor is a person who is under way.
type visitor struct {
	person  int
	extra   int // identifiers besides the user id
	stories int // begun
	step    int // of the present story
	device  int // its number, -1 for the e-mail address
}

// New makes a generator.
func New(s Settings) *Generator {
	g := &Generator{settings: s, random: rand.New(rand.NewPCG(s.Seed, 0xc0d)), millis: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()}
	for len(g.open) < min(underWay, s.People) {
		g.open = append(g.open, g.visit())
	}
	return g
}

func (g *Generator) visit() visitor {
	v := visitor{person: g.next}
	if !g.settings.Alone {
		v.extra = g.random.IntN(MostExtra + 1)
	}
	g.extra += v.extra
	g.next++
	return v
}

// Extra is how many identifiers all people so far have besides their user ids; a shared device counts for each who uses it.
func (g *Generator) Extra() int { return g.extra }

// Append appends the next message to dst, and then the key that its producer gives it. more is false when everybody is through.
func (g *Generator) Append(dst []byte) (out []byte, keyAt int, more bool) {
	if len(g.open) == 0 {
		return dst, len(dst), false
	}
	i := g.random.IntN(len(g.open))
	v := &g.open[i]
	known, device, mail := g.advance(v)
	dst = g.appendMessage(dst, v.person, known, device, mail)
	keyAt = len(dst)
	if known {
		dst = appendUser(dst, v.person)
	} else {
		dst = appendDevice(dst, device)
	}
	if v.stories == v.extra && v.step == 0 {
		if g.next < g.settings.People {
			*v = g.visit()
		} else {
			last := len(g.open) - 1
			g.open[i] = g.open[last]
			g.open = g.open[:last]
		}
	}
	return dst, keyAt, true
}

// advance goes on in the story of a visitor: whether the event has the user id, and which device or whether the e-mail address. device is -1
// for none.
func (g *Generator) advance(v *visitor) (known bool, device int, mail bool) {
	if v.step == 0 {
		if v.extra == 0 { // nothing besides the user id
			return true, -1, false
		}
		v.device = -1
		if v.stories != 1 {
			v.device = v.person*MostExtra + v.stories
			if g.random.IntN(100) < sharedPercent {
				v.device = v.person / household * household * MostExtra
			}
		}
		v.stories++
		v.step = 1
		if v.device >= 0 && !g.settings.Quiet {
			return false, v.device, false
		}
	}
	v.step++
	if last := v.step == 3; last {
		v.step = 0
		if v.device >= 0 && !g.settings.Quiet {
			return false, v.device, false
		}
	}
	return true, v.device, v.device < 0
}

func appendUser(dst []byte, person int) []byte {
	return appendPadded(append(dst, 'u'), uint64(person), 8)
}

// appendDevice appends a UUID of version 4, as the SDKs of Segment and others make them.
func appendDevice(dst []byte, device int) []byte {
	const digits = "0123456789abcdef"
	hi, lo := mix(uint64(device)), mix(uint64(device)^0x9E3779B97F4A7C15)
	for i := range 32 {
		switch i {
		case 8, 12, 16, 20:
			dst = append(dst, '-')
		}
		d := hi & 15
		if hi >>= 4; i == 15 {
			hi = lo
		}
		switch i {
		case 12:
			d = 4
		case 16:
			d = 8 | d&3
		}
		dst = append(dst, digits[d])
	}
	return dst
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
func mix(z uint64) uint64 {
	z += 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
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

func (g *Generator) appendMessage(dst []byte, person int, known bool, device int, mail bool) []byte {
	dst = appendPadded(append(dst, `{"type":"track","event":"Order Completed","messageId":"crowd-`...), g.serial, 9)
	dst = time.UnixMilli(g.millis).UTC().AppendFormat(append(dst, `","timestamp":"`...), "2006-01-02T15:04:05.000Z")
	if known {
		dst = appendUser(append(dst, `","userId":"`...), person)
	}
	if device >= 0 {
		dst = appendDevice(append(dst, `","anonymousId":"`...), device)
	}
	dst = append(dst, `",`...)
	if mail {
		dst = appendPadded(append(dst, `"context":{"traits":{"email":"p`...), uint64(person), 8)
		dst = append(dst, `@mail.example"}},`...)
	}
	product := g.random.IntN(60)
	dst = strconv.AppendInt(append(dst, `"properties":{"total":`...), int64(5+g.random.IntN(150)), 10)
	dst = strconv.AppendInt(append(dst, `,"discount":`...), int64(g.random.IntN(3)), 10)
	dst = strconv.AppendInt(append(dst, `,"products":[{"product_id":"P`...), int64(product), 10)
	dst = append(append(dst, `","category":"`...), [...]string{"shoes", "bags", "hats", "coats"}[product%4]...)
	dst = strconv.AppendInt(append(dst, `","price":`...), int64(5+g.random.IntN(90)), 10)
	g.serial++
	g.millis += stepMillis
	return append(dst, `,"quantity":1}]}}`...)
}
