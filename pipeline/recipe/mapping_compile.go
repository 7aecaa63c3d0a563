package recipe

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
)

func (c *compiler) compileMappings() {
	for i := range c.mappings {
		if e := &c.mappings[i]; !e.bad {
			before := c.errors
			if m := c.mapping(e); c.errors == before {
				c.program.Mappings[e.name] = m
			}
		}
	}
}

func (c *compiler) mapping(e *entry) *Mapping {
	m := &Mapping{Name: e.name, Description: content(e.node, "description"), Format: "csv", Delimiter: ',', body: &branch{}, Definition: said(e),
		namespaces: c.builder.schema.Namespaces, reject: content(e.node, "anonymous") == "reject"}
	if f := content(e.node, "format"); f != "" {
		m.Format = f
	}
	if n := value(e.node, "delimiter"); n != nil {
		r, size := utf8.DecodeRuneInString(n.Value)
		if size != len(n.Value) || r == '"' || r == '\n' || r == '\r' {
			c.report(e.doc, n, "`delimiter` is "+quote(n.Value)+"; wanted: one character", "a tab is written \"\\t\"")
		} else if m.Format != "csv" {
			c.report(e.doc, n, "`delimiter` is for `format: csv` only", "")
		}
		m.Delimiter = r
	}
	m.event = c.cell(e, m, value(e.node, "event"), "event", true, expr.StringType)
	c.mappingTime(e, m)
	c.mappingMessageID(e, m)
	c.mappingIdentifiers(e, m)
	for _, part := range []string{"traits", "context", "properties"} {
		c.mappingPart(e, m, part)
	}
	return m
}

// cell compiles one expression over the row. With plain, a text that does not read the row stands for itself.
func (c *compiler) cell(e *entry, m *Mapping, n *yaml.Node, what string, plain bool, want expr.Type) cell {
	out := cell{what: what, text: n.Value}
	if !isRow(n.Value) && (n.Tag == "!!int" || n.Tag == "!!float" || n.Tag == "!!bool") {
		out.literal = strings.ToLower(n.Value)
		if n.Tag != "!!bool" && !plain {
			v, err := strconv.ParseFloat(n.Value, 64)
			if err != nil || v-v != 0 {
				c.report(e.doc, n, quote(what)+" of "+quote(e.name)+" is the number "+quote(n.Value)+", which JSON does not have", "write it in decimal digits")
			}
			out.literal = string(attribute.AppendNumber(nil, v))
		}
		return out
	}
	if plain && !isRow(n.Value) {
		out.literal = unquoted(n.Value)
		return out
	}
	r := &reader{}
	scope := expr.Scope{Event: true, Field: func(path string) (expr.FieldRef, bool) {
		root, column, ok := strings.Cut(path, ".")
		if !ok || root != "row" && root != numberRoot {
			return expr.FieldRef{}, false
		}
		i := m.slot(column, root == numberRoot)
		if !slices.Contains(out.reads, i) {
			out.reads = append(out.reads, i)
		}
		if m.slots[i].number {
			return expr.FieldRef{Index: i, Kind: event.Number}, true
		}
		return expr.FieldRef{Index: i, Kind: event.String}, true
	}}
	x, err := expr.Compile(numbers(strings.TrimRight(n.Value, " \n")), &scope, want)
	if err != nil {
		if isIdentifier(n.Value) {
			r.explain, r.path = what+" is the bare word "+quote(n.Value), ""
			r.hint = "a column is written `row." + n.Value + "`, a text '\"" + n.Value + "\"'"
		}
		err.Message = numberPath.ReplaceAllString(err.Message, "number(row$1)")
		if err.Hint == "" && strings.Contains(err.Message, "a string") && strings.Contains(err.Message, "a number") {
			err.Hint = "columns are text; number(row.NAME) makes a number of one"
		}
		c.reportExpression(e.doc, n, quote(what)+" of "+quote(e.name), r, err)
		return out
	}
	if x.Any == nil {
		c.report(e.doc, n, quote(what)+" of "+quote(e.name)+" is a "+x.Type.String()+"; wanted: a number, string, time or condition", "")
	}
	if x.Interpreted {
		c.warn(e.doc, n, quote(what)+" of "+quote(e.name)+" is run by the interpreter, which is some ten times slower: "+x.Why, "")
	}
	out.x = x
	return out
}

// slot returns the index of the slot of a column.
func (m *Mapping) slot(column string, number bool) int {
	at := slices.Index(m.Columns, column)
	if at < 0 {
		at = len(m.Columns)
		m.Columns = append(m.Columns, column)
	}
	s := slot{column: at, number: number}
	i := slices.Index(m.slots, s)
	if i < 0 {
		i = len(m.slots)
		m.slots = append(m.slots, s)
	}
	return i
}

