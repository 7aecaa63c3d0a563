package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// What deploy ships is what the binary takes: the settings in the compose file and beside the unit, the command lines, the ports.
func TestDeploy(t *testing.T) {
	const dir = "../../deploy/"
	good := func(what, config string) {
		t.Helper()
		if r := command(t, nil, "serve", "--config", config, "--check"); r.code != 0 || !strings.Contains(r.stdout, "can be used") {
			t.Errorf("%s: code %d: %s%s", what, r.code, r.stdout, r.stderr)
		}
	}
	good("dashi.yml", dir+"dashi.yml")
	bad := filepath.Join(t.TempDir(), "bad.yml")
	check(t, os.WriteFile(bad, []byte("shards: 0\n"), 0o600))
	if r := command(t, nil, "serve", "--config", bad, "--check"); r.code != 1 || !strings.Contains(r.stderr, "shards") {
		t.Errorf("wrong settings: code %d, %s", r.code, r.stderr)
	}

	var compose struct {
		Services map[string]struct {
			Hostname    string
			Configs     []struct{ Source, Target string }
			Volumes     []string
			Ports       []string
			Environment map[string]string
			Health      struct{ Test []string } `yaml:"healthcheck"`
		}
		Configs map[string]struct{ Content string }
		Volumes map[string]any
	}
	text, err := os.ReadFile(dir + "compose.yml")
	check(t, err)
	check(t, yaml.Unmarshal(text, &compose))
	image, err := os.ReadFile(dir + "Dockerfile")
	check(t, err)
	nodes := 0
	for name, s := range compose.Services {
		if len(s.Configs) == 0 {
			continue
		}
		nodes++
		config := filepath.Join(t.TempDir(), name+".yml")
		here := strings.Replace(compose.Configs[s.Configs[0].Source].Content, "/recipes", dir+"recipes", 1) // where the image has them
		check(t, os.WriteFile(config, []byte(here), 0o600))
		good(name, config)
		var c struct {
			Data       string
			HTTP, RESP struct{ Listen string }
			Node       struct{ Listen, Advertise string }
			Gossip     struct {
				Listen, Advertise string
				Join              []string
				Expect            int
			}
		}
		check(t, yaml.Unmarshal([]byte(compose.Configs[s.Configs[0].Source].Content), &c))
		port := func(addr string) string { return addr[strings.LastIndex(addr, ":"):] }
		for i, listen := range []string{c.HTTP.Listen, c.RESP.Listen} {
			if !strings.HasSuffix(s.Ports[i], port(listen)) {
				t.Errorf("%s listens on %s, and port %s is published", name, listen, s.Ports[i])
			}
		}
		if c.Node.Advertise != s.Hostname+port(c.Node.Listen) || c.Gossip.Advertise != s.Hostname+port(c.Gossip.Listen) {
			t.Errorf("%s advertises %s and %s", name, c.Node.Advertise, c.Gossip.Advertise)
		}
		for _, peer := range c.Gossip.Join {
			if host, _, _ := strings.Cut(peer, ":"); compose.Services[host].Hostname != host || port(peer) != port(c.Gossip.Listen) {
				t.Errorf("%s joins %s", name, peer)
			}
		}
		volume, at, _ := strings.Cut(s.Volumes[0], ":")
		if _, there := compose.Volumes[volume]; !there || at != c.Data {
			t.Errorf("%s: volume %s for data in %s", name, s.Volumes[0], c.Data)
		}
		if !strings.Contains(string(image), `"`+s.Configs[0].Target+`"`) && !strings.Contains(string(image), " "+s.Configs[0].Target) {
			t.Errorf("%s: the image does not read %s", name, s.Configs[0].Target)
		}
		if h := s.Health.Test; len(h) < 3 || h[0] != "CMD" || h[1] != "/dashi" || command(t, nil, append(h[2:], "--help")...).code != 0 {
			t.Errorf("%s: its health is asked for with %q", name, h)
		}
		if c.Gossip.Expect != 3 {
			t.Errorf("%s expects %d nodes", name, c.Gossip.Expect)
		}
	}
	if k := compose.Services["kafka"]; len(k.Volumes) != 1 || !strings.HasPrefix(k.Volumes[0], "kafka:") || k.Environment["KAFKA_LOG_DIRS"] != strings.TrimPrefix(k.Volumes[0], "kafka:") {
		t.Errorf("Kafka keeps its topics in %q, with the volumes %q", k.Environment["KAFKA_LOG_DIRS"], k.Volumes)
	} else if _, there := compose.Volumes["kafka"]; !there {
		t.Error("the volume of Kafka is none of the volumes")
	}
	if nodes != 3 {
		t.Errorf("%d nodes", nodes)
	}

	unit, err := os.ReadFile(dir + "systemd/dashi.service")
	check(t, err)
	line := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/dashi (.*)$`).FindSubmatch(unit)
	if line == nil {
		t.Fatal("the unit starts something else")
	}
	// Settings hold secrets, and the user of the service, who is made when it starts, cannot read what only root may.
	if !strings.Contains(string(unit), "\nLoadCredential=dashi.yml:/etc/dashi/dashi.yml\n") {
		t.Error("the unit does not hand its settings to the service")
	}
	args := append(strings.Fields(strings.Replace(string(line[1]), "${CREDENTIALS_DIRECTORY}/dashi.yml", dir+"dashi.yml", 1)), "--check")
	if r := command(t, nil, args...); r.code != 0 {
		t.Errorf("dashi %s: code %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
}
