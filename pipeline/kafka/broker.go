package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
)

// BrokerSettings are the settings of the embedded broker.
type BrokerSettings struct {
	Addr       string  // "127.0.0.1:19092" when empty; port 0 takes a free one
	Dir        string  // data directory, made when missing; required
	Partitions int32   // of Topics; 8 when 0
	Topics     []Topic // made at the start; Partitions 0 means the default
	Retention  Retention
	Log        *slog.Logger
}

// Retention bounds what each topic keeps. Whole files go, oldest first; the last file of a partition always
// stays (I9), so a topic may keep an eighth more than Bytes, and a quiet partition its last records for ever.
type Retention struct {
	Bytes int64         // a topic, all partitions together; DefaultRetention.Bytes when 0, no bound when negative
	Age   time.Duration // from arrival, whatever the record's timestamp says; DefaultRetention.Age when 0, no bound when negative
}

// DefaultRetention keeps a development machine's disk from filling: 4 GiB is eight million events of 500 bytes.
var DefaultRetention = Retention{Bytes: 4 << 30, Age: 7 * 24 * time.Hour}

// Broker is the embedded one: one node that speaks the Kafka protocol, in this process, with its data on disk.
// It is for development, tests and small installations: it has no replication, and it does not fsync each
// batch, so what a process kill cannot take a power cut can. It is safe for concurrent use.
type Broker struct {
	settings BrokerSettings
	cluster  *kfake.Cluster
	lock     *dirLock
	local    *localListener
	addr     string
	stop     context.CancelFunc
	done     chan struct{}
	once     sync.Once
}

// ErrAddrInUse is wrapped by OpenBroker when something else listens on the address.
var ErrAddrInUse = errors.New("address already in use")

// ErrDirInUse is wrapped by OpenBroker when another process has the data directory.
var ErrDirInUse = errors.New("data directory already in use")

// maxBatchBytes is the largest batch that the embedded broker takes. It is above Kafka's usual 1 MiB, so that an event that is too large
// for dashi arrives, and becomes a dead letter, where its sender can find it.
const maxBatchBytes = 16 << 20

// openTimeout bounds what OpenBroker asks of the broker that it has just started.
const openTimeout = 30 * time.Second

// OpenBroker opens the data directory, puts right what a killed process left half written, and serves it.
func OpenBroker(settings BrokerSettings) (*Broker, error) {
	settings.setDefaults()
	if settings.Dir == "" {
		return nil, errors.New("cannot open the embedded Kafka broker: no data directory is named")
	}
	host, port, err := net.SplitHostPort(settings.Addr)
	if err != nil {
		return nil, fmt.Errorf("cannot open the embedded Kafka broker on %q: %w", settings.Addr, err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("cannot open the embedded Kafka broker on %q: port: %w", settings.Addr, err)
	}
	if err := os.MkdirAll(settings.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the Kafka data directory %q: %w", settings.Dir, err)
	}
	lock, err := lockDir(settings.Dir)
	if err != nil {
		return nil, err
	}
	if err := repair(settings.Dir, settings.Log); err != nil {
		lock.Close()
		return nil, fmt.Errorf("cannot repair the Kafka data directory %q: %w", settings.Dir, err)
	}
	var local *localListener
	listen := func(network, _ string) (net.Listener, error) {
		tcp, err := net.Listen(network, net.JoinHostPort(host, strconv.Itoa(number)))
		if err != nil {
			return nil, err
		}
		local = newLocalListener(tcp, settings.Log)
		return local, nil
	}
	cluster, err := kfake.NewCluster(
		kfake.Ports(number),
		kfake.ListenFn(listen),
		kfake.DataDir(settings.Dir),
		kfake.ClusterID("dashi"),
		kfake.DefaultNumPartitions(int(settings.Partitions)),
		kfake.BrokerConfigs(brokerConfigs(&settings)),
		kfake.WithLogger(brokerLogger{settings.Log}),
	)
	if err != nil {
		lock.Close()
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("cannot open the embedded Kafka broker on %s: %w (stop what listens there, or choose another with --kafka ADDR)",
				settings.Addr, ErrAddrInUse)
		}
		return nil, fmt.Errorf("cannot open the embedded Kafka broker on %s with data in %q: %w", settings.Addr, settings.Dir, err)
	}
	debug.FreeOSMemory() // loading has read every file; what it left would count as ours until the collector gets round to it
	b := &Broker{settings: settings, cluster: cluster, lock: lock, local: local, addr: cluster.ListenAddrs()[0], done: make(chan struct{})}
	if err := b.start(); err != nil {
		cluster.Close()
		lock.Close()
		return nil, err
	}
	return b, nil
}

