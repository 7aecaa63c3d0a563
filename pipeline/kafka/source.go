package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// SourceSettings are the settings of one node's intake.
type SourceSettings struct {
	Settings
	Group  string   // consumer group; one per cluster
	Topics []string // input topics; partitions that are added to one are read some seconds later

	// Create are topics that are made if they are missing. A topic of Topics that does not exist and is not in Create is waited for, with a log line.
	Create []Topic

	// InstanceID makes this node a static member: it comes back after a restart to the partitions it had, without a
	// rebalance. Empty for a plain member, which leaves the group when it closes.
	InstanceID string

	// Lost is told that the broker deleted the offsets [from, to) of a stream before they were read: retention was
	// too short, or the broker lost data. The log has been told. Called like the Handler; may be nil.
	Lost func(s Stream, from, to int64)

	// Since is where a partition begins for which the group has no offset: with the first record of this time or later, which may be one that is still to
	// come; zero: with the oldest.
	Since time.Time

	SessionTimeout time.Duration // a node that is silent for so long loses its partitions; DefaultSessionTimeout when 0
	CommitInterval time.Duration // how often offsets are committed; DefaultCommitInterval when 0
	FetchBytes     int32         // of one partition; DefaultFetchBytes when 0
}

// Defaults of SourceSettings.
const (
	DefaultSessionTimeout = 10 * time.Second
	DefaultCommitInterval = time.Second
	DefaultFetchBytes     = 1 << 20
)

// fetchBytes bounds a fetch in partitions of DefaultFetchBytes each. Twice as much a partition is no quicker and allocates a fifth more
// (505-byte records, 8 partitions), and what is fetched ahead is memory.
const fetchBytes = 16

// Source reads input topics as a member of a consumer group, and commits only what it is told to.
//
// Run does the reading and calls the Handler; Commit, Seek, EndOffsets and Status are safe to call from
// anywhere, also from within the Handler.
type Source struct {
	settings SourceSettings
	handler  Handler
	log      *slog.Logger

	calls sync.Mutex // held around every call of the handler

	mu      sync.Mutex // guards what follows
	client  *kgo.Client
	topics  []string // those of the settings that can be read, and are
	claims  map[Stream]*claim
	wake    context.CancelFunc // ends the poll that is under way
	first   chan struct{}      // has a token when a stream of which nothing is committed has something to commit
	trouble error              // why nothing is read, or else held; nil when all is well
	held    error              // why not all topics of the settings are read
	failed  time.Time          // when trouble was last met
	told    string             // the trouble that was logged last; empty: none, or it was logged that it is over

	paused  map[string]map[int32]bool // what the client has been told not to fetch; used by read only
	records []Record                  // scratch of deliver
}

// claim is a stream that this member reads.
type claim struct {
	next      int64 // offset after the last one handed over
	seek      int64 // where the handler wants to be, or -1
	paused    bool  // the handler wants nothing for now
	commit    int64 // what the handler asked to commit, next to read; -1 for nothing
	committed int64 // what the broker has acknowledged; -1 when unknown
}

// errRecreated ends a session of the client: a topic that it reads has a new id.
var errRecreated = errors.New("topic was deleted or made again")

// errInputs ends a session of the client: other input topics can be read than it reads.
var errInputs = errors.New("other topics can be read")

// NewSource checks the settings. It does not talk to the brokers: Run does.
func NewSource(settings SourceSettings, handler Handler) (*Source, error) {
	if settings.Group == "" || len(settings.Topics) == 0 {
		return nil, errors.New("cannot read from Kafka: a consumer group and at least one topic are needed")
	}
	if settings.SessionTimeout == 0 {
		settings.SessionTimeout = DefaultSessionTimeout
	}
	if settings.CommitInterval == 0 {
		settings.CommitInterval = DefaultCommitInterval
	}
	if settings.FetchBytes == 0 {
		settings.FetchBytes = DefaultFetchBytes
	}
	if _, err := settings.options(); err != nil {
		return nil, err
	}
	settings.grant = fmt.Sprintf("Read and Describe on topic %s, and Read on group %q", quoted(settings.Topics), settings.Group)
	return &Source{settings: settings, handler: handler, log: settings.logger(), claims: make(map[Stream]*claim), first: make(chan struct{}, 1)}, nil
}

