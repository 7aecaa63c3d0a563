package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"dashi/node/certificate"
	"dashi/node/cookbook"
	"dashi/pipeline/kafka"
	"dashi/pipeline/recipe"
)

// Settings are everything that a node can be told. deploy/dashi.yml is the same tree with comments; a test
// holds the two together.
type Settings struct {
	// Cluster names everything that this cluster keeps in Kafka: consumer group, producers, positions.
	Cluster string `yaml:"cluster"`
	// Data is the directory of the log, the snapshots and the embedded broker.
	Data string `yaml:"data"`
	// Shards is fixed when the data directory is made.
	Shards int `yaml:"shards"`
	// Replicas is how many nodes have a copy of each shard; all of them if there are fewer. Fixed when the cluster is founded.
	Replicas int `yaml:"replicas"`
	// ReplaceAfter is how long a node may be away before its replicas are made again on others.
	ReplaceAfter time.Duration `yaml:"replace_after"`

	Recipes []string `yaml:"recipes"`
	// Clock is wall, the time of day; or event: time passes with the times of events, as for a replay of history.
	Clock string `yaml:"clock"`

	Node   Node   `yaml:"node"`
	Gossip Gossip `yaml:"gossip"`

	HTTP     HTTP      `yaml:"http"`
	RESP     RESP      `yaml:"resp"`
	Kafka    Kafka     `yaml:"kafka"`
	Webhooks []Webhook `yaml:"webhooks"`
	Log      Log       `yaml:"log"`
	Limits   Limits    `yaml:"limits"`
}

// Node are this node, as the others know it.
type Node struct {
	// ID is unique in the cluster and stays with the data directory. Empty: one is drawn when that is made.
	ID     string `yaml:"id"`
	Zone   string `yaml:"zone"`
	Weight int    `yaml:"weight"`
	// Listen is the address that the other nodes call; empty: there are none. Advertise is what they are told; empty: Listen.
	Listen    string                `yaml:"listen"`
	Advertise string                `yaml:"advertise"`
	TLS       certificate.PeerFiles `yaml:"tls"`
}

// Gossip say how nodes find each other.
type Gossip struct {
	Listen    string   `yaml:"listen"`
	Advertise string   `yaml:"advertise"`
	Join      []string `yaml:"join"`
	// Expect is how many nodes found the cluster together.
	Expect int `yaml:"expect"`
	// Keys encrypt the gossip, in base64: the first one encrypts, all of them decrypt.
	Keys []string `yaml:"keys"`
}

// HTTP are those of the HTTP front door.
type HTTP struct {
	Listen string `yaml:"listen"`
	// Hosts are the host names that requests may name; "*": any. None: any, or, for a node that listens on the loopback, localhost.
	Hosts []string `yaml:"hosts"`
	// WriteKeys are the keys that event producers may use; none: any.
	WriteKeys []string `yaml:"write_keys"`
	// ReadKeys let in to look-ups, queries, metrics and the console, AdminKeys to everything. None of either: everybody is let in to everything.
	ReadKeys  []string          `yaml:"read_keys"`
	AdminKeys []string          `yaml:"admin_keys"`
	TLS       certificate.Files `yaml:"tls"`
	// Debug serves the profiles of the Go runtime at /debug/pprof/.
	Debug bool `yaml:"debug"`
}

// RESP are those of the Redis-protocol front door.
type RESP struct {
	Listen   string `yaml:"listen"` // empty: closed
	Password string `yaml:"password"`
	// Passwords let in as well: with the one before, clients change theirs one by one.
	Passwords []string          `yaml:"passwords"`
	TLS       certificate.Files `yaml:"tls"`
}

// Kafka say where events come from and activations go.
type Kafka struct {
	// Brokers of a real cluster. With Embedded.Listen set, the embedded broker is used instead.
	Brokers     []string `yaml:"brokers"`
	TLS         TLS      `yaml:"tls"`
	SASL        SASL     `yaml:"sasl"`
	Inputs      []Input  `yaml:"inputs"`
	Activations string   `yaml:"activations"`
	Dead        string   `yaml:"dead"`
	Partitions  int      `yaml:"partitions"` // of topics that dashi creates
	Embedded    Embedded `yaml:"embedded"`
}

// TLS protect the connections to the brokers. Their fields are those of kafka.TLS.
type TLS struct {
	Enabled    bool   `yaml:"enabled"`
	CAFile     string `yaml:"ca_file"`
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
}

// SASL log in to the brokers.
type SASL struct {
	Mechanism string `yaml:"mechanism"` // plain, scram-sha-256, scram-sha-512; empty: none
	User      string `yaml:"user"`
	Password  string `yaml:"password"`
}

