package event_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"

	"dashi/pipeline/event"
)

func TestReasons(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if v, is := n.(*ast.ValueSpec); is {
			if kind, is := v.Type.(*ast.Ident); is && kind.Name == "Reason" {
				declared += len(v.Names)
			}
		}
		return true
	})
	all := event.Reasons()
	slices.Sort(all)
	if listed := len(slices.Compact(all)); listed != declared || declared == 0 {
		t.Errorf("Reasons lists %d of the %d reasons that event.go declares", listed, declared)
	}
}
