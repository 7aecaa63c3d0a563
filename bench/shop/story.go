package shop

import (
	"strconv"
	"time"
)

// scene is one event of somebody's story: how long ago it was, and what.
type scene struct {
	ago  time.Duration
	kind string // "" is track, with the words of contexts more than that
	name string // of the event; of the company, for group
	body string // properties, or traits of identify and group
}

const day = 24 * time.Hour

// stories are what a visit of some minutes does not show: what came before, in days and weeks, and what happens on the phone, in
// the stores, and among business customers. They are told of people of their own, so that nothing else happens to them.
var stories = [][]scene{
	{ // bought once, and never seen again
		{100 * day, "identify", "", `"favourite_store":"Ginza"`},
		{100 * day, "", "Store Purchase", `"store":"Ginza","receipt":"r-1","total":35.5,"products":[{"product_id":"P12","category":"shoes","price":35.5,"quantity":1}]`},
	},
	{ // bought once, and gave it back
		{3 * day, "", "Order Completed", `"order_id":"o-6","total":60,"products":[{"product_id":"P13","category":"shoes","price":60,"quantity":1}]`},
		{time.Minute, "", "Order Refunded", `"order_id":"o-6","total":60,"products":[{"product_id":"P13","category":"shoes","price":60,"quantity":1}]`},
	},
	{ // an annual contract, and trouble
		{300 * day, "identify", "", `"plan":"annual","contract_ends":"+40"`},
		{40 * day, "", "Signed In", ``},
		{3 * day, "", "Ticket Opened", `"ticket_id":"T1"`},
		{2 * day, "", "Push Notification Bounced", ``},
	},
	{ // owns Product 1, has spent a lot, and left a cart some hours ago
		{20 * day, "identify", "", `"loyalty_tier":"gold","favourite_store":"Umeda"`},
		{20 * day, "", "Loyalty Joined", ``},
		{20 * day, "", "Order Completed", `"order_id":"o-1","total":2100,"coupon":"SPRING","products":[{"product_id":"P1","category":"shoes","price":1050,"quantity":2}]`},
		{5 * time.Hour, "", "Product Viewed", `"product_id":"P45","category":"women's shoes","price":80`},
		{290 * time.Minute, "", "Product Viewed", `"product_id":"P46","category":"women's shoes","price":90`},
		{280 * time.Minute, "", "Product Viewed", `"product_id":"P45","category":"women's shoes","price":80`},
		{270 * time.Minute, "", "Product Viewed", `"product_id":"P47","category":"women's shoes","price":85`},
		{260 * time.Minute, "", "Product Viewed", `"product_id":"P45","category":"women's shoes","price":80`},
		{250 * time.Minute, "", "Product Added", `"product_id":"P45","category":"women's shoes","price":80,"quantity":1`},
		{245 * time.Minute, "", "Product Added", `"product_id":"P46","category":"women's shoes","price":90,"quantity":1`},
		{240 * time.Minute, "", "Product Viewed", `"product_id":"P48","category":"women's shoes","price":70`},
		{239 * time.Minute, "", "Product Viewed", `"product_id":"P49","category":"women's shoes","price":75`},
		{238 * time.Minute, "", "Product Viewed", `"product_id":"P45","category":"women's shoes","price":80`},
		{237 * time.Minute, "", "Product Viewed", `"product_id":"P46","category":"women's shoes","price":90`},
		{236 * time.Minute, "", "Product Viewed", `"product_id":"P45","category":"women's shoes","price":80`},
	},
	{ // the same, but buys what was left in a store, gives the first order back, and does not want to hear of us any more
		{20 * day, "identify", "", `"loyalty_tier":"silver","favourite_store":"Umeda"`},
		{20 * day, "", "Order Completed", `"order_id":"o-5","total":2100,"products":[{"product_id":"P1","category":"shoes","price":1050,"quantity":2}]`},
		{2 * time.Hour, "", "Product Viewed", `"product_id":"P45","category":"women's shoes","price":80`},
		{2 * time.Hour, "", "Product Added", `"product_id":"P45","category":"women's shoes","price":80,"quantity":1`},
		{time.Minute, "", "Store Purchase", `"store":"Umeda","receipt":"r-4","total":80,"products":[{"product_id":"P45","category":"women's shoes","price":80,"quantity":1}]`},
		{0, "withdraw", "Segment Consent Preference Updated", `"source":"account"`},
		{0, "", "Order Refunded", `"order_id":"o-5","total":2100,"products":[{"product_id":"P1","category":"shoes","price":1050,"quantity":2}]`},
	},
	{ // trouble with an annual contract, and all is well again
		{200 * day, "identify", "", `"plan":"annual","contract_ends":"+90"`},
		{6 * day, "", "Ticket Opened", `"ticket_id":"T4"`},
		{5 * day, "", "Signed In", ``},
		{4 * day, "", "Signed In", ``},
		{3 * day, "", "Signed In", ``},
		{2 * day, "", "Signed In", ``},
		{day, "", "Signed In", ``},
		{0, "", "Signed In", ``},
	},
	{ // is about to buy, and in no loyalty programme
		{30 * time.Hour, "", "Product Viewed", `"product_id":"P220","category":"bags","price":60`},
		{29 * time.Hour, "", "Product Viewed", `"product_id":"P221","category":"bags","price":60`},
		{28 * time.Hour, "", "Product Viewed", `"product_id":"P222","category":"bags","price":60`},
		{27 * time.Hour, "", "Product Viewed", `"product_id":"P223","category":"bags","price":60`},
		{26 * time.Hour, "", "Product Viewed", `"product_id":"P224","category":"bags","price":60`},
		{25 * time.Hour, "", "Product Viewed", `"product_id":"P225","category":"bags","price":60`},
		{24 * time.Hour, "", "Product Viewed", `"product_id":"P226","category":"bags","price":60`},
		{23 * time.Hour, "", "Product Viewed", `"product_id":"P227","category":"bags","price":60`},
		{90 * time.Minute, "", "Product Viewed", `"product_id":"P228","category":"bags","price":60`},
		{80 * time.Minute, "", "Product Viewed", `"product_id":"P229","category":"bags","price":60`},
		{time.Hour, "", "Product Viewed", `"product_id":"P1","category":"shoes","price":1050`},
		{2 * time.Minute, "", "Product Added", `"product_id":"P221","category":"bags","price":60,"quantity":1`},
		{time.Minute, "", "Product Added", `"product_id":"P223","category":"bags","price":60,"quantity":1`},
	},
	{ // the phone says that somebody has been in a store for a while
		{40 * time.Minute, "in Leeds", "Application Opened", ``},
		{20 * time.Minute, "in Leeds", "Application Opened", ``},
		{0, "in Leeds", "Application Opened", ``},
	},
	{ // looked at a few things some weeks ago, and was not won
		{30 * day, "", "Product Viewed", `"product_id":"P81","category":"shirts","price":20`},
		{30 * day, "", "Product Viewed", `"product_id":"P82","category":"shirts","price":20`},
		{30 * day, "", "Product Viewed", `"product_id":"P83","category":"shirts","price":20`},
	},
	{ // calls, and is to be called back
		{day, "", "Product Viewed", `"product_id":"P45","category":"women's shoes","price":80`},
		{time.Minute, "", "Call Started", `"call_token":"+"`},
		{0, "", "Call Ended", `"outcome":"callback"`},
	},
	{ // calls, is not content, has a ticket
		{2 * time.Hour, "", "Ticket Opened", `"ticket_id":"T2"`},
		{time.Minute, "", "Call Started", ``},
		{0, "", "Call Ended", `"outcome":"unresolved"`},
	},
	{ // is sold something on the phone, and the ticket is closed
		{2 * time.Hour, "", "Ticket Opened", `"ticket_id":"T3"`},
		{time.Minute, "", "Call Started", ``},
		{0, "", "Call Ended", `"outcome":"sold"`},
		{0, "", "Ticket Closed", `"ticket_id":"T3"`},
	},
	{ // likes women's shoes, and is in a store
		{day, "", "Product Viewed", `"product_id":"P45","category":"women's shoes","price":80`},
		{day - time.Minute, "", "Product Viewed", `"product_id":"P46","category":"women's shoes","price":90`},
		{day - 2*time.Minute, "", "Product Viewed", `"product_id":"P47","category":"women's shoes","price":85`},
		{time.Hour, "", "Application Opened", ``},
		{time.Minute, "", "Store Entered", `"store":"Shibuya"`},
		{0, "", "Push Notification Received", ``},
	},
	{ // the same, and leaves it
		{day, "", "Product Viewed", `"product_id":"P45","category":"women's shoes","price":80`},
		{day - time.Minute, "", "Product Viewed", `"product_id":"P46","category":"women's shoes","price":90`},
		{day - 2*time.Minute, "", "Product Viewed", `"product_id":"P47","category":"women's shoes","price":85`},
		{20 * time.Minute, "", "Store Entered", `"store":"Tenjin"`},
		{19 * time.Minute, "", "Push Notification Tapped", ``},
		{0, "", "Store Exited", `"store":"Tenjin"`},
	},
	{ // buys in stores, also online, and the tills report it at night
		{50 * day, "identify", "", `"loyalty_tier":"gold","favourite_store":"Sakae"`},
		{50 * day, "", "Store Purchase", `"store":"Sakae","receipt":"r-2","total":80,"products":[{"product_id":"P5","category":"shoes","price":80,"quantity":1}]`},
		{10 * day, "", "Store Purchase", `"store":"Sakae","receipt":"r-3","total":60,"products":[{"product_id":"P1","category":"shoes","price":60,"quantity":1}]`},
		{5 * day, "", "Order Completed", `"order_id":"o-2","total":30,"products":[{"product_id":"P6","category":"shoes","price":30,"quantity":1}]`},
		{4 * day, "", "Order Cancelled", `"order_id":"o-2"`},
	},
	{ // a trial that began four days ago, and is hardly used
		{4 * day, "group", "acme", `"name":"Acme"`},
		{4 * day, "", "Trial Started", ``},
		{4 * day, "", "Signed In", ``},
		{4 * day, "", "Feature Used", `"feature":"import"`},
	},
	{ // a trial that began thirteen days ago, and is not used any more
		{13*day + time.Hour, "group", "umbrella", `"name":"Umbrella"`},
		{13*day + time.Hour, "", "Trial Started", ``},
		{12 * day, "", "Signed In", ``},
	},
	{ // reads, takes the newsletter, chats
		{20 * day, "", "Newsletter Subscribed", ``},
		{3 * day, "", "Content Viewed", `"topic":"reports"`},
		{2 * day, "", "Content Viewed", `"topic":"prices"`},
		{day, "", "Content Viewed", `"topic":"reports"`},
		{0, "", "Live Chat Conversation Started", ``},
	},
	{ // a new business customer who is stuck, owns Product 1, and reads about what is new
		{9 * day, "group", "initech", `"name":"Initech"`},
		{9 * day, "", "Subscription Started", `"status":"customer"`},
		{9 * day, "", "Order Completed", `"order_id":"o-3","total":900,"products":[{"product_id":"P1","category":"shoes","price":900,"quantity":1}]`},
		{9 * day, "", "Signed In", ``},
		{2 * day, "", "Email Opened", ``},
		{2 * day, "", "Content Viewed", `"topic":"reports"`},
		{day, "", "Content Viewed", `"topic":"reports"`},
	},
	{ // a colleague of theirs, who reads too
		{9 * day, "group", "initech", `"name":"Initech"`},
		{9 * day, "", "Subscription Started", `"status":"customer"`},
		{8 * day, "", "Order Completed", `"order_id":"o-4","total":450,"products":[{"product_id":"P1","category":"shoes","price":450,"quantity":1}]`},
		{2 * day, "", "Content Viewed", `"topic":"reports"`},
		{day, "", "Content Viewed", `"topic":"reports"`},
	},
	{ // a new business customer who comes through
		{3 * day, "group", "globex", `"name":"Globex"`},
		{3 * day, "", "Subscription Started", `"status":"customer"`},
		{3 * day, "", "Signed In", ``},
		{2 * day, "", "Project Created", ``},
		{0, "", "Invite Sent", ``},
	},
	{ // and the colleague who was invited does so too
		{2 * day, "group", "globex", `"name":"Globex"`},
		{2 * day, "", "Signed In", ``},
		{day, "", "Project Created", ``},
		{0, "", "Invite Sent", ``},
	},
}

