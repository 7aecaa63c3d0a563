package recipe

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func TestDiagnosticString(t *testing.T) {
	d := Diagnostic{File: "a.yml", Line: 3, Column: 7, Message: "wrong", Hint: "do right"}
	if got, want := d.String(), "a.yml:3:7: error: wrong (do right)"; got != want {
		t.Errorf("got %s", got)
	}
	d = Diagnostic{File: "a.yml", Message: "too large", Severity: Warning}
	if got, want := d.String(), "a.yml: warning: too large"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestDiagnosticFormat(t *testing.T) {
	f := func(source string, line, column int, want string) {
		t.Helper()
		got := Diagnostic{File: "a", Line: line, Column: column, Message: "m"}.Format([]byte(source))
		if _, got, _ = strings.Cut(got, "\n"); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
	f("one\ntwo\n", 2, 3, " 2 | two\n   |   ^\n")
	f("one\r\ntwo", 1, 1, " 1 | one\n   | ^\n")
	f("\tx: y", 1, 2, " 1 | \tx: y\n   | \t^\n")
	f("é: ü", 1, 4, " 1 | é: ü\n   |    ^\n")
	f("a", 7, 1, "")
	f(strings.Repeat("a", 200)+"b", 1, 201, " 1 | "+strings.Repeat("a", 119)+"b\n   | "+strings.Repeat(" ", 119)+"^\n")
}

func TestOneEdit(t *testing.T) {
	for in, want := range map[string]bool{"order completed": true, "Order Complete": true, "Order Completed": false, "Ordre Completed": true, "Orders Complete": false} {
		if got := oneEdit(in, "Order Completed"); got != want {
			t.Errorf("oneEdit(%q) = %v", in, got)
		}
	}
}

// Whatever way YAML writes an expression, a place in it is found again in the file.
func TestLocate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"orders", ">", "5", "&&", "(vip)", "it's", "ü"}), 1, 8).Draw(t, "words")
		target := rapid.IntRange(0, len(words)-1).Draw(t, "target")
		words[target] = "HERE"
		words = append(words[:target+1:target+1], words[target+1:]...)
		style := rapid.SampledFrom([]yaml.Style{0, yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle, yaml.LiteralStyle, yaml.FoldedStyle}).Draw(t, "style")
		glue := " "
		if style == yaml.LiteralStyle || style == yaml.FoldedStyle {
			glue = "\n" // a folded text keeps the blank line that the encoder writes
		}
		n := yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "when"}, {Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.Join(words, glue), Style: style}}}
		text, err := yaml.Marshal(&n)
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		scalar := doc.Content[0].Content[1]
		line, column := 1, 1
		for _, r := range scalar.Value[:strings.Index(scalar.Value, "HERE")] {
			if column++; r == '\n' {
				line, column = line+1, 1
			}
		}
		gotLine, gotColumn := locate(text, scalar, line, column)
		got, _ := lineOf(text, gotLine)
		if runes := []rune(got); gotColumn > len(runes) || !strings.HasPrefix(string(runes[gotColumn-1:]), "HERE") {
			t.Fatalf("%d:%d in\n%s", gotLine, gotColumn, text)
		}
	})
}
