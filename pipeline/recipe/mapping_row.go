package recipe

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/say"
)

func (b *Binding) appendEvent(dst []byte, row []string) (out, key []byte, millis int64, err error) {
	m := b.m
	b.env.Scratch = b.env.Scratch[:0]
	if key, err = b.identify(); err != nil {
		return dst, nil, 0, err
	}
	name, err := b.text(&m.event)
	if err != nil {
		return dst, nil, 0, err
	}
	if len(name) == 0 {
		return dst, nil, 0, &event.Rejected{Reason: event.NoType, Detail: "the row gives no event name: " + m.event.text}
	}
	if millis, err = b.millis(); err != nil {
		return dst, nil, 0, err
	}
	out = append(dst, `{"type":`...)
	if isCall(name) {
		out = attribute.AppendQuoted(out, name)
	} else {
		out = append(out, `"track","event":`...)
		out = attribute.AppendQuoted(out, name)
	}
	out = append(out, `,"timestamp":"`...)
	out = attribute.AppendTime(out, millis)
	out = append(out, '"')
	if out, err = b.appendMessageID(out, row); err != nil {
		return dst, nil, 0, err
	}
	for _, child := range m.body.children {
		if out, err = b.appendBranch(out, child, ','); err != nil {
			return dst, nil, 0, err
		}
	}
	return append(out, '}'), key, millis, nil
}

func isCall(name []byte) bool {
	for _, t := range callTypes {
		if string(name) == t {
			return true
		}
	}
	return false
}

// identify finds the identifiers of the row and returns the strongest as "namespace:value".
func (b *Binding) identify() (key []byte, err error) {
	for i := range b.m.keys {
		k := &b.m.keys[i]
		b.values[i] = nil
		raw, err := b.text(&k.cell)
		if err != nil {
			return nil, err
		}
		if len(raw) == 0 {
			continue
		}
		ns := &b.m.namespaces[k.namespace]
		form := raw
		if ns.Normalise != nil {
			var ok bool
			if form, ok = ns.Normalise(b.scratch[:0], raw); !ok {
				continue
			}
			b.scratch = form
		}
		if len(form) > event.DefaultLimits.IdentifierBytes {
			return nil, &event.Rejected{Reason: event.TooLarge, Detail: "identifier " + ns.Name + " is longer than " + strconv.Itoa(event.DefaultLimits.IdentifierBytes) + " bytes"}
		}
		b.values[i] = raw
		if key == nil {
			b.key = append(append(append(b.key[:0], ns.Name...), ':'), form...)
			key = b.key
		}
	}
	if key != nil {
		return key, nil
	}
	if b.m.reject {
		return nil, &event.Rejected{Reason: event.NoIdentifier, Detail: "the row has no identifier"}
	}
	return nil, ErrAnonymous
}

// text evaluates a cell that gives text. It is empty when a column that the cell reads is.
func (b *Binding) text(c *cell) ([]byte, error) {
	if c.x == nil {
		return []byte(c.literal), nil
	}
	v := c.x.Any(&b.env)
	switch v.Kind {
	case event.String:
		return v.Str, nil
	case event.Absent:
		return nil, b.missing(c)
	}
	return b.appendScalar(b.env.Scratch[len(b.env.Scratch):], v), nil
}

// missing says why a cell gives nothing: nil when a column that it reads is empty, which is no fault.
func (b *Binding) missing(c *cell) error {
	for _, i := range c.reads {
		if b.cellText(i) == "" {
			return nil
		}
	}
	detail := c.what + " cannot be computed: " + c.text
	for _, i := range c.reads {
		detail += fmt.Sprintf(", row.%s is %q", b.m.Columns[b.m.slots[i].column], say.Short(b.cellText(i)))
	}
	return &event.Rejected{Reason: event.WrongType, Detail: detail}
}

// cellText is what stands in the row at slot i.
func (b *Binding) cellText(i int) string {
	if at := b.columns[i]; at >= 0 {
		return b.row[at]
	}
	return ""
}

func (b *Binding) appendScalar(dst []byte, v event.Value) []byte {
	switch v.Kind {
	case event.Bool:
		return strconv.AppendBool(dst, v.Bits != 0)
	case event.Number:
		return attribute.AppendNumber(dst, math.Float64frombits(v.Bits))
	case event.Time:
		return attribute.AppendTime(dst, int64(v.Bits))
	}
	return append(dst, v.Str...)
}

var errEpoch = errors.New("not a number of seconds since 1970")

