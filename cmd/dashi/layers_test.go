package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "dashi/...").Output()
	if err != nil {
		t.Fatalf("cannot list packages: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// under says whether path is the folder dashi/name or below it.
func under(path string, names ...string) bool {
	for _, n := range names {
		if path == "dashi/"+n || strings.HasPrefix(path, "dashi/"+n+"/") {
			return true
		}
	}
	return false
}

// The arrows of the house go one way: cmd -> node -> {shard, ring, pipeline}.
func TestLayers(t *testing.T) {
	bans := []struct {
		from, to []string
		except   []string
		why      string
	}{
		{from: []string{"pipeline"}, to: []string{"shard", "ring", "node", "cmd", "bench"}, why: "pipeline knows what an event means, not where state is"},
		{from: []string{"ring"}, to: []string{"shard", "pipeline", "node", "cmd", "bench"}, why: "ring knows where state lives, not what it is"},
		{from: []string{"shard"}, to: []string{"ring", "node", "cmd", "bench", "pipeline/kafka", "pipeline/webhook"}, why: "a shard is told what to do; it does no I/O and knows no other shard"},
		{from: []string{"shard/group", "shard/wal", "shard/snapshot", "shard/transport"}, to: []string{"pipeline", "ring"}, why: "they host any state machine"},
		{from: []string{"shard/profile"}, to: []string{"pipeline"}, why: "the table holds bytes, not meaning"},
		{from: []string{"ring/meta"}, to: []string{"ring/gossip"}, why: "who is alive is a hint: the directory commits what it is told"},
		{from: []string{"node"}, to: []string{"cmd", "bench"}, why: "the binary is thin"},
		{from: []string{"bench"}, to: []string{"node", "cmd"}, why: "load speaks public protocols"},
	}
	for _, p := range listPackages(t) {
		for _, imp := range p.Imports {
			for _, b := range bans {
				if under(p.ImportPath, b.from...) && under(imp, b.to...) && !under(imp, b.except...) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imp, b.why)
				}
			}
			if strings.HasPrefix(imp, "github.com/hashicorp/memberlist") && p.ImportPath != "dashi/ring/gossip" {
				t.Errorf("%s imports %s: only ring/gossip gossips", p.ImportPath, imp)
			}
			if strings.HasPrefix(imp, "github.com/twmb/franz-go") && !under(p.ImportPath, "pipeline/kafka") {
				t.Errorf("%s imports %s: only pipeline/kafka speaks Kafka", p.ImportPath, imp)
			}
		}
		if under(p.ImportPath, "shard/group", "shard/wal", "shard/snapshot", "shard/transport") {
			for _, imp := range p.Imports {
				if imp == "dashi/shard" {
					t.Errorf("%s imports dashi/shard: it hosts any state machine", p.ImportPath)
				}
			}
		}
	}
}

// What is below node has no Node: its packages import each other only downwards, and never node itself.
func TestBelowNode(t *testing.T) {
	// Each may import those that come before it.
	order := []string{"node/certificate", "node/recipetest", "node/features", "node/npmtest", "node/httpapi", "node/resp", "node/console", "node/hub",
		"node/cookbook", "node/settings", "node/metrics", "node/counted", "node/reread", "node/status", "node"}
	rank := map[string]int{}
	for i, name := range order {
		rank["dashi/"+name] = i + 1
	}
	for _, p := range listPackages(t) {
		if !under(p.ImportPath, "node") {
			continue
		}
		if rank[p.ImportPath] == 0 {
			t.Errorf("%s has no place in the order of the packages below node", p.ImportPath)
		}
		for _, imp := range p.Imports {
			if under(imp, "node") && rank[imp] >= rank[p.ImportPath] {
				t.Errorf("%s imports %s, which is above it", p.ImportPath, imp)
			}
		}
	}
}

// The core is pure: the same entries give the same bytes, so it has no clock, goroutine, chance, log or I/O.
func TestCoreIsPure(t *testing.T) {
	pure := []string{"pipeline/event", "pipeline/recipe", "pipeline/identity", "pipeline/attribute", "pipeline/audience",
		"pipeline/consent", "pipeline/activation", "pipeline/expr", "pipeline/zone", "ring", "shard/profile"}
	impure := []string{"os", "net", "net/http", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "io/fs", "os/exec"}
	seen := 0
	for _, p := range listPackages(t) {
		if !under(p.ImportPath, pure...) && p.ImportPath != "dashi/shard" || under(p.ImportPath, "ring/gossip") {
			continue
		}
		seen++
		for _, imp := range p.Imports {
			for _, bad := range impure {
				if imp == bad {
					t.Errorf("%s imports %q", p.ImportPath, imp)
				}
			}
		}
		for _, name := range p.GoFiles {
			checkPure(t, filepath.Join(p.Dir, name))
		}
	}
	if seen < len(pure) {
		t.Errorf("looked at %d packages only: has one moved?", seen)
	}
}

func checkPure(t *testing.T, file string) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s starts a goroutine", set.Position(n.Pos()))
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && (n.Sel.Name == "Now" || n.Sel.Name == "Since" || n.Sel.Name == "After" || n.Sel.Name == "NewTimer") {
				t.Errorf("%s reads the clock", set.Position(n.Pos()))
			}
		}
		return true
	})
}
