package node

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The commented sample is the defaults, all of them.
func TestSampleIsTheDefaults(t *testing.T) {
	got, err := ReadSettings("../deploy/dashi.yml")
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultSettings()
	if len(got.Recipes) == 0 {
		got.Recipes = nil
	}
	if len(got.HTTP.WriteKeys) == 0 {
		got.HTTP.WriteKeys = nil
	}
	if len(got.Gossip.Join)+len(got.Gossip.Keys) == 0 {
		got.Gossip.Join, got.Gossip.Keys = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sample:\n%+v\ndefaults:\n%+v", got, want)
	}
	text, err := os.ReadFile("../deploy/dashi.yml")
	if err != nil {
		t.Fatal(err)
	}
	var sample map[string]any
	if err := yaml.Unmarshal(text, &sample); err != nil {
		t.Fatal(err)
	}
	checkKeys(t, "", reflect.TypeOf(want), sample)
}

// checkKeys says which settings the sample leaves out.
func checkKeys(t *testing.T, path string, typ reflect.Type, sample map[string]any) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		key := f.Tag.Get("yaml")
		v, ok := sample[key]
		if !ok {
			t.Errorf("the sample lacks %s%s", path, key)
			continue
		}
		if m, isMap := v.(map[string]any); isMap && f.Type.Kind() == reflect.Struct {
			checkKeys(t, path+key+".", f.Type, m)
		}
	}
}

func TestSettingsErrors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "dashi.yml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSettings(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	f("shard: 4\n", "line 1")
	f("shards: 0\n", "shards: 0 is not between 1 and 4096")
	f("http: {listen: nowhere}\n", `http.listen: "nowhere" is not host:port`)
	f("log: {durability: maybe}\n", "neither replicated nor fsync")
	f("kafka: {brokers: []}\n", "kafka.brokers: name at least one")
	f("kafka: {activations: dashi.events}\n", `kafka.inputs[0].topic: "dashi.events" is kafka.activations already`)
	f("kafka: {inputs: [{topic: a, decoder: segment}, {topic: a, decoder: msgpack}]}\n", `kafka.inputs[1].topic: "a" is kafka.inputs[0] already`)
	f("kafka: {dead: x, activations: x}\n", "the same topic")
	f("limits: {outbox_bytes: 0}\n", "limits.outbox_bytes: must be positive")
}

// The nodes of the compose file have settings that are right, and the same cluster.
func TestComposeFile(t *testing.T) {
	text, err := os.ReadFile("../deploy/compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Configs map[string]struct{ Content string }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Configs) != 3 {
		t.Fatalf("%d nodes", len(file.Configs))
	}
	for name, c := range file.Configs {
		path := filepath.Join(t.TempDir(), "dashi.yml")
		if err := os.WriteFile(path, []byte(c.Content), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := ReadSettings(path)
		if err != nil || s.Gossip.Expect != 3 || s.Node.Advertise != name+":7071" || len(s.Gossip.Join) != 3 {
			t.Errorf("%s: %v, %+v", name, err, s)
		}
	}
}