// knownLayouts are the words for layouts that have no example time.
var knownLayouts = []string{"rfc3339", "unix", "unix_ms"}

func (c *compiler) mappingTime(e *entry, m *Mapping) {
	n := value(e.node, "time")
	m.layout, m.zone, m.location = "rfc3339", "UTC", time.UTC
	from := n
	if n.Kind == yaml.MappingNode {
		from = value(n, "from")
		if l := value(n, "layout"); l != nil {
			m.layout = l.Value
			c.checkLayout(e, l)
		}
		if z := value(n, "zone"); z != nil {
			m.zone = z.Value
			m.location = c.zone(e.doc, z).Location()
		}
	}
	if !isRow(from.Value) {
		c.report(e.doc, from, "`time` of "+quote(e.name)+" does not read the row", "a column is written `row.NAME`")
		return
	}
	m.time = c.cell(e, m, from, "time", false, expr.AnyType)
	if x := m.time.x; x != nil && x.Type != expr.StringType && x.Type != expr.TimeType && x.Type != expr.NumberType {
		c.report(e.doc, from, "`time` of "+quote(e.name)+" is a "+x.Type.String()+"; wanted: text, a number or a time", "")
	}
}

func (c *compiler) checkLayout(e *entry, n *yaml.Node) {
	if slices.Contains(knownLayouts, n.Value) {
		return
	}
	// A layout shows its year, month and day if two days that differ in all of them look different in each.
	a := time.Date(2001, 3, 4, 5, 6, 7, 0, time.UTC).Format(n.Value)
	for _, other := range []time.Time{time.Date(2002, 3, 4, 5, 6, 7, 0, time.UTC), time.Date(2001, 9, 4, 5, 6, 7, 0, time.UTC), time.Date(2001, 3, 8, 5, 6, 7, 0, time.UTC)} {
		if other.Format(n.Value) == a {
			hint := "write the time 2006-01-02 15:04:05 as the file would write it, or one of " + strings.Join(knownLayouts, ", ")
			c.report(e.doc, n, quote(n.Value)+" is not a layout: it lacks the year, the month or the day", hint)
			return
		}
	}
}

// unquoted takes the quotes off a text that is a CEL string constant, as people write it beside expressions: nobody means an event whose name has quotes
// around it.
func unquoted(text string) string {
	if n := len(text); n > 1 && (text[0] == '"' || text[0] == '\'') && strings.IndexByte(text[1:], text[0]) == n-2 && !strings.Contains(text, "\\") {
		return text[1 : n-1]
	}
	return text
}

func (c *compiler) mappingMessageID(e *entry, m *Mapping) {
	n := value(e.node, "message_id")
	switch {
	case n == nil || n.Value == "none":
	case n.Value == "row":
		m.messageID = rowMessageID
	case !isRow(n.Value):
		c.report(e.doc, n, "`message_id` is "+quote(n.Value), "it is none, row, or an expression over the row such as row.ID")
	default:
		m.messageID = cellMessageID
		m.message = c.cell(e, m, n, "message_id", false, expr.StringType)
	}
}

func (c *compiler) mappingIdentifiers(e *entry, m *Mapping) {
	n := value(e.node, "identifiers")
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(m.namespaces, func(ns event.Namespace) bool { return ns.Name == k.Value })
		if at < 0 {
			var names []string
			for _, ns := range m.namespaces {
				names = append(names, ns.Name)
			}
			c.report(e.doc, k, "unknown namespace "+quote(k.Value), didYouMean(k.Value, names))
			continue
		}
		if !isRow(v.Value) {
			c.report(e.doc, v, quote("identifiers."+k.Value)+" of "+quote(e.name)+" does not read the row", "a column is written `row."+v.Value+"`")
			continue
		}
		m.keys = append(m.keys, keyCell{cell: c.cell(e, m, v, "identifiers."+k.Value, false, expr.AnyType), namespace: at})
	}
	slices.SortStableFunc(m.keys, func(a, b keyCell) int { return a.namespace - b.namespace })
	for i, k := range m.keys {
		if paths := m.namespaces[k.namespace].Paths; len(paths) > 0 {
			if end := m.body.add(paths[0]); end != nil {
				end.identifier = i + 1
			}
		}
	}
}

func (c *compiler) mappingPart(e *entry, m *Mapping, part string) {
	n := value(e.node, part)
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		leaf := c.cell(e, m, v, part+"."+k.Value, false, expr.AnyType)
		end := m.body.add(append([]string{part}, strings.Split(k.Value, ".")...))
		if end == nil {
			c.report(e.doc, k, quote(part+"."+k.Value)+" stands at the place of an identifier or of another field", "a value is no object; leave one of them out")
			continue
		}
		end.leaf = &leaf
	}
}