func (s *BrokerSettings) setDefaults() {
	if s.Addr == "" {
		s.Addr = "127.0.0.1:19092"
	}
	if s.Partitions == 0 {
		s.Partitions = 8
	}
	if s.Retention.Bytes == 0 {
		s.Retention.Bytes = DefaultRetention.Bytes
	}
	if s.Retention.Age == 0 {
		s.Retention.Age = DefaultRetention.Age
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
}

// segmentBytes is the size at which a partition starts a new file. Retention frees whole files, so a partition
// can overshoot by one file; an eighth of its share keeps that small. At the start each partition reads its files one after the other, and all
// partitions do so at once: with files of 64 MiB that took 1 GB of memory.
func (s *BrokerSettings) segmentBytes() int64 {
	const least, most = 1 << 20, 16 << 20
	if s.Retention.Bytes < 0 {
		return most
	}
	return min(max(s.Retention.Bytes/int64(s.Partitions)/8, least), most)
}

func brokerConfigs(s *BrokerSettings) map[string]string {
	return map[string]string{
		"log.segment.bytes": strconv.FormatInt(s.segmentBytes(), 10),
		// Outbox positions are group offsets of groups without members; the default would forget them after a week (I8).
		"offsets.retention.minutes": strconv.Itoa(10 * 365 * 24 * 60),
		"message.max.bytes":         strconv.Itoa(maxBatchBytes),
	}
}

// start makes the topics and starts the retention goroutine.
func (b *Broker) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	settings := b.Settings()
	settings.ClientID = "dashi-broker"
	client, err := settings.client()
	if err != nil {
		return err
	}
	admin := kadm.NewClient(client)
	topics := append([]Topic(nil), b.settings.Topics...)
	for i := range topics {
		if topics[i].Partitions == 0 {
			topics[i].Partitions = b.settings.Partitions
		}
	}
	if err := makeTopics(ctx, &settings, admin, topics); err != nil {
		client.Close()
		return err
	}
	run, stop := context.WithCancel(context.Background())
	b.stop = stop
	go func() {
		defer close(b.done)
		defer client.Close()
		b.retain(run, admin)
	}()
	return nil
}

// Addr is the address that clients connect to.
func (b *Broker) Addr() string { return b.addr }

// Settings for clients of this broker in this process: they do not go through the network.
func (b *Broker) Settings() Settings {
	return Settings{Brokers: []string{b.addr}, Log: b.settings.Log, dial: b.local.dial}
}

// Close stops serving and writes everything out. Close the clients first: they would go on trying.
func (b *Broker) Close() error {
	b.once.Do(func() {
		b.stop()
		<-b.done
		b.cluster.Close()
		b.lock.Close()
	})
	return nil
}

// lockDir keeps two processes from writing the same directory: the kernel drops the lock when its holder dies.
func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open %q: %w", path, err)
	}
	if err := flock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot open the embedded Kafka broker in %q: %w (is another dashi running there?)", dir, ErrDirInUse)
	}
	return &dirLock{f}, nil
}

// dirLock is a directory that is held.
type dirLock struct{ file *os.File }

// Close lets go of the directory. Closing the file alone would not while a child process has it open too, as every child does from its fork to its exec.
func (l *dirLock) Close() error { return errors.Join(funlock(l.file), l.file.Close()) }

// brokerLogger passes the broker's warnings on; it has no others that a person could act on.
type brokerLogger struct{ log *slog.Logger }

// slowTransaction begins a warning about every transaction that took more than 5 ms: on a busy laptop that is many of them, and no trouble.
const slowTransaction = "txn: EndTxn slow"

func (l brokerLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	if level <= kfake.LogLevelWarn && !strings.HasPrefix(format, slowTransaction) {
		to = slog.LevelWarn
	}
	if l.log.Enabled(context.Background(), to) {
		l.log.Log(context.Background(), to, "kafka broker: "+fmt.Sprintf(format, args...))
	}
}

var _ io.Closer = (*Broker)(nil)
