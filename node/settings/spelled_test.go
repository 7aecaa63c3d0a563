package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What can be written into a file, but cannot work, is refused before a node waits for ever or lets nobody in.
func TestSpelled(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "dashi.yml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		switch _, err := Read(path); {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	f("shards: 1.5\n", `line 1: this is "1.5"; wanted: a whole number`) // it was one shard
	f("cluster: x\nlimits: {memory_bytes: 8.5}\n", `line 2: this is "8.5"; wanted: a whole number`)
	f("kafka: {partitions: .inf}\n", `line 1: this is ".inf"; wanted: a whole number`)
	f("limits: {memory_bytes: 8e9}\n", "")
	f("node: {id: a/b}\n", `node.id: "a/b" has a /`)
	f("node: {id: a b}\n", `node.id: "a b" has a /`)
	f("node: {id: a.b-c_1}\n", "")
	f("kafka: {dead: a b}\n", `kafka.dead: "a b" is no name that Kafka takes`)
	f("kafka: {activations: '..'}\n", `kafka.activations: ".." is no name`)
	f("kafka: {inputs: [{topic: a/b, decoder: segment}]}\n", `kafka.inputs[0].topic: "a/b" is no name`)
	f("kafka: {dead: "+strings.Repeat("x", 250)+"}\n", "is no name")
	f("kafka: {dead: A.b_c-1}\n", "")
	f("http: {admin_keys: [\"0123456789abcdef\\n\"]}\n", "http.admin_keys[0]: it begins or ends with a space or the end of a line")
	f("http: {read_keys: [\"0123456789abcdef\", \" 0123456789abcdef\"]}\n", "http.read_keys[1]: it begins or ends")
	f("http: {write_keys: [\"a\\0b\"]}\n", "http.write_keys[0]: it begins or ends")
	f("http: {admin_keys: ['0123456789 abcdef:~é']}\n", "")
}
