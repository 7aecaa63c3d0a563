package recipe

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// document is one parsed recipe file.
type document struct {
	source Source
	root   *yaml.Node // nil when it could not be read
	// bad holds the nodes in which the shape found an error: what they declare is not compiled,
	// but its name is known, so that one mistake does not look like many.
	bad map[*yaml.Node]bool
}

// parse reads the YAML and checks it against the grammar.
func parse(src Source, f *findings) *document {
	d := &document{source: src, bad: map[*yaml.Node]bool{}}
	report := func(line, column int, message, hint string) {
		f.add(Diagnostic{File: src.Name, Line: line, Column: column, Message: message, Hint: hint})
	}
	if len(src.Text) > maxSourceBytes {
		report(0, 0, "the file is over "+strconv.Itoa(maxSourceBytes>>20)+" MB", "split it: all files of a cookbook are compiled together")
		return d
	}
	if !utf8.Valid(src.Text) {
		line := 1
		for i := 0; i < len(src.Text); {
			r, n := utf8.DecodeRune(src.Text[i:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			if r == '\n' {
				line++
			}
			i += n
		}
		report(line, 1, "the file is not UTF-8", "save it as UTF-8")
		return d
	}
	decoder := yaml.NewDecoder(bytes.NewReader(src.Text))
	var doc yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			report(1, 1, "the file is empty", "a recipe begins with `recipe: NAME`")
			return d
		}
		line, message, hint := ExplainYAML(err, src.Text)
		report(line, firstColumn(src.Text, line), message, hint)
		return d
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		report(second.Line, second.Column, "a second document begins here", "one file is one recipe: remove the `---`, or use two files")
		return d
	} else if !errors.Is(err, io.EOF) {
		line, message, hint := ExplainYAML(err, src.Text)
		report(line, firstColumn(src.Text, line), message, hint)
		return d
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		report(1, 1, "the file is empty", "a recipe begins with `recipe: NAME`")
		return d
	}
	c := checker{doc: d, f: f}
	if n := c.resolve(root, 0); n == nil {
		return d
	}
	c.check(root, recipeShape, "the recipe")
	d.root = root
	return d
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// ExplainYAML says in our words what the YAML parser complains of, for recipes and for their tests. line is where the trouble is, from 1, as far as that is
// known.
func ExplainYAML(err error, source []byte) (line int, message, hint string) {
	parts := yamlLine.FindStringSubmatch(err.Error())
	if parts == nil {
		return 1, "this is not YAML: " + err.Error(), ""
	}
	line, _ = strconv.Atoi(parts[1])
	words := parts[2]
	if parserWords.MatchString(words) {
		line = parserLine(line, words, source)
	}
	line = max(line, 1)
	// A tab in the indentation is the likeliest trouble, and the parser may stumble over it a line later.
	for _, l := range []int{line, line + 1, line - 1} {
		if text, ok := lineOf(source, l); ok && strings.Contains(text[:len(text)-len(strings.TrimLeft(text, " \t"))], "\t") {
			return l, "a tab is used as indentation", "YAML is indented with spaces; replace the tab"
		}
	}
	for _, l := range []int{line, line - 1, line + 1} {
		if text, _ := lineOf(source, l); strings.Contains(words, "did not find expected key") && looksQuoted(text) {
			return l, "this is not YAML: there is text behind the closing quote", "an expression that begins with a quote is put in quotes as a whole: '\"a\" in b'"
		}
	}
	switch {
	case strings.Contains(words, "mapping values are not allowed"):
		hint = "a text that contains \": \" stands in quotes; or the line is indented too far"
	case strings.Contains(words, "did not find expected ',' or ']'"):
		hint = "a list that begins with [ ends with ], and in it a text that contains one of , [ ] { } : stands in quotes"
	case strings.Contains(words, "did not find expected ','"):
		hint = "between { and }, a text that contains one of , [ ] { } : stands in quotes"
	case strings.Contains(words, "expected comment or line break"):
		hint = "an expression that begins with ! stands in single quotes as a whole: '!a || b'"
	case strings.Contains(words, "did not find expected key"):
		hint = "look at the indentation of this line and of those beside it"
	case strings.Contains(words, "unexpected end of stream"):
		hint = "a quote that is opened here is not closed"
	case strings.Contains(words, "cannot start any token"):
		hint = "a text that begins with this character stands in quotes"
	case strings.Contains(words, "unknown anchor"), strings.Contains(words, "alphabetic or numeric"):
		hint = "`*` begins a YAML alias; a text that begins with it, such as \"*\" for every event, stands in quotes"
	}
	return line, "this is not YAML: " + words, hint
}

// parserWords are what the parser complains of, where the rest comes from the scanner. Of these the YAML package counts lines from 0, and it says where the
// mapping or list begins, not where it met what it did not expect, unless that begins on the first line.
var parserWords = regexp.MustCompile(`^did not find expected (key$|node content$|',' or |'-' indicator$|<)`)

// parserLine is the line, from 1, at which the parser met what it did not expect: what begins in the line that it has said is read once more by itself, so
// that it begins on the first line.
func parserLine(said int, words string, source []byte) int {
	rest := source
	for range said {
		_, rest, _ = bytes.Cut(rest, []byte{'\n'})
	}
	at := said + 1
	var node yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(rest)).Decode(&node); err != nil {
		if parts := yamlLine.FindStringSubmatch(err.Error()); parts != nil && parts[2] == words {
			further, _ := strconv.Atoi(parts[1])
			at += further
		}
	}
	return at
}

// looksQuoted says whether the value in a line begins with a quoted string and goes on behind the quotes.
func looksQuoted(line string) bool {
	_, value, ok := strings.Cut(line, ": ")
	if !ok {
		return false
	}
	value = strings.TrimSpace(value)
	if len(value) < 2 || value[0] != '"' && value[0] != '\'' {
		return false
	}
	end := strings.IndexByte(value[1:], value[0])
	return end >= 0 && end+2 < len(value)
}

func firstColumn(source []byte, line int) int {
	text, ok := lineOf(source, line)
	if !ok {
		return 1
	}
	return 1 + len(text) - len(strings.TrimLeft(text, " \t"))
}

// value returns the node under key in a mapping that was checked, or nil.
func value(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// content returns the text under key, "" when there is none.
func content(n *yaml.Node, name string) string {
	if v := value(n, name); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

// elements returns the nodes of a list, or the node itself where one may stand for a list of one.
func elements(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// isTrue reads a boolean that the grammar has checked; nil is false. YAML writes true in three ways.
func isTrue(n *yaml.Node) bool { return n != nil && strings.EqualFold(n.Value, "true") }
