package match

import (
	"errors"
	"fmt"
	"strings"
)

// field is one thing that records are compared by. Its values are kept once each.
type field struct {
	name   string
	kind   Kind
	values []string
	index  map[string]int32
	of     []int32 // for each record: 1 + the index of its value; 0 for none
	count  []int32 // records with the value
}

// put gives the last record a value.
func (f *field) put(record int, value string) {
	if value == "" {
		f.of = append(f.of, 0)
		return
	}
	i, ok := f.index[value]
	if !ok {
		i, value = int32(len(f.values)), strings.Clone(value) // it may be a piece of a whole row
		f.index[value] = i
		f.values = append(f.values, value)
		f.count = append(f.count, 0)
	}
	f.count[i]++
	f.of = append(f.of, i+1)
}

// value is what a record has in the field; "" for nothing.
func (f *field) value(record int32) string {
	if i := f.of[record]; i > 0 {
		return f.values[i-1]
	}
	return ""
}

// Column is one column of the file and what it holds.
type Column struct {
	Name string
	Kind Kind
}

// Table holds the records that are matched, in their compared forms. It grows by Add.
type Table struct {
	columns []Column
	orders  []dateOrder
	fields  []field
	// at is where a column goes: the index of its field, -1 for none. A full name fills two.
	at      []int
	records int
	// given and family are the fields that may have changed places; -1 when there is none.
	given, family int
}

// ErrColumns is what NewTable wraps.
var ErrColumns = errors.New("columns cannot be compared")

// NewTable makes a table for rows with these columns. sample shows how dates are written.
func NewTable(columns []Column, sample [][]string) (*Table, error) {
	t := &Table{columns: columns, given: -1, family: -1}
	add := func(name string, k Kind) int {
		t.fields = append(t.fields, field{name: name, kind: k, index: map[string]int32{}})
		return len(t.fields) - 1
	}
	for i, c := range columns {
		t.orders = append(t.orders, findDateOrder(sample, i))
		switch c.Kind {
		case Ignored, ID:
			t.at = append(t.at, -1)
		case FullName:
			t.at = append(t.at, add(c.Name+" (given)", GivenName))
			add(c.Name+" (family)", FamilyName)
		default:
			t.at = append(t.at, add(c.Name, c.Kind))
		}
	}
	for i, f := range t.fields {
		if f.kind == GivenName && t.given < 0 {
			t.given = i
		}
		if f.kind == FamilyName && t.family < 0 {
			t.family = i
		}
	}
	if len(t.fields) == 0 {
		return nil, fmt.Errorf("%w: none holds names, dates, addresses or the like", ErrColumns)
	}
	if len(t.fields) > mostFields {
		return nil, fmt.Errorf("%w: there are %d; at most %d", ErrColumns, len(t.fields), mostFields)
	}
	return t, nil
}

// Add appends a record. Cells that the row lacks are empty.
func (t *Table) Add(row []string) {
	for i, c := range t.columns {
		at := t.at[i]
		if at < 0 {
			continue
		}
		cell := ""
		if i < len(row) {
			cell = row[i]
		}
		if c.Kind == FullName {
			given, family := nameParts(cell)
			t.fields[at].put(t.records, given)
			t.fields[at+1].put(t.records, family)
			continue
		}
		t.fields[at].put(t.records, form(c.Kind, cell, t.orders[i]))
	}
	t.records++
}

// Records is how many records there are.
func (t *Table) Records() int { return t.records }

// Field is one thing that records are compared by.
type Field struct {
	Name string
	Kind Kind
}

// Fields are what is compared, in the order of the columns. A full name is two.
func (t *Table) Fields() []Field {
	fields := make([]Field, len(t.fields))
	for i := range t.fields {
		fields[i] = Field{t.fields[i].name, t.fields[i].kind}
	}
	return fields
}

// Value is the form in which a record is compared by a field; "" when it has nothing there.
func (t *Table) Value(field int, record int32) string { return t.fields[field].value(record) }
