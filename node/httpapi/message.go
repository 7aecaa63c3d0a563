package httpapi

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
)

var (
	errTooLarge = errors.New("too large")
	errTooMany  = errors.New("too many events")
	errNoObject = errors.New("it is no JSON object")
	errNoBatch  = errors.New("it has no list `batch`, and is no event")
)

// deadBytes is how much of an event that is too large for Kafka goes to the dead topic.
const deadBytes = 1 << 10

// spread bounds how many times larger than Limits.BodyBytes the messages of one body may become: what a batch says once
// for all its events is written into each.
const spread = 4

// splitter turns one body into messages. It is used once.
type splitter struct {
	api      *API
	scan     scanner
	now      time.Time
	call     string        // of the route, for events that do not say their type: "track"; empty for batches
	received []byte        // now as a JSON string
	index    int           // of the event under way, in its batch
	batch    func() int    // counts the events of the batch; nil: there is one event
	size     int           // what it has counted
	span     time.Duration // how long before now the first event of the batch happened, if nobody says when; -1: not worked out
	last     time.Time     // when the same connection sent something before; zero: it did not
	shared   shared        // what the batch says for all its events
	arena    []byte        // the messages, one after another
	messages []Message
	edits    []edit
	spliced  []byte // text of edits that had to be built
	tail     []byte // members to add at the end of an event, with commas between them
}

// shared is what the envelope of a batch says for all events: raw JSON values, nil when it does not.
type shared struct {
	sentAt, context, integrations []byte
}

// edit replaces buf[from:to] of a message by text; from == to inserts.
type edit struct {
	from, to int
	text     []byte
}

func (a *API) newSplitter(r *http.Request, body []byte, call string) *splitter {
	now := a.now().UTC()
	return &splitter{
		api:      a,
		span:     -1,
		last:     lastOf(r, now),
		scan:     scanner{buf: body},
		now:      now,
		call:     call,
		received: appendTime(nil, now),
		arena:    make([]byte, 0, len(body)+len(body)/2+512),
	}
}

func appendTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, `"2006-01-02T15:04:05.000Z"`)
}

// split makes the messages of a body. writeKey is the one in the body, if any.
func (s *splitter) split(batch bool) (writeKey []byte, err error) {
	body, err := s.scan.valid()
	if err != nil {
		return nil, err
	}
	s.scan.buf = body
	if body[0] != '{' {
		return nil, errNoObject // no SDK sends it: whoever does learns at once what the dead topic would say later
	}
	events, typed := -1, false
	s.scan.members(0, func(m member) bool {
		value := body[m.from:m.to]
		switch string(m.name) {
		case "writeKey":
			if value[0] == '"' {
				writeKey = plain(value)
			}
		case "batch":
			if value[0] == '[' && events < 0 {
				events = m.from
			}
		case "type":
			typed = true
		case "sentAt":
			s.shared.sentAt = value
		case "context":
			s.shared.context = value
		case "integrations":
			s.shared.integrations = value
		}
		return true
	})
	if batch && events < 0 && !typed {
		return writeKey, errNoBatch
	}
	if !batch || events < 0 {
		s.shared = shared{}
		return writeKey, s.add(0, len(body), true)
	}
	s.batch = s.counting(s.scan, events)
	s.scan.elements(events, func(from, to int) bool {
		s.index = len(s.messages)
		if s.index == s.api.limits.BatchEvents {
			err = errTooMany
			return false
		}
		err = s.add(from, to, false)
		return err == nil
	})
	return writeKey, err
}

// fields are the members of an event that matter here.
type fields struct {
	kind, messageID, timestamp, original, sentAt, received, context, integrations, userID, anonymousID member
}

func (f *fields) find(name []byte) *member {
	switch string(name) {
	case "type":
		return &f.kind
	case "messageId":
		return &f.messageID
	case "timestamp":
		return &f.timestamp
	case "originalTimestamp":
		return &f.original
	case "sentAt":
		return &f.sentAt
	case "receivedAt":
		return &f.received
	case "context":
		return &f.context
	case "integrations":
		return &f.integrations
	case "userId":
		return &f.userID
	case "anonymousId":
		return &f.anonymousID
	}
	return nil
}

// add makes one message of the value in [from, to). alone says that nothing but this event is in the body.
func (s *splitter) add(from, to int, alone bool) error {
	if to-from > s.api.limits.EventBytes {
		return s.tooLarge(from, to, alone)
	}
	start := len(s.arena)
	if s.scan.buf[from] != '{' {
		s.messages = append(s.messages, Message{Value: s.keep(s.scan.buf[from:to])})
		return nil
	}
	var f fields
	brace, any := s.scan.members(from, func(m member) bool {
		if p := f.find(m.name); p != nil && p.to == 0 {
			*p = m
		}
		return true
	})
	s.complete(&f)
	s.write(from, brace, any)
	value := s.arena[start:len(s.arena):len(s.arena)]
	switch {
	case len(value) > s.api.limits.EventBytes:
		s.arena = s.arena[:start]
		return s.tooLarge(from, to, alone)
	case len(s.arena) > spread*s.api.limits.BodyBytes:
		return errTooLarge
	}
	s.messages = append(s.messages, Message{Key: s.key(&f, value), Value: value})
	return nil
}

// tooLarge refuses a lone event and dead-letters one of a batch: its neighbours are good.
func (s *splitter) tooLarge(from, to int, alone bool) error {
	if alone {
		return errTooLarge
	}
	s.messages = append(s.messages, Message{Value: s.keep(s.scan.buf[from:min(to, from+deadBytes)]), Reason: event.TooLarge})
	s.api.count(EventsTooLong, 1)
	return nil
}

