package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"dashi/node/certificate"
	"dashi/pipeline/webhook"

	"go.yaml.in/yaml/v3"
)

// The commented sample is the defaults, all of them.
func TestSampleIsTheDefaults(t *testing.T) {
	got, err := Read("../../deploy/dashi.yml")
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	if len(got.Recipes) == 0 {
		got.Recipes = nil
	}
	if len(got.Webhooks) == 0 {
		got.Webhooks = nil
	}
	if h := &got.HTTP; len(h.WriteKeys)+len(h.Hosts)+len(h.ReadKeys)+len(h.AdminKeys) == 0 {
		h.WriteKeys, h.Hosts, h.ReadKeys, h.AdminKeys = nil, nil, nil, nil
	}
	if len(got.RESP.Passwords) == 0 {
		got.RESP.Passwords = nil
	}
	if len(got.Gossip.Join)+len(got.Gossip.Keys) == 0 {
		got.Gossip.Join, got.Gossip.Keys = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sample:\n%+v\ndefaults:\n%+v", got, want)
	}
	text, err := os.ReadFile("../../deploy/dashi.yml")
	if err != nil {
		t.Fatal(err)
	}
	var sample map[string]any
	if err := yaml.Unmarshal(text, &sample); err != nil {
		t.Fatal(err)
	}
	checkKeys(t, "", reflect.TypeOf(want), sample)
}