// Input is one topic of events.
type Input struct {
	Topic string `yaml:"topic"`
	// Decoder is segment, msgpack, or mapping:NAME for JSON rows that a recipe maps.
	Decoder string `yaml:"decoder"`
}

// Embedded are those of the broker inside the process, for development.
type Embedded struct {
	Listen         string        `yaml:"listen"` // empty: none
	RetentionBytes int64         `yaml:"retention_bytes"`
	RetentionTime  time.Duration `yaml:"retention_time"`
}

// Log are those of the log and the snapshots of the shards.
type Log struct {
	// Durability is replicated (acknowledged from the page cache, synced every 100 ms) or fsync.
	Durability string `yaml:"durability"`
}

// Limits bound what a node uses.
type Limits struct {
	// MemoryBytes is what the profiles of a node may take; beyond it events are no longer consumed, look-ups go on.
	MemoryBytes int64 `yaml:"memory_bytes"`
	// OutboxBytes is what the activations of a shard may take while Kafka does not take them.
	OutboxBytes int64 `yaml:"outbox_bytes"`
	// RecentTime and RecentIDs bound the memory of message ids: for how long, and how many in a shard.
	RecentTime time.Duration `yaml:"recent_time"`
	RecentIDs  int           `yaml:"recent_ids"`
}

// Default are those of deploy/dashi.yml.
func Default() Settings {
	return Settings{
		Cluster:      "dashi",
		Data:         "data",
		Shards:       16,
		Replicas:     3,
		ReplaceAfter: 10 * time.Minute,
		Clock:        "wall",
		Node:         Node{Weight: 1},
		Gossip:       Gossip{Expect: 1},
		HTTP:         HTTP{Listen: "127.0.0.1:7070"},
		RESP:         RESP{Listen: "127.0.0.1:6380"},
		Kafka: Kafka{
			Brokers:     []string{"127.0.0.1:9092"},
			Inputs:      []Input{{Topic: "dashi.events", Decoder: "segment"}},
			Activations: "dashi.activations",
			Dead:        "dashi.dead",
			Partitions:  8,
			Embedded:    Embedded{RetentionBytes: 8 << 30, RetentionTime: 24 * time.Hour},
		},
		Log: Log{Durability: "replicated"},
		Limits: Limits{
			MemoryBytes: 8 << 30,
			OutboxBytes: 16 << 20,
			RecentTime:  12 * time.Hour,
			RecentIDs:   1 << 20,
		},
	}
}

// Read reads a YAML file over the defaults. An unknown key is an error that names its line. A value ${NAME} is that of the environment.
func Read(path string) (Settings, error) {
	s := Default()
	f, err := os.Open(path)
	if err != nil {
		return s, fmt.Errorf("cannot open settings: %w", err)
	}
	defer f.Close()
	var text bytes.Buffer
	d := yaml.NewDecoder(io.TeeReader(f, &text))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil && err != io.EOF { // EOF: nothing is set
		return s, fmt.Errorf("cannot read settings %q: %w", path, settingsWords(err))
	}
	var second yaml.Node
	switch err := d.Decode(&second); {
	case err == nil:
		return s, fmt.Errorf("cannot read settings %q: line %d: a second document begins here, and settings are one: remove the line ---", path, second.Line)
	case err != io.EOF:
		return s, fmt.Errorf("cannot read settings %q: %w", path, err)
	}
	if err := wholeNumbers(text.Bytes(), reflect.TypeFor[Settings]()); err != nil {
		return s, fmt.Errorf("cannot read settings %q: %w", path, err)
	}
	if err := resolve(reflect.ValueOf(&s).Elem(), ""); err != nil {
		return s, fmt.Errorf("cannot read settings %q: %w", path, err)
	}
	return s, s.Check()
}

// entry is a value and the name of its setting. Those that are looked at alike stand in a list, so that what is wrong comes in the same order every time.
type entry[V any] struct {
	name  string
	value V
}

