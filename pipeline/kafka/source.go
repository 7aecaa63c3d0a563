package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// SourceSettings are those of one node's intake.
type SourceSettings struct {
	Settings
	Group  string   // consumer group; one per cluster
	Topics []string // input topics; partitions that are added to one are read some seconds later

	// Create makes the topics of this list that are missing. A topic of Topics that is in neither place is
	// waited for, with a log line.
	Create []Topic

	// InstanceID makes this node a static member: it comes back after a restart to the partitions it had, without a
	// rebalance. Empty for a plain member, which leaves the group when it closes.
	InstanceID string

	// Lost is told that the broker deleted the offsets [from, to) of a stream before they were read: retention was
	// too short, or the broker lost data. The log has been told. Called like the Handler; may be nil.
	Lost func(s Stream, from, to int64)

	// Since, unless zero, makes a partition of which the group has no offset begin with the first record of this time or later, which may be one
	// that is still to come; else it begins with the oldest.
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
	claims  map[Stream]*claim
	wake    context.CancelFunc // ends the poll that is under way
	first   chan struct{}      // has a token when a stream of which nothing is committed has something to commit
	trouble error              // why nothing is read; nil when all is well
	failed  time.Time          // when trouble was last met
	told    string             // the trouble that the log has been told of; empty: none, or that it is over

	paused  map[string]map[int32]bool // what the client has been told not to fetch; read's alone
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

// errAwaited ends a session whose topics had to be waited for: its client would look for them again in half a minute, and has errors from before to tell.
var errAwaited = errors.New("topics were waited for")

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
// group and returns nil. Brokers that are down, topics that are missing and rights that the Kafka user lacks are waited for: Status and the log
// say so. Another error means that no retry can help: no such group protocol, another member with this id.
func (s *Source) Run(ctx context.Context) error {
	for {
		err := s.session(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errRecreated), errors.Is(err, errAwaited):
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
	s.mu.Lock() // the client begins at once: assigned must not run before it is known
	client, err := s.settings.client(
		kgo.ConsumerGroup(s.settings.Group),
		kgo.ConsumeTopics(s.settings.Topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(s.settings.SessionTimeout),
		kgo.HeartbeatInterval(s.settings.SessionTimeout/4),
		kgo.RebalanceTimeout(2*s.settings.SessionTimeout), // a member that died holds all others up for no longer
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // or the offset of a marker at the end of a partition would look like lag for ever
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
	s.client = client
	s.mu.Unlock()
	if err != nil {
		return err
	}
	defer s.endSession(client)

	if err := s.awaitTopics(ctx, client); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	running.Go(func() { s.commitLoop(ctx, client) })
	running.Go(func() { s.watchTopics(ctx, client, stop) })
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
	s.release(left) // of a group that was never joined again after an error
}

func instance(id string) kgo.Opt {
	if id == "" {
		return kgo.Rack("") // the default: no option is not an option
	}
	return kgo.InstanceID(id)
}

// awaitTopics returns when the topics exist, and the Kafka user may see them; if it had to wait, with errAwaited.
func (s *Source) awaitTopics(ctx context.Context, client *kgo.Client) error {
	admin := kadm.NewClient(client)
	for waited := false; ; waited = true {
		missing, err := s.missing(ctx, admin)
		if err == nil && len(missing) == 0 {
			if waited {
				s.recovered()
				return errAwaited
			}
			return nil
		}
		if err == nil {
			err = &missingTopic{missing[0], s.settings.at()}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if fatal(err) {
			return err
		}
		s.fail(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(topicInterval):
		}
	}
}

const (
	logInterval   = 30 * time.Second // between log lines about the same trouble, when it goes on beside others
	topicInterval = 250 * time.Millisecond
	watchInterval = 2 * time.Second // one small metadata request
	watchTimeout  = 5 * time.Second // without an answer for so long the brokers are away

	// A right that is lacking shows at once, and again with every session: one that begins every five seconds is no load, and a trouble that did not
	// show for as long is over.
	deniedInterval  = 5 * time.Second
	troubleInterval = 5 * time.Second
)

// watchTopics ends the session when a topic has another id than the streams that are read, is gone, or may not be seen any more: the client itself
// waits for ever for the old one to come back. It also waits for brokers without a word, so this is what notices that they are away, and it looks for
// added partitions twice a minute only, so this is what has it look at once.
func (s *Source) watchTopics(ctx context.Context, client *kgo.Client, stop context.CancelCauseFunc) {
	admin := kadm.NewClient(client)
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	gone, away := 0, false
	partitions := map[string]int{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ask, cancel := context.WithTimeout(ctx, watchTimeout)
		details, err := admin.ListTopics(ask, s.settings.Topics...)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				s.fail(s.settings.wrap(err, "list topics"))
				away = true
			}
			continue
		}
		for name, d := range details {
			if denied(d.Err) {
				stop(d.Err)
			}
			if n := len(d.Partitions); d.Err == nil && n != partitions[name] {
				if partitions[name] > 0 {
					client.ForceMetadataRefresh()
				}
				partitions[name] = n
			}
		}
		s.mu.Lock()
		over := s.trouble != nil && (away || time.Since(s.failed) > troubleInterval)
		s.mu.Unlock()
		if over {
			s.recovered()
		}
		away = false
		missing := false
		s.mu.Lock()
		for stream := range s.claims {
			d, ok := details[stream.Name]
			switch {
			case !ok || errors.Is(d.Err, kerr.UnknownTopicOrPartition):
				missing = true
			case d.Err == nil && [16]byte(d.ID) != stream.Topic:
				stop(fmt.Errorf("%w: %q", errRecreated, stream.Name))
			}
		}
		s.mu.Unlock()
		// A broker that has just started may not know every topic yet: once is not gone.
		if gone++; !missing {
			gone = 0
		} else if gone == 2 {
			stop(errRecreated)
		}
	}
}

func (s *Source) missing(ctx context.Context, admin *kadm.Client) ([]string, error) {
	if err := makeTopics(ctx, &s.settings.Settings, admin, s.settings.Create); err != nil {
		return nil, err
	}
	details, err := admin.ListTopics(ctx, s.settings.Topics...)
	if err != nil {
		return nil, s.settings.wrap(err, "list topics")
	}
	var missing []string
	for _, name := range s.settings.Topics {
		d, ok := details[name]
		switch {
		case !ok || errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			missing = append(missing, name)
		case d.Err != nil:
			return nil, s.settings.wrap(d.Err, "describe topic %q", name)
		}
	}
	return missing, nil
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

// Committed is of how many streams that this member reads it has committed an offset since it reads them.
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

// EndOffsets is, for every partition of the input topics, whoever reads it, the offset that the next readable record will have:
// a stream has been read to its end when next equals it. It fails when Run is not running.
func (s *Source) EndOffsets(ctx context.Context) (map[Stream]int64, error) {
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	if client == nil {
		return nil, errors.New("cannot list end offsets: the source is not running")
	}
	return s.settings.endOffsets(ctx, client, s.settings.Topics...)
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