// The example of an endpoint has every setting there is, and the defaults that it names are those.
func TestSampleOfAWebhook(t *testing.T) {
	text, err := os.ReadFile("../../deploy/dashi.yml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "#   - name: crm")
	block, _, ok := strings.Cut(rest, "\nwebhooks: []")
	if !ok {
		t.Fatal("the example is gone")
	}
	path := filepath.Join(t.TempDir(), "dashi.yml")
	example := "webhooks:\n   - name: crm" + strings.ReplaceAll(block, "\n#", "\n")
	if err := os.WriteFile(path, []byte(example), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || len(got.Webhooks) != 1 {
		t.Fatalf("%v, %+v", err, got.Webhooks)
	}
	w := got.Webhooks[0]
	if w.From != "now" || w.Batch != webhook.DefaultBatch || w.Timeout != webhook.DefaultTimeout || w.RetryFirst != webhook.DefaultRetryFirst || w.RetryMost != webhook.DefaultRetryMost || w.GiveUp != 0 {
		t.Errorf("the example does not name the defaults: %+v", w)
	}
	for f := range reflect.TypeOf(w).Fields() {
		if key := f.Tag.Get("yaml"); !strings.Contains(example, key+":") {
			t.Errorf("the example lacks %s", key)
		}
	}
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
		_, err := Read(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	f("shard: 4\n", "line 1")
	f("shards: 0\n", "shards: 0 is not between 1 and 4096")
	f("http: {listen: nowhere}\n", `http.listen: "nowhere" is not host:port`)
	f("log: {durability: maybe}\n", "neither replicated nor fsync")
	f("kafka: {brokers: []}\n", "kafka.brokers: name at least one")
	f("kafka: {brokers: ['a:9092', 'kafka://b:9092']}\n", `kafka.brokers[1]: "kafka://b:9092" is not host:port`)
	f("kafka: {brokers: ['a:9092,b:9092']}\n", `kafka.brokers[0]: "a:9092,b:9092" is not host:port`)
	f("kafka: {activations: dashi.events}\n", `kafka.inputs[0].topic: "dashi.events" is kafka.activations already`)
	f("kafka: {inputs: [{topic: a, decoder: segment}, {topic: a, decoder: msgpack}]}\n", `kafka.inputs[1].topic: "a" is kafka.inputs[0] already`)
	f("kafka: {dead: x, activations: x}\n", "the same topic")
	f("kafka: {inputs: [{topic: a, decoder: jsn}]}\n", `kafka.inputs[0].decoder: "jsn" is unknown: it is segment, msgpack or mapping:NAME`)
	f("http: {listen: '127.0.0.1:7000'}\nresp: {listen: '127.0.0.1:7000'}\n", `http.listen, resp.listen: both are "127.0.0.1:7000"`)
	f("node: {listen: '0.0.0.0:7100'}\ngossip: {listen: '0.0.0.0:7101'}\n", `node.advertise: node.listen is "0.0.0.0:7100", which the other nodes cannot dial`)
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	hook := func(text string) string {
		return "webhooks: [{name: crm, url: 'http://crm', secret: " + secret + ", " + text + "}]\n"
	}
	f("webhooks: [{name: crm, url: 'http://crm'}]\n", "webhooks[0].secret, secret_env, secret_file: set one of them")
	f("webhooks: [{name: crm, url: 'http://crm', secret: whsec_c2hvcnQ=}]\n", "webhooks[0].secret: it has 5 bytes, not 24 to 64")
	f("webhooks: [{name: a b, url: 'ftp://u:p@crm/?key=k', secret: "+secret+"}]\n", `webhooks[0].url: "ftp://crm/" is not an http`)
	f("webhooks: [{name: a b, url: 'http://crm', secret: "+secret+"}]\n", `webhooks[0].name: "a b" is not a name`)
	f(hook("from: then"), `webhooks[0].from: "then" is neither`)
	f(hook("batch: 10001"), "webhooks[0].batch: 10001 is not between")
	f(hook("header: {Webhook-Id: x}"), "webhooks[0].header: Webhook-Id is set by dashi")
	f(hook("secret_env: X"), "set one of them")
	f("webhooks: [{name: a, url: 'http://x', secret_env: X}, {name: a, url: 'http://y', secret_env: X}]\n", `webhooks[1].name: "a" is webhooks[0] already`)
	f("shards: 4\n---\nresp: {listen: ''}\n", "line 2: a second document begins here") // which was passed over
	f("shards: 4\n---\n", "a second document begins here")
	f("shards: 4\n---\n]\n", "did not find expected node content")
	f("limits: {outbox_bytes: 0}\n", "limits.outbox_bytes: must be positive")
	f("http: {read_keys: [0123456789abcdef, short]}\n", "http.read_keys[1]: shorter than 16 bytes")
	f("http: {write_keys: ['']}\n", "http.write_keys[0]: it is empty")
	f("resp: {passwords: ['']}\n", "resp.passwords[0]: it is empty")
	f("http: {tls: {cert_file: a.pem}}\n", "http.tls: set both cert_file and key_file")
	f("node: {tls: {cert_file: a.pem, key_file: b.pem}}\n", "node.tls: set ca_file, cert_file and key_file")
	f("resp: {password: '${DASHI_NO_SUCH_SECRET}'}\n", "resp.password: the environment has no DASHI_NO_SUCH_SECRET")
	f("http: {admin_keys: ['${DASHI_NO_SUCH_SECRET}']}\n", "http.admin_keys[0]: the environment has no DASHI_NO_SUCH_SECRET")
}

// What is wrong is told in the same order every time, so that who mends one thing finds the others where they were.
func TestSettingsErrorsKeepTheirOrder(t *testing.T) {
	f := func(lines ...string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "dashi.yml")
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		first := ""
		for range 20 {
			_, err := Read(path)
			if err == nil {
				t.Fatalf("%q is accepted", lines)
			}
			if first == "" {
				first = err.Error()
			}
			if err.Error() != first {
				t.Fatalf("once it is\n%s\nand then\n%s", first, err)
			}
		}
	}
	f("http: {listen: a}", "resp: {listen: b}", "kafka: {embedded: {listen: c}}")
	f("node: {listen: a, advertise: b}", "gossip: {listen: c, advertise: d}")
	f("limits: {memory_bytes: 0, outbox_bytes: 0, recent_time: 0s, recent_ids: 0}")
	f("http: {read_keys: [a], admin_keys: [b]}")
	f("http: {write_keys: ['']}", "resp: {passwords: ['']}")
	f("webhooks: [{name: crm, url: 'http://crm', secret_env: X, header: {webhook-id: x, webhook-signature: x, content-type: x}}]")
	f("webhooks: [{name: crm, url: 'http://crm', secret_env: X, header: {A: '${DASHI_NO_SUCH_A}', B: '${DASHI_NO_SUCH_B}', C: '${DASHI_NO_SUCH_C}'}}]")
}

func TestSettingsOfTheEnvironment(t *testing.T) {
	t.Setenv("DASHI_TEST_SECRET", "of the environment, 12: [}")
	path := filepath.Join(t.TempDir(), "dashi.yml")
	text := "resp: {password: '${DASHI_TEST_SECRET}', passwords: ['x${DASHI_TEST_SECRET}']}\nhttp: {admin_keys: ['${DASHI_TEST_SECRET}']}\n" +
		"webhooks: [{name: crm, url: 'http://crm', secret_env: X, header: {Authorization: '${DASHI_TEST_SECRET}'}}]\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Read(path)
	const want = "of the environment, 12: [}"
	if err != nil || s.RESP.Password != want || s.HTTP.AdminKeys[0] != want || s.Webhooks[0].Header["Authorization"] != want || s.RESP.Passwords[0] != "x${DASHI_TEST_SECRET}" {
		t.Errorf("%v, %+v", err, s)
	}
}

// The nodes of the compose file have settings that are right, and the same cluster.
func TestComposeFile(t *testing.T) {
	text, err := os.ReadFile("../../deploy/compose.yml")
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
		s, err := Read(path)
		if err != nil || s.Gossip.Expect != 3 || s.Node.Advertise != name+":7071" || len(s.Gossip.Join) != 3 {
			t.Errorf("%s: %v, %+v", name, err, s)
		}
	}
}

func TestCheckMachine(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"good.yml": "recipe: good\nattributes:\n  visits: {kind: count, on: Visit}\n", "bad.yml": "recipe: bad\nattributes:\n  visits: {kind: cuont, on: Visit}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := func(change func(*Settings), want string) {
		t.Helper()
		s := Default()
		s.Recipes = []string{filepath.Join(dir, "good.yml")}
		change(&s)
		notes, err := s.CheckMachine()
		if got := fmt.Sprint(notes, err); !strings.Contains(got, want) {
			t.Errorf("%s, want %q", got, want)
		}
	}
	f(func(*Settings) {}, "[] <nil>")
	f(func(s *Settings) { s.Recipes = nil }, "[recipes is empty")
	f(func(s *Settings) { s.Recipes = []string{filepath.Join(dir, "none.yml")} }, "none.yml")
	f(func(s *Settings) { s.Recipes = []string{filepath.Join(dir, "bad.yml")} }, `bad.yml:3:18: error`)
	f(func(s *Settings) { s.Kafka.Inputs = []Input{{Topic: "a", Decoder: "mapping:tills"}} }, `kafka.inputs[0].decoder "mapping:tills": no recipe has a mapping "tills"`)
	f(func(s *Settings) { s.Webhooks = []Webhook{{Name: "crm", SecretEnv: "DASHI_NO_SUCH_SECRET"}} }, "DASHI_NO_SUCH_SECRET")
	f(func(s *Settings) { s.HTTP.TLS = certificate.Files{CertFile: "none.pem", KeyFile: "none.key"} }, `cannot load http.tls.cert_file "none.pem"`)
	f(func(s *Settings) { s.HTTP.Listen = "0.0.0.0:7070" }, "[http has no admin_keys: whoever reaches 0.0.0.0:7070 may read and erase everybody")
	f(func(s *Settings) { s.HTTP.Listen, s.HTTP.ReadKeys = ":7070", []string{"a key"} }, "[] <nil>")
	f(func(s *Settings) { s.RESP.Listen = "dashi.example.com:6380" }, "[resp has no password")
	f(func(s *Settings) { s.Node.Listen, s.Gossip.Listen = "10.0.0.1:7071", "10.0.0.1:7072" }, "[node.tls is not set: whoever reaches 10.0.0.1:7071 may act as a node gossip.keys is empty")
}

