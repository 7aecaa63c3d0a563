package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"dashi/pipeline/keyfile"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Settings say how to reach the brokers. Everything in this package that talks to Kafka takes them.
type Settings struct {
	Brokers     []string // "host:port" of some of them; the rest is learnt
	ClientID    string   // shows in the brokers' logs and quotas; "dashi" when empty
	Compression string   // of what is written: "lz4" (when empty) or "none"
	TLS         TLS
	SASL        SASL
	Log         *slog.Logger // warnings about brokers that come and go, better one of Collapse; nil discards them

	dial  func(ctx context.Context, network, addr string) (net.Conn, error) // in place of TCP; see Broker.Settings
	grant string                                                            // the rights that the Kafka user needs, in words; empty: not known
}

// TLS of the connections to the brokers.
type TLS struct {
	Enabled    bool
	CAFile     string // PEM; the system's authorities when empty
	CertFile   string // PEM, with KeyFile: the client's own certificate
	KeyFile    string
	ServerName string // checked instead of the host name of the address
}

// SASL says how we log in to the brokers.
type SASL struct {
	Mechanism string // "", "plain", "scram-sha-256" or "scram-sha-512"
	User      string
	Password  string
}

// dialTimeout bounds one attempt to connect: a broker that takes longer than this on a LAN is not there.
const dialTimeout = 5 * time.Second

// requestTimeout is how long a request is tried again, at other brokers and other leaders, before it fails.
// A fail-over of a real broker takes a few seconds, a restart up to half a minute.
const requestTimeout = 30 * time.Second

func (s *Settings) logger() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// at names the brokers, for errors.
func (s *Settings) at() string { return strings.Join(s.Brokers, ", ") }

// wrap wraps an error: which object could not be had, at which brokers, and what to do about it.
func (s *Settings) wrap(err error, what string, args ...any) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("cannot %s at Kafka %s: %w%s", fmt.Sprintf(what, args...), s.at(), err, s.hint(err))
}

// hint says what a person should look at, for the errors that one meets in the first hour.
func (s *Settings) hint(err error) string {
	var dial *net.OpError
	var name *net.DNSError
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return " (check kafka.sasl: mechanism, user and password)"
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed),
		errors.Is(err, kerr.TransactionalIDAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		if s.grant == "" {
			return " (the Kafka user lacks an ACL for it)"
		}
		return " (the Kafka user lacks an ACL: grant it " + s.grant + ")"
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return " (the topic does not exist: create it, or check its name)"
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Sprintf(" (no DNS knows %q: is kafka.brokers right?)", name.Name)
	case errors.As(err, &dial) && dial.Op == "dial":
		return " (is the broker running, and is kafka.brokers right?)"
	case errors.Is(err, context.DeadlineExceeded):
		return " (no answer in time: is the broker running, and is kafka.brokers right?)"
	}
	return ""
}

