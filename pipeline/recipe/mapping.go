package recipe

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/expr"
)

// Mapping turns rows of a file into events of the Segment spec. It is immutable; Bind makes what works on rows.
type Mapping struct {
	Name        string
	Description string
	Format      string // "csv" or "jsonl"
	Delimiter   rune   // between the columns of a csv file
	// Columns are the columns that the mapping reads: the header of a csv file, or paths such as "order.id" in an
	// object of a jsonl file.
	Columns []string
	// Definition is a hash of all that the recipe says of it but the description.
	Definition uint64

	slots      []slot // what the expressions read
	event      cell   // a name that is always the same has no expression
	time       cell
	layout     string // for time.ParseInLocation, or unix or unix_ms
	zone       string
	location   *time.Location
	messageID  messageID
	message    cell
	keys       []keyCell // strongest namespace first
	body       *branch   // what the event holds besides type, time and message id
	reject     bool      // a row without identifier is bad
	namespaces []event.Namespace
}

// messageID says where message ids come from.
type messageID uint8

const (
	noMessageID messageID = iota
	rowMessageID
	cellMessageID
)

// slot is a column as an expression reads it: its text, or the number that it is.
type slot struct {
	column int // in Mapping.Columns
	number bool
}

// cell is one expression over the row.
type cell struct {
	what    string // for messages: "properties.quantity"
	text    string // its source
	literal string // the value, when x is nil
	x       *expr.Expr
	reads   []int // slots
}

// keyCell is an identifier of the row.
type keyCell struct {
	cell
	namespace int // in the schema
}

// branch is an object of the event, or one of its values.
type branch struct {
	key      string
	quoted   []byte // the key as JSON, with the colon
	children []*branch
	leaf     *cell
	// identifier is 1 + the index in Mapping.keys, for a value that is an identifier.
	identifier int
}

// ErrAnonymous is the error for a row without any identifier, if the mapping only counts such rows. It is no fault of the row.
var ErrAnonymous = errors.New("the row has no identifier")

// Binding applies a Mapping to rows with certain columns. It belongs to one goroutine.
type Binding struct {
	m       *Mapping
	columns []int // by slot: index in the row, -1 when it has no such column
	names   []string
	env     expr.Env
	ev      event.Event
	values  [][]byte // by key: the identifier as it stands in the row; nil when there is none
	key     []byte
	scratch []byte
	row     []string

	lastTime   string // the text of the last time, because neighbours often have the same
	lastMillis int64
}

// Bind fixes the columns of the rows that are to come, in their order.
func (m *Mapping) Bind(columns []string) (*Binding, error) {
	b := &Binding{m: m, names: slices.Clone(columns)}
	for _, s := range m.slots {
		name := m.Columns[s.column]
		i := slices.Index(columns, name)
		if i < 0 && m.Format == "csv" {
			err := fmt.Errorf("cannot bind mapping %q: the file has no column %q", m.Name, name)
			if hint := didYouMean(name, columns); hint != "" {
				err = fmt.Errorf("%w (%s)", err, hint)
			}
			return nil, err
		}
		b.columns = append(b.columns, i)
	}
	b.ev.Values = make([]event.Value, len(m.slots))
	b.env.Event = &b.ev
	b.values = make([][]byte, len(m.keys))
	return b, nil
}

// AppendEvent appends the event of one row as a JSON message of the Segment spec. key is the strongest
// identifier, "namespace:value", in its canonical form; millis is the event time. row has the columns
// given to Bind. key is good until the next call. The error is ErrAnonymous, or an *event.Rejected that
// says what is wrong with the row; dst then comes back as it was.
func (b *Binding) AppendEvent(dst []byte, row []string) (out, key []byte, millis int64, err error) {
	if len(row) != len(b.names) {
		return dst, nil, 0, &event.Rejected{Reason: event.Malformed, Detail: fmt.Sprintf("the row has %d columns, the header %d", len(row), len(b.names))}
	}
	b.row = row
	for i, at := range b.columns {
		v := &b.ev.Values[i]
		switch {
		case at < 0:
			*v = event.Value{}
		case b.m.slots[i].number:
			*v = event.Value{}
			if n, ok := parseNumber(row[at]); ok {
				*v = event.Value{Kind: event.Number, Bits: math.Float64bits(n)}
			}
		default:
			*v = event.Value{Kind: event.String, Str: append(v.Str[:0], row[at]...)}
		}
	}
	return b.appendEvent(dst, row)
}

// AppendEvent is Binding.AppendEvent for a row that comes as a map, such as a flattened object of a jsonl file. It
// binds anew for every row: for many rows with the same columns, Bind once.
func (m *Mapping) AppendEvent(dst []byte, row map[string]string) (out, key []byte, millis int64, err error) {
	columns := make([]string, 0, len(row))
	for name := range row {
		columns = append(columns, name)
	}
	slices.Sort(columns)
	values := make([]string, len(columns))
	for i, name := range columns {
		values[i] = row[name]
	}
	loose := *m
	loose.Format = "jsonl" // a column that is not there is an empty one
	b, err := loose.Bind(columns)
	if err != nil {
		return dst, nil, 0, err
	}
	return b.AppendEvent(dst, values)
}

// parseNumber reads a decimal number, white space around it aside.
func parseNumber(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// numberRoot stands for row in the expression that the compiler sees, where the recipe has number(row...).
const numberRoot = "number_row"

var numberCall = regexp.MustCompile(`^number\( *row((?:\.[A-Za-z_][A-Za-z0-9_]*)+|\["[^"\\]*"\]) *\)`)

// numberPath finds what numbers has rewritten, for messages.
var numberPath = regexp.MustCompile(numberRoot + `((?:\.[A-Za-z_][A-Za-z0-9_]*)+|\["[^"\\]*"\])`)

// numbers rewrites number(row.X), so that a number is parsed once per column and row. Other calls of number become CEL's double. The length of the text
// does not change, so places in messages stay right.
func numbers(src string) string {
	out := []byte(src)
	quote := byte(0)
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && strings.HasPrefix(src[i:], "number(") && (i == 0 || !isIdentifier("a"+src[i-1:i]) && src[i-1] != '.'):
			if m := numberCall.FindStringSubmatch(src[i:]); m != nil {
				whole, path := m[0], m[1]
				copy(out[i:], numberRoot+path+strings.Repeat(" ", len(whole)-len(numberRoot)-len(path)))
				i += len(whole) - 1
				continue
			}
			copy(out[i:], "double")
		}
	}
	return string(out)
}

// isRow says whether a text reads the row, and so is an expression.
func isRow(s string) bool {
	for {
		i := strings.Index(s, "row")
		if i < 0 {
			return false
		}
		rest := strings.TrimLeft(s[i+3:], " ")
		if (i == 0 || !isIdentifier("a"+s[i-1:i])) && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "[")) {
			return true
		}
		s = s[i+3:]
	}
}
