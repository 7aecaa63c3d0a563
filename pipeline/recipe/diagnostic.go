package recipe

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"dashi/pipeline/spell"
)

// Severity says whether a Diagnostic stops the cookbook.
type Severity uint8

// The severities. An error is the zero value: a finding is harmless only if it says so.
const (
	Error Severity = iota
	Warning
)

func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// String is "file:line:column: error: message (hint)", on one line. Editors and terminals jump to it.
func (d Diagnostic) String() string {
	var b strings.Builder
	b.WriteString(d.File)
	if d.Line > 0 {
		b.WriteString(":" + strconv.Itoa(d.Line))
		if d.Column > 0 {
			b.WriteString(":" + strconv.Itoa(d.Column))
		}
	}
	b.WriteString(": " + d.Severity.String() + ": " + d.Message)
	if d.Hint != "" {
		b.WriteString(" (" + d.Hint + ")")
	}
	return b.String()
}

// Format is the finding for a person at a terminal: the message, the line of source with a caret
// under the column, and the hint. source is the text of the file; nil leaves the line out.
func (d Diagnostic) Format(source []byte) string {
	var b strings.Builder
	head := d
	head.Hint = ""
	b.WriteString(head.String())
	b.WriteByte('\n')
	if line, ok := lineOf(source, d.Line); ok && d.Line > 0 {
		number := strconv.Itoa(d.Line)
		pad := strings.Repeat(" ", len(number))
		text, column := window(line, d.Column)
		b.WriteString(" " + number + " | " + text + "\n")
		if column > 0 {
			b.WriteString(" " + pad + " | " + caretPad(text, column) + "^\n")
		}
	}
	if d.Hint != "" {
		b.WriteString("  hint: " + d.Hint + "\n")
	}
	return b.String()
}

// formatWidth is how much of a long line Format shows: a terminal's width, less the margin.
const formatWidth = 120

// window cuts a long line to the part around column, and says where column is in what is left.
func window(line string, column int) (string, int) {
	runes := []rune(line)
	if len(runes) <= formatWidth {
		return line, min(column, len(runes)+1)
	}
	start := max(0, min(column-formatWidth/2, len(runes)-formatWidth))
	end := min(len(runes), start+formatWidth)
	return string(runes[start:end]), min(max(column-start, 0), end-start+1)
}

// caretPad is blank space up to column, with the line's own tabs kept so that the caret stays under its character.
func caretPad(line string, column int) string {
	var b strings.Builder
	n := 1
	for _, r := range line {
		if n >= column {
			break
		}
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
		n++
	}
	for ; n < column; n++ {
		b.WriteByte(' ')
	}
	return b.String()
}

func lineOf(source []byte, line int) (string, bool) {
	for n := 1; len(source) > 0; n++ {
		text, rest, _ := bytes.Cut(source, []byte{'\n'})
		if n == line {
			return strings.TrimRight(strings.ToValidUTF8(string(text), "\ufffd"), "\r"), true
		}
		source = rest
	}
	return "", false
}

// findings collects diagnostics of one compilation.
type findings struct {
	list   []Diagnostic
	errors int
}

// add keeps d, unless it has it already (one mistake may be met in several ways) or has maxDiagnostics.
func (f *findings) add(d Diagnostic) {
	if slices.Contains(f.list, d) {
		return
	}
	if d.Severity == Error {
		f.errors++
	}
	if len(f.list) < maxDiagnostics {
		f.list = append(f.list, d)
	}
}

// sorted returns the findings, errors before warnings, then by file, line and column. Those at one place stay in the order in which they were found.
func (f *findings) sorted() []Diagnostic {
	slices.SortStableFunc(f.list, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return f.list
}

// didYouMean is the hint for an unknown word: the closest candidate, or else the whole list when it is short.
func didYouMean(word string, candidates []string) string {
	if c := spell.Closest(word, candidates); c != "" {
		return "did you mean " + quote(c) + "?"
	}
	if len(candidates) > 0 && len(candidates) <= 16 {
		return "it is one of " + strings.Join(candidates, ", ")
	}
	return ""
}

// quote puts s between backquotes, cut to what a person wants to read.
func quote(s string) string {
	if r := []rune(s); len(r) > 80 {
		s = string(r[:77]) + "..."
	}
	return "`" + strings.ReplaceAll(s, "\n", " ") + "`"
}

// oneEdit says whether two names are the same but for case, or but for one edit.
func oneEdit(a, b string) bool {
	return a != b && spell.Distance(strings.ToLower(a), strings.ToLower(b), 2) < 2
}