// millis reads the time of the row.
func (b *Binding) millis() (int64, error) {
	c := &b.m.time
	v := c.x.Any(&b.env)
	switch v.Kind {
	case event.Time:
		return int64(v.Bits), nil
	case event.Absent:
		if err := b.missing(c); err != nil {
			return 0, err
		}
	}
	text := v.Str
	if v.Kind == event.Number {
		text = b.appendScalar(b.scratch[:0], v)
	}
	if len(text) == 0 {
		return 0, &event.Rejected{Reason: event.BadTime, Detail: "the row has no time: " + c.text + " is empty"}
	}
	if string(text) == b.lastTime {
		return b.lastMillis, nil
	}
	s := string(text)
	ms, err := b.parseTime(s)
	if err != nil {
		return 0, &event.Rejected{Reason: event.BadTime, Detail: fmt.Sprintf("cannot read the time %q as %s", say.Short(string(text)), b.m.layout)}
	}
	b.lastTime, b.lastMillis = s, ms
	return ms, nil
}

func (b *Binding) parseTime(s string) (int64, error) {
	scale := 1.0
	switch b.m.layout {
	case "unix":
		scale = 1000
		fallthrough
	case "unix_ms":
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || !(math.Abs(v*scale) < 1e15) {
			return 0, errEpoch
		}
		return int64(math.Round(v * scale)), nil
	}
	layout := b.m.layout
	if layout == "rfc3339" {
		layout = time.RFC3339
	}
	t, err := time.ParseInLocation(layout, s, b.m.location)
	if err != nil {
		return 0, err
	}
	return t.UnixMilli(), nil
}

// rowSalts make two 64-bit hashes of a row into one of 128 bits.
var rowSalts = [2]string{"row 1", "row 2"}

func (b *Binding) appendMessageID(dst []byte, row []string) ([]byte, error) {
	switch b.m.messageID {
	case noMessageID:
		return dst, nil
	case cellMessageID:
		id, err := b.text(&b.m.message)
		if err != nil || len(id) == 0 {
			return dst, err
		}
		return attribute.AppendQuoted(append(dst, `,"messageId":`...), id), nil
	}
	// Lengths stand before the values, so that two rows have the same text only when they are the same.
	s := binary.AppendUvarint(append(b.scratch[:0], b.m.Name...), uint64(len(b.m.Name)))
	for _, v := range row {
		s = append(binary.AppendUvarint(s, uint64(len(v))), v...)
	}
	var sum [16]byte
	n := len(s)
	for i, salt := range rowSalts {
		s = append(s[:n], salt...)
		binary.BigEndian.PutUint64(sum[8*i:], xxhash.Sum64(s))
	}
	b.scratch = s
	dst = append(dst, `,"messageId":"`...)
	return append(hex.AppendEncode(dst, sum[:]), '"'), nil
}

// appendBranch appends "key":value after a comma (or an opening brace), and nothing when there is no value.
func (b *Binding) appendBranch(dst []byte, n *branch, before byte) ([]byte, error) {
	was := len(dst)
	dst = append(append(dst, before), n.quoted...)
	if n.children != nil {
		start := len(dst)
		for _, child := range n.children {
			sign := byte(',')
			if len(dst) == start {
				sign = '{'
			}
			var err error
			if dst, err = b.appendBranch(dst, child, sign); err != nil {
				return dst[:was], err
			}
		}
		if len(dst) == start {
			return dst[:was], nil
		}
		return append(dst, '}'), nil
	}
	if n.identifier > 0 {
		v := b.values[n.identifier-1]
		if v == nil {
			return dst[:was], nil
		}
		return attribute.AppendQuoted(dst, v), nil
	}
	return b.appendLeaf(dst, was, n.leaf)
}

func (b *Binding) appendLeaf(dst []byte, was int, c *cell) ([]byte, error) {
	if c.x == nil {
		return append(dst, c.literal...), nil
	}
	v := c.x.Any(&b.env)
	switch v.Kind {
	case event.Absent:
		return dst[:was], b.missing(c)
	case event.String:
		if len(v.Str) == 0 {
			return dst[:was], nil
		}
		return attribute.AppendQuoted(dst, v.Str), nil
	case event.Time:
		return append(attribute.AppendTime(append(dst, '"'), int64(v.Bits)), '"'), nil
	}
	return b.appendScalar(dst, v), nil
}

// add adds a path to the tree and returns its end; nil when something else stands there.
func (n *branch) add(path []string) *branch {
	if n.leaf != nil || n.identifier > 0 {
		return nil
	}
	if len(path) == 0 {
		if n.children != nil {
			return nil
		}
		return n
	}
	i := slices.IndexFunc(n.children, func(c *branch) bool { return c.key == path[0] })
	if i < 0 {
		child := &branch{key: path[0], quoted: append(attribute.AppendQuoted(nil, []byte(path[0])), ':')}
		n.children = append(n.children, child)
		i = len(n.children) - 1
	}
	return n.children[i].add(path[1:])
}
