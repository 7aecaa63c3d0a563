package httpapi

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"dashi/pipeline/attribute"
	"dashi/pipeline/say"
	"dashi/shard"

	"github.com/klauspost/compress/gzip"
)

// memberBytes is how much is written under the lock before it is sent: some 600 members.
const memberBytes = 64 << 10

// memberPage collects the lines of one write.
type memberPage struct {
	buf   []byte
	name  string
	left  int // members still wanted
	index int // among the audiences of people and accounts
	at    int // among those of the profile's kind
	since int64
	find  func(index int, since int64) // m.note, made once
}

func (m *memberPage) note(index int, since int64) {
	if index == m.at {
		m.since = since
	}
}

// add appends one line, and says whether there is room for another.
func (m *memberPage) add(v *shard.View) bool {
	if m.at = v.AudienceOf(m.index); m.at < 0 || m.at >= len(v.Program.Audiences) || v.Program.Audiences[m.at].Name != m.name {
		return false // the cookbook was replaced: this index is another audience now
	}
	m.since = 0
	v.EachAudience(m.find)
	m.buf = append(m.buf, `{"id":`...)
	m.buf = attribute.AppendQuotedID(m.buf, v.Identifiers[0].Namespace, v.Identifiers[0].Value)
	m.buf = append(m.buf, `,"since":"`...)
	m.buf = attribute.AppendTime(m.buf, m.since)
	m.buf = append(m.buf, "\"}\n"...)
	m.left--
	return m.left > 0 && len(m.buf) < memberBytes
}

func (a *API) members(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	index, ok := a.backend.AudienceIndex([]byte(name))
	if !ok {
		failName(w, "unknown_audience", "audience", name, a.audienceNames(r.Context()))
		return
	}
	q := r.URL.Query()
	limit := math.MaxInt
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fail(w, http.StatusBadRequest, "bad_limit", "cannot use limit "+say.Quote(text), "a whole number from 1, or none for all members")
			return
		}
		limit = n
	}
	at, err := ParseCursor(q.Get("cursor"))
	if err != nil {
		fail(w, http.StatusBadRequest, "bad_cursor", err.Error(), "a cursor is what an earlier answer gave in its last line")
		return
	}
	m := &memberPage{name: name, left: limit, index: index}
	m.find = m.note
	a.streamMembers(w, r, m, at)
}

// streamMembers writes page after page; between two pages nothing is locked.
func (a *API) streamMembers(w http.ResponseWriter, r *http.Request, m *memberPage, at Cursor) {
	c := http.NewResponseController(w)
	c.SetReadDeadline(time.Time{})
	write, finish := w.Write, func() {}
	defer func() { finish() }()
	begun, stay := false, &stay{ring: a.keys, request: r}
	for more := true; more; {
		m.buf = m.buf[:0]
		var err error
		if begun && stay.over() {
			m.buf, more = appendCut(m.buf, at, "unauthorized", goneKey), false
		} else if at, more, err = a.backend.Members(r.Context(), m.index, at, m.add); err != nil {
			if !begun {
				failRead(w, err)
				return
			}
			m.buf, more = appendCut(m.buf, at, "unavailable", err.Error()), false
		}
		if more && m.left <= 0 {
			m.buf = append(m.buf, `{"cursor":"`+at.String()+"\"}\n"...)
			more = false
		}
		if len(m.buf) == 0 && more {
			return // the cookbook was replaced in the middle
		}
		if !begun {
			begun = true
			write, finish = beginLines(w, r)
		}
		c.SetWriteDeadline(time.Now().Add(a.limits.Write))
		if _, err := write(m.buf); err != nil || r.Context().Err() != nil {
			return
		}
	}
}

// beginLines writes the header of a stream of lines, and says how to write those and how to end.
func beginLines(w http.ResponseWriter, r *http.Request) (write func([]byte) (int, error), finish func()) {
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Add("Vary", "Accept-Encoding")
	if !takesGzip(r) {
		return w.Write, func() {}
	}
	h.Set("Content-Encoding", "gzip")
	z := gzips.Get().(*gzip.Writer)
	z.Reset(w)
	return z.Write, func() { z.Close(); gzips.Put(z) }
}

// appendCut appends the last line of a list that could not be read to its end: why, and the cursor to go on with.
func appendCut(dst []byte, at Cursor, code, message string) []byte {
	dst = append(dst, `{"error":{"code":"`+code+`","message":`...)
	dst = attribute.AppendQuoted(dst, []byte(message))
	return append(dst, `},"cursor":"`+at.String()+"\"}\n"...)
}
