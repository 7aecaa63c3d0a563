package recipe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each testdata/broken/NAME.yml (with NAME.second, where there is one) has NAME.golden: the messages that a
// person gets. Write them with -update, then read them: would you know what to do?
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d broken recipes: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yml"), func(t *testing.T) {
			var sources []Source
			texts := map[string][]byte{}
			base := strings.TrimSuffix(file, ".yml")
			for name, path := range map[string]string{filepath.Base(file): file, "second.yml": base + ".second"} {
				text, err := os.ReadFile(path)
				if err != nil {
					continue // there is no second file
				}
				sources = append(sources, Source{Name: name, Text: text})
				texts[name] = text
			}
			p, found := Compile(sources)
			var b strings.Builder
			for _, d := range found {
				b.WriteString(d.Format(texts[d.File]))
				if d.File == "" || d.Message == "" || d.Line < 1 || d.Column < 1 {
					t.Errorf("no place or message: %+v", d)
				}
				if (p == nil) != (found[0].Severity == Error) {
					t.Errorf("program %v and first finding %v", p != nil, found[0])
				}
			}
			if b.Len() == 0 {
				t.Fatal("nothing is found")
			}
			golden(t, strings.TrimSuffix(file, ".yml")+".golden", []byte(b.String()))
		})
	}
}