// Files of keys and certificates that cannot be read again are refused when the settings are checked, those for the brokers too.
func TestCheckMachineKeyFiles(t *testing.T) {
	dir := t.TempDir()
	s := Default()
	s.HTTP.TLS = certificate.Files{CertFile: dir, KeyFile: dir}
	s.Kafka.TLS = TLS{Enabled: true, CAFile: dir}
	s.Webhooks = []Webhook{{Name: "crm", URL: "http://crm", SecretFile: dir}}
	_, err := s.CheckMachine()
	for _, want := range []string{"http.tls.cert_file", "kafka.tls.ca_file", `secret of webhook "crm"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if n := strings.Count(err.Error(), "is a directory: name a regular file"); n != 3 {
		t.Errorf("%d of 3 are said: %v", n, err)
	}
}

// A file of settings is told what is wrong with it in the words of settings, and which one was meant.
func TestSettingsWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dashi.yml")
	f := func(text, want string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "settings.") || strings.Contains(err.Error(), "certificate.") || strings.Contains(err.Error(), "!!") {
			t.Errorf("%s%v, want %q", text, err, want)
		}
	}
	f("htpp: {}\n", `line 1: there is no setting "htpp" here: did you mean http?`)
	f("\nkafka: {inputs: [{topi: a}]}\n", `line 2: there is no setting "topi" here: did you mean topic?`)
	f("http: {tls: {cert_fiel: a}}\n", `there is no setting "cert_fiel" here: did you mean cert_file?`)
	f("xyzzy: 1\n", `there is no setting "xyzzy" here`)
	f("http: {read_keys: abc}\n", `this is "abc"; wanted: a list, as in [one, two]`)
	f("shards: many\n", `this is "many"; wanted: a whole number`)
	f("limits: {recent_time: 3 days}\n", `this is "3 days"; wanted: a length of time`)
	f("http: {debug: [a]}\n", "this is a list; wanted: true or false")
	f("hello\n", `this is "hello"; wanted: a section of settings`)
}
