package cookbook

import (
	"fmt"
	"strings"

	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
)

// Format is how the records of one topic are read.
type Format struct {
	Name string // segment, msgpack, mapping:NAME
	last *recipe.Program
	made Decoder // for last
}

// Decoder reads one record: its value, and its time in Kafka in Unix milliseconds.
type Decoder interface {
	Decode(value []byte, millis int64, e *event.Event) error
}

// Decoder is the decoder for a program. It belongs to the source's calls, which never overlap.
func (f *Format) Decoder(p *recipe.Program) Decoder {
	if f.last != p {
		f.last, f.made = p, NewDecoder(f.Name, p)
	}
	return f.made
}

// CheckDecoder returns an error unless there is a decoder of that name, or the cookbook has its mapping.
func CheckDecoder(name string, p *recipe.Program) error {
	mapping, isMapping := strings.CutPrefix(name, "mapping:")
	switch {
	case name == "segment", name == "msgpack":
		return nil
	case isMapping && p.Mappings[mapping] != nil:
		return nil
	case isMapping:
		return fmt.Errorf("decoder %q: no recipe has a mapping %q", name, mapping)
	}
	return fmt.Errorf("decoder %q is unknown: it is segment, msgpack or mapping:NAME", name)
}

// NewDecoder makes the decoder of that name, which CheckDecoder has nothing against.
func NewDecoder(name string, p *recipe.Program) Decoder {
	d := event.NewDecoder(p.Schema, event.DefaultLimits)
	switch name {
	case "segment":
		return d
	case "msgpack":
		return msgpackDecoder{d}
	}
	return newRowDecoder(p.Mappings[strings.TrimPrefix(name, "mapping:")], d)
}

// msgpackDecoder reads the same messages in msgpack.
type msgpackDecoder struct{ *event.Decoder }

func (d msgpackDecoder) Decode(value []byte, millis int64, e *event.Event) error {
	return d.DecodeMsgpack(value, millis, e)
}

// rowDecoder reads JSON rows through a recipe's mapping: a row becomes a Segment message, which is decoded as any other.
type rowDecoder struct {
	columns []string
	binding *recipe.Binding
	err     error // of the binding: every row is bad then
	next    *event.Decoder
	row     []string
	buf     []byte
}

func newRowDecoder(m *recipe.Mapping, next *event.Decoder) *rowDecoder {
	d := &rowDecoder{columns: m.Columns, next: next, row: make([]string, len(m.Columns))}
	d.binding, d.err = m.Bind(m.Columns)
	return d
}

func (d *rowDecoder) Decode(value []byte, millis int64, e *event.Event) error {
	if d.err != nil {
		return d.err
	}
	if err := recipe.ParseRow(value, d.columns, d.row); err != nil {
		return err
	}
	var err error
	if d.buf, _, _, err = d.binding.AppendEvent(d.buf[:0], d.row); err != nil {
		return err
	}
	return d.next.Decode(d.buf, millis, e)
}