// Run reads until ctx is done, then hands the streams back (Revoked), commits what was asked for, leaves the
// group and returns nil. Brokers that are down, topics that are missing and rights that the Kafka user lacks are waited for while the other topics
// are read: Status and the log say so. Another error means that no retry can help: no such group protocol, another member with this id.
func (s *Source) Run(ctx context.Context) error {
	for {
		err := s.session(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errRecreated), errors.Is(err, errInputs):
			continue
		case denied(err):
			s.fail(s.settings.wrap(err, "read topics %q as group %q", s.settings.Topics, s.settings.Group))
			select {
			case <-ctx.Done():
			case <-time.After(deniedInterval):
			}
		case err != nil:
			return s.settings.wrap(err, "read topics %q as group %q", s.settings.Topics, s.settings.Group)
		}
	}
}

// session is the life of one client. A client never reads a second incarnation of a topic, so it ends when one
// appears and the next session starts with the new ids: plain, and it happens a few times in a cluster's life.
func (s *Source) session(ctx context.Context) error {
	asking, err := s.settings.client()
	if err != nil {
		return err
	}
	defer asking.Close()
	topics, known, err := s.awaitTopics(ctx, asking)
	if err != nil {
		return err
	}

	s.mu.Lock() // the client begins at once, and assigned must not run before s.client is set
	client, err := s.settings.client(
		kgo.ConsumerGroup(s.settings.Group),
		kgo.ConsumeTopics(topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(s.settings.SessionTimeout),
		kgo.HeartbeatInterval(s.settings.SessionTimeout/4),
		kgo.RebalanceTimeout(2*s.settings.SessionTimeout), // a member that died holds all others up for no longer
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // otherwise a marker at the end of a partition would look like lag for ever
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(fetchBytes*s.settings.FetchBytes),
		kgo.FetchMaxPartitionBytes(s.settings.FetchBytes),
		kgo.FetchMaxWait(time.Second),
		kgo.MetadataMaxAge(30*time.Second),
		kgo.AdjustFetchOffsetsFn(s.assigned),
		kgo.OnPartitionsRevoked(s.revoked),
		kgo.OnPartitionsLost(s.lost),
		instance(s.settings.InstanceID),
	)
	s.client, s.topics = client, topics
	s.mu.Unlock()
	if err != nil {
		return err
	}
	defer s.endSession(client)

	ctx, stop := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	running.Go(func() { s.commitLoop(ctx, client) })
	running.Go(func() { s.watchTopics(ctx, asking, client, known, stop) })
	err = s.read(ctx, client)
	stop(nil)
	running.Wait()
	return err
}

func (s *Source) endSession(client *kgo.Client) {
	client.CloseAllowingRebalance() // calls revoked, which commits
	s.mu.Lock()
	s.client = nil
	var left []Stream
	for stream := range s.claims {
		left = append(left, stream)
	}
	s.mu.Unlock()
	s.release(left) // claims that are left because the group was not joined again after an error
}

func instance(id string) kgo.Opt {
	if id == "" {
		return kgo.Rack("") // the default: no option is not an option
	}
	return kgo.InstanceID(id)
}

// Status is what this member reads, the offset after the last record that it handed over for each stream, and the
// trouble that it has, if any.
func (s *Source) Status() (next map[Stream]int64, trouble error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next = make(map[Stream]int64, len(s.claims))
	for stream, c := range s.claims {
		next[stream] = c.next
	}
	return next, s.trouble
}

// Committed is for how many of the streams that this member reads it has committed an offset since it reads them.
func (s *Source) Committed() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.claims {
		if c.committed >= 0 {
			n++
		}
	}
	return n
}

// EndOffsets is, for every partition of the input topics that can be read, whoever reads it, the offset that the next readable record will have:
// a stream has been read to its end when next equals it. It fails when Run is not running.
func (s *Source) EndOffsets(ctx context.Context) (map[Stream]int64, error) {
	s.mu.Lock()
	client, topics := s.client, s.topics
	s.mu.Unlock()
	if client == nil {
		return nil, errors.New("cannot list end offsets: the source is not running")
	}
	return s.settings.endOffsets(ctx, client, topics...)
}

// Lag is how many records of the topics the group has not committed, whoever reads them: it asks the brokers. A partition that the group has never
// committed does not count.
func (s *Source) Lag(ctx context.Context) (int64, error) {
	ends, err := s.EndOffsets(ctx)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	if client == nil {
		return 0, errors.New("cannot list committed offsets: the source is not running")
	}
	commits, err := kadm.NewClient(client).FetchOffsets(ctx, s.settings.Group)
	if err != nil {
		return 0, s.settings.wrap(err, "list offsets of group %q", s.settings.Group)
	}
	lag := int64(0)
	for stream, end := range ends {
		if c, ok := commits.Lookup(stream.Name, stream.Partition); ok && c.Err == nil && c.At >= 0 && ours(c.Metadata, stream.Topic) {
			lag += max(end-c.At, 0)
		}
	}
	return lag, nil
}