// Check says what is wrong with the settings, all of it.
func (s *Settings) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Cluster == "" {
		bad("cluster: give it a name")
	}
	if s.Data == "" {
		bad("data: name a directory")
	}
	if s.Shards < 1 || s.Shards > 4096 {
		bad("shards: %d is not between 1 and 4096", s.Shards)
	}
	if s.Clock != "wall" && s.Clock != "event" {
		bad("clock: %q is neither wall nor event", s.Clock)
	}
	for _, at := range []entry[string]{{"http.listen", s.HTTP.Listen}, {"resp.listen", s.RESP.Listen}, {"kafka.embedded.listen", s.Kafka.Embedded.Listen}} {
		if at.value == "" && at.name != "http.listen" {
			continue
		}
		if _, _, err := net.SplitHostPort(at.value); err != nil {
			bad("%s: %q is not host:port", at.name, at.value)
		}
	}
	if a := s.HTTP.Listen; a == s.RESP.Listen && !strings.HasSuffix(a, ":0") {
		bad("http.listen, resp.listen: both are %q", a)
	}
	errs = append(errs, s.checkCluster()...)
	errs = append(errs, s.checkTLS()...)
	errs = append(errs, s.checkKeys()...)
	errs = append(errs, s.checkSpelled()...)
	errs = append(errs, s.checkWebhooks()...)
	errs = append(errs, s.checkKafka()...)
	if d := s.Log.Durability; d != "replicated" && d != "fsync" {
		bad("log.durability: %q is neither replicated nor fsync", d)
	}
	limits := []entry[int64]{{"memory_bytes", s.Limits.MemoryBytes}, {"outbox_bytes", s.Limits.OutboxBytes},
		{"recent_time", int64(s.Limits.RecentTime)}, {"recent_ids", int64(s.Limits.RecentIDs)}}
	for _, limit := range limits {
		if limit.value <= 0 {
			bad("limits.%s: must be positive", limit.name)
		}
	}
	return errors.Join(errs...)
}

// checkKafka says what is wrong with brokers and topics.
func (s *Settings) checkKafka() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Kafka.Embedded.Listen == "" && len(s.Kafka.Brokers) == 0 {
		bad("kafka.brokers: name at least one broker, or set kafka.embedded.listen")
	}
	for i, b := range s.Kafka.Brokers {
		if b == "" || strings.ContainsAny(b, "/ ,") {
			bad("kafka.brokers[%d]: %q is not host:port", i, b)
		}
	}
	if len(s.Kafka.Inputs) == 0 {
		bad("kafka.inputs: name at least one topic")
	}
	if s.Kafka.Activations == "" || s.Kafka.Dead == "" {
		bad("kafka.activations, kafka.dead: name a topic each")
	}
	used := map[string]string{s.Kafka.Activations: "kafka.activations", s.Kafka.Dead: "kafka.dead"}
	if s.Kafka.Activations == s.Kafka.Dead {
		bad("kafka.activations, kafka.dead: they are the same topic")
	}
	for i, in := range s.Kafka.Inputs {
		switch name := fmt.Sprintf("kafka.inputs[%d]", i); {
		case in.Topic == "":
			bad("%s.topic: name a topic", name)
		case used[in.Topic] != "": // what goes out would come in again, or two decoders would read one topic
			bad("%s.topic: %q is %s already", name, in.Topic, used[in.Topic])
		default:
			used[in.Topic] = name
		}
		if d := in.Decoder; d != "segment" && d != "msgpack" && !strings.HasPrefix(d, "mapping:") {
			bad("kafka.inputs[%d].decoder: %q is unknown: it is segment, msgpack or mapping:NAME", i, d)
		}
	}
	if s.Kafka.Partitions < 1 {
		bad("kafka.partitions: %d is not positive", s.Kafka.Partitions)
	}
	return errs
}

// CheckMachine says what is wrong with the things on this machine that the settings name: recipes, the mappings that decoders use, secrets. Notes are no
// faults, but may surprise.
func (s *Settings) CheckMachine() (notes []string, err error) {
	var errs []error
	if len(s.Recipes) == 0 {
		notes = append(notes, "recipes is empty: a node that begins a cluster needs some, one whose data directory has a cookbook does not")
	} else if sources, err := cookbook.ReadRecipes(s.Recipes); err != nil {
		errs = append(errs, fmt.Errorf("recipes: %w", err))
	} else if program, found := recipe.Compile(sources); program == nil {
		errs = append(errs, &cookbook.CheckError{Diagnostics: found})
	} else {
		for i, in := range s.Kafka.Inputs {
			if err := cookbook.CheckDecoder(in.Decoder, program); err != nil {
				errs = append(errs, fmt.Errorf("kafka.inputs[%d].%w", i, err))
			}
		}
	}
	for i := range s.Webhooks {
		if _, err := s.Webhooks[i].ReadSecrets(); err != nil {
			errs = append(errs, err)
		}
	}
	brokers := kafka.TLS(s.Kafka.TLS)
	errs = append(errs, s.checkCertificates(), brokers.Check())
	return append(notes, s.Unlocked()...), errors.Join(errs...)
}