// options are the options that every client has.
func (s *Settings) options() ([]kgo.Opt, error) {
	if len(s.Brokers) == 0 {
		return nil, errors.New("cannot open a Kafka client: no broker is named (set kafka.brokers)")
	}
	id := s.ClientID
	if id == "" {
		id = "dashi"
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(s.Brokers...),
		kgo.ClientID(id),
		kgo.SoftwareNameAndVersion("dashi", "dev"),
		kgo.RetryTimeout(requestTimeout),
		kgo.RetryBackoffFn(backoff),
		kgo.MetadataMinAge(250 * time.Millisecond), // after a leader moved; the default of 5 s is most of a fail-over
		kgo.DisableClientMetrics(),                 // KIP-714 would have each client push its metrics to the brokers; ours are at /metrics
		kgo.WithLogger(logger{s.logger()}),
	}
	switch s.Compression {
	case "", "lz4":
		opts = append(opts, kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	case "none":
		opts = append(opts, kgo.ProducerBatchCompression(kgo.NoCompression()))
	default:
		return nil, fmt.Errorf("unknown kafka.compression %q: lz4 or none", s.Compression)
	}
	if s.dial != nil {
		opts = append(opts, kgo.Dialer(s.dial))
	} else {
		opts = append(opts, kgo.DialTimeout(dialTimeout))
	}
	if s.TLS.Enabled {
		config, err := s.TLS.config()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	switch s.SASL.Mechanism {
	case "":
	case "plain":
		opts = append(opts, kgo.SASL(plain.Auth{User: s.SASL.User, Pass: s.SASL.Password}.AsMechanism()))
	case "scram-sha-256":
		opts = append(opts, kgo.SASL(scram.Auth{User: s.SASL.User, Pass: s.SASL.Password}.AsSha256Mechanism()))
	case "scram-sha-512":
		opts = append(opts, kgo.SASL(scram.Auth{User: s.SASL.User, Pass: s.SASL.Password}.AsSha512Mechanism()))
	default:
		return nil, fmt.Errorf("unknown kafka.sasl.mechanism %q: plain, scram-sha-256 or scram-sha-512", s.SASL.Mechanism)
	}
	return opts, nil
}

// backoff is the pause before the n-th try of a request: short at first, because most trouble is a leader that has just moved.
func backoff(n int) time.Duration { return min(25*time.Millisecond<<min(n, 10), time.Second) }

func (s *Settings) client(extra ...kgo.Opt) (*kgo.Client, error) {
	opts, err := s.options()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(opts, extra...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot open a Kafka client: %w", err)
	}
	return client, nil
}

// Check reads the files that t names, and says what is wrong with them.
func (t *TLS) Check() error {
	if !t.Enabled {
		return nil
	}
	_, err := t.config()
	return err
}

func (t *TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := keyfile.Read(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read kafka.tls.ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot use kafka.tls.ca_file %q: no PEM certificate in it", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		cert, err := keyfile.ReadPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cannot load kafka.tls.cert_file %q with key_file %q: %w", t.CertFile, t.KeyFile, err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}

// Topic is a topic to make.
type Topic struct {
	Name       string
	Partitions int32
}

// Wrong says whether an error of MakeTopics is about the settings, so that another try cannot help. Brokers that do not answer, and names that DNS does not
// know, may still come.
func Wrong(err error) bool {
	return fatal(err) || errors.Is(err, kerr.InvalidPartitions)
}

// Ping asks the brokers who they are: it fails, with the address, when none answers before ctx is done.
func Ping(ctx context.Context, settings Settings) error {
	client, err := settings.client()
	if err != nil {
		return err
	}
	defer client.Close()
	return settings.wrap(client.Ping(ctx), "get an answer")
}

// quoted lists names for a person.
func quoted(names []string) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = strconv.Quote(n)
	}
	return strings.Join(all, ", ")
}

// MakeTopics makes those of the topics that do not exist, replicated as the brokers' default says. A topic
// that exists is left as it is.
func MakeTopics(ctx context.Context, settings Settings, topics ...Topic) error {
	client, err := settings.client()
	if err != nil {
		return err
	}
	defer client.Close()
	return makeTopics(ctx, &settings, kadm.NewClient(client), topics)
}

func makeTopics(ctx context.Context, settings *Settings, admin *kadm.Client, topics []Topic) error {
	if len(topics) == 0 {
		return nil
	}
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	// Look first: a user who may not create topics gets that error even for one that exists.
	details, err := admin.ListTopics(ctx, names...)
	if err != nil {
		return settings.wrap(err, "list topics")
	}
	for _, t := range topics {
		d, ok := details[t.Name]
		switch {
		case ok && d.Err == nil:
			continue
		case denied(d.Err):
			return settings.granting("Describe on topic %q", t.Name).wrap(d.Err, "describe topic %q", t.Name)
		}
		_, err := admin.CreateTopic(ctx, t.Partitions, -1, nil, t.Name)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return settings.granting("Create on topic %q, or create it", t.Name).wrap(err, "create topic %q", t.Name)
		}
	}
	return nil
}

// granting is a copy of the settings in which these are the rights that the Kafka user needs.
func (s *Settings) granting(format string, args ...any) *Settings {
	other := *s
	other.grant = fmt.Sprintf(format, args...)
	return &other
}

// endOffsets is the offset that the next readable record of each partition will have.
func (s *Settings) endOffsets(ctx context.Context, client *kgo.Client, topics ...string) (map[Stream]int64, error) {
	admin := kadm.NewClient(client)
	details, err := admin.ListTopics(ctx, topics...)
	if err != nil {
		return nil, s.wrap(err, "list topics")
	}
	listed, err := admin.ListCommittedOffsets(ctx, topics...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, s.wrap(err, "list end offsets")
	}
	ends := make(map[Stream]int64)
	listed.Each(func(o kadm.ListedOffset) {
		ends[Stream{Topic: details[o.Topic].ID, Name: o.Topic, Partition: o.Partition}] = o.Offset
	})
	return ends, nil
}

// logger passes on what the client logs: its warnings as warnings, everything below as debug.
type logger struct{ log *slog.Logger }

func (l logger) Level() kgo.LogLevel {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	if l.log.Enabled(context.Background(), slog.LevelWarn) {
		return kgo.LogLevelWarn
	}
	return kgo.LogLevelNone
}

func (l logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	if level <= kgo.LogLevelWarn {
		to = slog.LevelWarn
	}
	l.log.Log(context.Background(), to, "kafka: "+msg, slices.Clone(keyvals)...)
}
