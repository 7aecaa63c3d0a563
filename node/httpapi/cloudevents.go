package httpapi

import (
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"dashi/pipeline/attribute"
)

// CloudEvents 1.0 over HTTP: binary mode has the attributes in ce-* headers and the data as the body, structured mode has one
// JSON object, batched mode an array of those. An event becomes a track message: type is the name, subject the
// user, id the message id, time the timestamp, data the properties; the other attributes are in context.cloudevent.

const (
	structuredType = "application/cloudevents+json"
	batchedType    = "application/cloudevents-batch+json"
)

func mediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

func isCloudEvent(r *http.Request) bool {
	if r.Header.Get("Ce-Specversion") != "" {
		return true
	}
	t := mediaType(r)
	return t == structuredType || t == batchedType
}

func (a *API) intakeCloudEvents(w http.ResponseWriter, r *http.Request) {
	a.accept(w, r, func(body []byte) (*splitter, []byte, error) {
		s := a.newSplitter(r, nil, "")
		if r.Header.Get("Ce-Specversion") != "" {
			return s, nil, s.binary(r, body)
		}
		return s, nil, s.structured(body)
	})
}

// cloudEvent is one event, with raw JSON values; nil where it does not say.
type cloudEvent struct {
	kind, id, subject, time, data []byte
	others                        []byte // members of context.cloudevent, each with a comma behind it
}

func (c *cloudEvent) other(name string, value []byte) {
	c.others = attribute.AppendQuoted(c.others, []byte(name))
	c.others = append(c.others, ':')
	c.others = append(c.others, value...)
	c.others = append(c.others, ',')
}

func (c *cloudEvent) set(name string, value []byte) {
	switch name {
	case "type":
		c.kind = value
	case "id":
		c.id = value
	case "subject":
		c.subject = value
	case "time":
		c.time = value
	default:
		c.other(name, value)
	}
}

// binary reads the attributes of the headers, which are percent-encoded where they are not ASCII.
func (s *splitter) binary(r *http.Request, body []byte) error {
	var c cloudEvent
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names) // the message must not depend on the order of a map
	for _, name := range names {
		attr, ok := strings.CutPrefix(strings.ToLower(name), "ce-")
		if !ok {
			continue
		}
		text := r.Header.Get(name)
		if decoded, err := url.PathUnescape(text); err == nil {
			text = decoded
		}
		c.set(attr, attribute.AppendQuoted(nil, []byte(text)))
	}
	t := mediaType(r)
	switch {
	case len(body) == 0:
	case t == "" || t == "application/json" || strings.HasSuffix(t, "+json"):
		value, err := (&scanner{buf: body}).valid()
		if err != nil {
			return err
		}
		c.data = value
	case strings.HasPrefix(t, "text/"):
		c.data = attribute.AppendQuoted(nil, body)
	default:
		c.data = attribute.AppendQuoted(nil, []byte(base64.StdEncoding.EncodeToString(body)))
	}
	return s.addCloudEvent(&c, true)
}

func (s *splitter) structured(body []byte) error {
	scan := scanner{buf: body}
	value, err := scan.valid()
	if err != nil {
		return err
	}
	scan.buf = value
	switch value[0] {
	case '{':
		return s.structuredOne(value, true)
	case '[':
	default:
		return errNoObject
	}
	s.batch = s.counting(scan, 0)
	scan.elements(0, func(from, to int) bool {
		s.index = len(s.messages)
		if s.index == s.api.limits.BatchEvents {
			err = errTooMany
			return false
		}
		err = s.structuredOne(value[from:to], false)
		return err == nil
	})
	return err
}

func (s *splitter) structuredOne(value []byte, alone bool) error {
	if value[0] != '{' {
		s.scan.buf = value
		return s.add(0, len(value), alone)
	}
	var c cloudEvent
	(&scanner{buf: value}).members(0, func(m member) bool {
		v := value[m.from:m.to]
		switch name := string(m.name); {
		case string(v) == "null":
		case name == "data" || name == "data_base64":
			c.data = v
		default:
			c.set(name, v)
		}
		return true
	})
	return s.addCloudEvent(&c, alone)
}

// addCloudEvent writes the track message and adds it like any other.
func (s *splitter) addCloudEvent(c *cloudEvent, alone bool) error {
	b := append(make([]byte, 0, 256+len(c.data)+len(c.others)), `{"type":"track"`...)
	member := func(name string, value []byte) {
		if value != nil {
			b = append(b, ',', '"')
			b = append(b, name...)
			b = append(b, '"', ':')
			b = append(b, value...)
		}
	}
	member("event", c.kind)
	member("messageId", c.id)
	member("userId", c.subject)
	member("timestamp", c.time)
	switch {
	case c.data == nil:
	case c.data[0] == '{':
		member("properties", c.data)
	default: // properties are an object
		member("properties", slices.Concat([]byte(`{"data":`), c.data, []byte{'}'}))
	}
	if n := len(c.others); n > 0 {
		member("context", slices.Concat([]byte(`{"cloudevent":{`), c.others[:n-1], []byte("}}")))
	}
	b = append(b, '}')
	s.scan.buf = b
	return s.add(0, len(b), alone)
}