// set replaces a member, or adds it to the tail.
func (s *splitter) set(m member, name string, value []byte) {
	if m.to != 0 {
		s.edits = append(s.edits, edit{m.from, m.to, value})
		return
	}
	if len(s.tail) > 0 {
		s.tail = append(s.tail, ',')
	}
	s.tail = append(s.tail, '"')
	s.tail = append(s.tail, name...)
	s.tail = append(s.tail, `":`...)
	s.tail = append(s.tail, value...)
}

// complete plans what is to be added to an event: edits for members that are there, and the tail for those that are not.
func (s *splitter) complete(f *fields) {
	s.edits, s.spliced, s.tail = s.edits[:0], s.spliced[:0], s.tail[:0]
	if s.call != "" && s.missing(f.kind) {
		s.set(f.kind, "type", attribute.AppendQuoted(nil, []byte(s.call)))
	}
	if s.missing(f.messageID) {
		s.set(f.messageID, "messageId", attribute.AppendQuoted(nil, []byte(s.api.newID())))
	}
	sentAt := s.value(f.sentAt)
	if s.missing(f.sentAt) && s.shared.sentAt != nil {
		sentAt = s.shared.sentAt
		s.set(f.sentAt, "sentAt", sentAt)
	}
	if s.missing(f.timestamp) {
		if v := s.timestamp(s.value(f.original), sentAt); v != nil {
			s.set(f.timestamp, "timestamp", v)
		}
	}
	s.set(f.received, "receivedAt", s.received)
	if s.shared.context != nil {
		if s.missing(f.context) {
			s.set(f.context, "context", s.shared.context)
		} else {
			s.merge(f.context)
		}
	}
	if s.shared.integrations != nil && s.missing(f.integrations) {
		s.set(f.integrations, "integrations", s.shared.integrations)
	}
}

func (s *splitter) value(m member) []byte { return s.scan.buf[m.from:m.to] }

// missing: not there, null, or an empty string.
func (s *splitter) missing(m member) bool {
	switch v := s.value(m); len(v) {
	case 0:
		return true
	case 2:
		return string(v) == `""`
	case 4:
		return string(v) == "null"
	}
	return false
}

// merge adds the members of the batch's context that the event's own does not have.
func (s *splitter) merge(own member) {
	outer := scanner{buf: s.shared.context}
	if s.scan.buf[own.from] != '{' || outer.buf[0] != '{' {
		return
	}
	have := map[string]bool{}
	brace, any := s.scan.members(own.from, func(m member) bool {
		have[string(m.name)] = true
		return true
	})
	start := len(s.spliced)
	outer.members(0, func(m member) bool {
		if !have[string(m.name)] {
			if any {
				s.spliced = append(s.spliced, ',')
			}
			any = true
			s.spliced = attribute.AppendQuoted(s.spliced, m.name)
			s.spliced = append(s.spliced, ':')
			s.spliced = append(s.spliced, outer.buf[m.from:m.to]...)
		}
		return true
	})
	if len(s.spliced) > start {
		s.edits = append(s.edits, edit{brace, brace, s.spliced[start:]})
	}
}

// timestamp is when the event happened by our clock: receivedAt - (sentAt - originalTimestamp), as Segment computes it, so that
// a client whose clock is wrong does no harm. nil when the original is there but unreadable: the decoder then says so. Without any, it is now, or
// a little earlier in a batch.
func (s *splitter) timestamp(original, sentAt []byte) []byte {
	if len(original) == 0 || string(original) == "null" {
		return s.untimed()
	}
	o, ok := instant(original)
	if !ok {
		return nil
	}
	sent, ok := instant(sentAt)
	if !ok {
		return original
	}
	return appendTime(nil, s.now.Add(-sent.Sub(o)))
}

// instant reads an RFC 3339 time in quotes.
func instant(quoted []byte) (time.Time, bool) {
	if len(quoted) < 2 || quoted[0] != '"' {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(plain(quoted)))
	return t, err == nil
}

// write appends the event whose members end at brace, with the edits done and the tail added.
func (s *splitter) write(from, brace int, any bool) {
	slices.SortFunc(s.edits, func(a, b edit) int { return a.from - b.from })
	for _, e := range s.edits {
		s.arena = append(s.arena, s.scan.buf[from:e.from]...)
		s.arena = append(s.arena, e.text...)
		from = e.to
	}
	s.arena = append(s.arena, s.scan.buf[from:brace]...)
	if len(s.tail) > 0 {
		if any {
			s.arena = append(s.arena, ',')
		}
		s.arena = append(s.arena, s.tail...)
	}
	s.arena = append(s.arena, '}')
}

// key is the partition key of an event: one person's events stay in order.
func (s *splitter) key(f *fields, message []byte) []byte {
	if s.api.key != nil {
		return s.api.key(nil, message)
	}
	for _, m := range [...]member{f.userID, f.anonymousID} {
		v := s.value(m)
		switch {
		case s.missing(m):
		case v[0] == '"':
			return s.keep(plain(v))
		case v[0] == '-' || '0' <= v[0] && v[0] <= '9':
			return s.keep(v)
		}
	}
	return nil
}

// keep copies into the arena, which outlives the body.
func (s *splitter) keep(b []byte) []byte {
	start := len(s.arena)
	s.arena = append(s.arena, b...)
	return s.arena[start:len(s.arena):len(s.arena)]
}