// contexts are what a track call of that kind says besides.
var contexts = map[string]string{
	"withdraw": `"consent":{"categoryPreferences":{"email":false,"ads":false,"push":false,"location":false,"personalisation":false}}`,
	"in Leeds": `"location":{"latitude":53.7997,"longitude":-1.5492}`,
}

// telling is a story under way.
type telling struct {
	scenes []scene
	person int
	round  int // how often all stories have been told: each time of other companies
	next   int
}

// tell begins a story of the next person who has one.
func (s *Shop) tell() {
	n := s.told
	s.told++
	s.telling = telling{scenes: stories[n%len(stories)], person: s.people + n%(1+s.people/4), round: n / len(stories)}
}

// scene is the next event of the story. Its first says who the person is, and that they agree to everything.
func (s *Shop) scene(now time.Time) Message {
	t := &s.telling
	x := scene{t.scenes[0].ago, "identify", "", ""}
	if t.next > 0 {
		x = t.scenes[t.next-1]
	}
	b := append(s.buf[:0], `{"type":`...)
	kind, context := x.kind, contexts[x.kind]
	if kind == "" || context != "" {
		kind = "track"
	}
	b = quoted(b, kind)
	b = append(b, ',')
	b = s.appendMessageID(b)
	b = append(b, `,"timestamp":"`...)
	b = now.Add(-x.ago).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","userId":"`...)
	b = append(appendUser(b, t.person), '"')
	if t.next == 0 {
		b = append(b, `,"context":{"timezone":"`...)
		b = append(b, awake(now)...)
		b = append(b, `","consent":{"categoryPreferences":{"email":true,"ads":true,"push":true,"location":true,"personalisation":true}}}`...)
		b = append(b, `,"traits":{"email":"u`...)
		b = strconv.AppendInt(b, int64(t.person), 10)
		b = append(b, `@mail.example"`...)
	} else if kind == "track" {
		b = append(b, `,"event":`...)
		b = quoted(b, x.name)
		if context != "" {
			b = append(append(append(b, `,"context":{`...), context...), '}')
		}
		b = append(b, `,"properties":{`...)
		b = s.appendBody(b, x.body, now)
	} else {
		if kind == "group" {
			b = append(append(append(b, `,"groupId":"`...), x.name...), '-')
			b = append(strconv.AppendInt(b, int64(t.round), 10), '"')
		}
		b = append(b, `,"traits":{`...)
		b = s.appendBody(b, x.body, now)
	}
	s.buf = append(b, '}', '}')
	s.key = appendUser(append(s.key[:0], "user_id:"...), t.person)
	if t.next++; t.next > len(t.scenes) {
		t.scenes = nil
	}
	return Message{Key: s.key, Value: s.buf}
}

// awake is a time zone in which nobody sleeps: whoever watches at night sees as much leave as by day.
func awake(now time.Time) string {
	switch h := now.UTC().Hour(); { // by the clock of summer or of winter, all of these lie between ten and nine
	case h >= 10 && h < 19:
		return "Europe/London"
	case h >= 19:
		return "America/Los_Angeles"
	case h >= 1:
		return "Asia/Tokyo"
	}
	return "America/Los_Angeles"
}

// appendBody appends the body. A value "+40" in it is the time in 40 days, "+" alone something that nobody else has.
func (s *Shop) appendBody(b []byte, body string, now time.Time) []byte {
	for i := 0; i < len(body); i++ {
		if body[i] != '+' {
			b = append(b, body[i])
			continue
		}
		days := 0
		for ; i+1 < len(body) && body[i+1] >= '0' && body[i+1] <= '9'; i++ {
			days = days*10 + int(body[i+1]-'0')
		}
		if days > 0 {
			b = now.Add(time.Duration(days)*day).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
		} else {
			b = strconv.AppendUint(b, s.serial, 36)
		}
	}
	return b
}
