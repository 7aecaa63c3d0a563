package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"dashi/pipeline/kafka"
	"dashi/pipeline/say"
)

// Source is what a Sink needs of the source that it reads from: a kafka.Source.
type Source interface {
	Run(ctx context.Context) error
	Commit(s kafka.Stream, next int64)
	Pause(s kafka.Stream)
	Resume(s kafka.Stream, offset int64)
	Status() (next map[kafka.Stream]int64, trouble error)
	Lag(ctx context.Context) (int64, error)
	Committed() int
}

// Dead is where activations go that the endpoint does not take: a kafka.DeadLetters.
type Dead interface {
	Write(ctx context.Context, letters []kafka.DeadLetter) error
}

// Sink is one endpoint, and the partitions of the activations that this node posts to it. It is the Handler of its source.
type Sink struct {
	settings Settings
	source   Source
	dead     Dead
	client   *http.Client
	log      *slog.Logger
	group    string

	mu     sync.Mutex
	queues map[kafka.Stream]*running

	until      atomic.Int64 // Unix nanoseconds until which the endpoint wants to be left alone
	requests   atomic.Uint64
	retries    atomic.Uint64
	sent       atomic.Uint64
	buried     atomic.Uint64
	lost       atomic.Uint64
	lostAt     atomic.Int64 // when it was last found out, in Unix nanoseconds
	busy       atomic.Int64 // nanoseconds of all requests together
	lag        atomic.Int64
	unreadable atomic.Pointer[string] // why the topic cannot be read
}

// running is a queue and what ends its request.
type running struct {
	*queue
	cancel context.CancelFunc
}

// From is where a Sink reads.
type From struct {
	Kafka      kafka.Settings
	Topic      string
	Cluster    string // begins the name of the consumer group
	InstanceID string // see kafka.SourceSettings
	// SessionTimeout: see kafka.SourceSettings.
	SessionTimeout time.Duration
	// Oldest makes a new endpoint begin with the oldest activation that Kafka has; else it begins with those of now.
	Oldest bool
}

// Group is the consumer group of an endpoint.
func Group(cluster, name string) string { return cluster + ".webhook." + name }

// Open makes a Sink. It talks to nobody: Run does. The settings have passed Check.
func Open(settings Settings, from From, dead Dead) (*Sink, error) {
	s := newSink(settings, dead, from.Kafka.Log)
	s.group = Group(from.Cluster, settings.Name)
	in := kafka.SourceSettings{
		Settings: from.Kafka, Group: s.group, Topics: []string{from.Topic}, InstanceID: from.InstanceID, SessionTimeout: from.SessionTimeout,
		Lost: s.tellLost, FetchBytes: fetchBytes,
	}
	if !from.Oldest {
		in.Since = time.Now()
	}
	source, err := kafka.NewSource(in, s)
	s.source = source
	return s, err
}

func newSink(settings Settings, dead Dead, log *slog.Logger) *Sink {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	// A transport of its own: what hangs at one endpoint uses up nothing of another.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64 // one for each partition that is posted at once, of the largest topics that one meets
	return &Sink{
		settings: settings.withDefaults(), dead: dead, log: log, queues: map[kafka.Stream]*running{},
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// sourceRetry is the pause after an error of Kafka that the source does not wait out itself; lagInterval is how often Kafka is asked how much is left.
const (
	sourceRetry = 5 * time.Second
	lagInterval = 2 * time.Second
)

// Run reads and posts until ctx is done. Nothing that goes wrong with the endpoint or its group ends it.
func (s *Sink) Run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { s.watchLag(ctx) })
	for ctx.Err() == nil {
		err := s.source.Run(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		text := err.Error()
		if s.unreadable.Swap(&text) == nil {
			s.log.Error("webhook: activations cannot be read", "webhook", s.settings.Name, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(sourceRetry):
			s.unreadable.Store(nil)
		}
	}
}

func (s *Sink) watchLag(ctx context.Context) {
	tick := time.NewTicker(lagInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ask, cancel := context.WithTimeout(ctx, lagInterval)
		if lag, err := s.source.Lag(ask); err == nil {
			s.lag.Store(lag)
		}
		cancel()
	}
}

// Assigned begins with partitions. Where each begins is committed at once: for a new endpoint it is decided here, and must not be decided anew.
func (s *Sink) Assigned(streams []kafka.Stream, next []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, stream := range streams {
		ctx, cancel := context.WithCancel(context.Background()) // it ends with the partition: see Revoked
		q := newQueue(s, stream, next[i])
		s.queues[stream] = &running{q, cancel}
		s.source.Commit(stream, next[i])
		go q.run(ctx)
	}
}

// Revoked ends partitions. Requests that are under way may be answered for a little longer.
func (s *Sink) Revoked(streams []kafka.Stream) {
	var ending []*running
	s.mu.Lock()
	for _, stream := range streams {
		if r := s.queues[stream]; r != nil {
			ending = append(ending, r)
			close(r.quit)
			delete(s.queues, stream)
		}
	}
	s.mu.Unlock()
	patience, stop := context.WithTimeout(context.Background(), stopPatience)
	defer stop()
	for _, r := range ending {
		select {
		case <-r.ended:
		case <-patience.Done():
		}
		r.cancel()
		<-r.ended
	}
}

// Records is what kafka.Handler says. It never blocks: a queue that is full is not fetched.
func (s *Sink) Records(_ context.Context, stream kafka.Stream, _, last int64, records []kafka.Record) {
	s.mu.Lock()
	r := s.queues[stream]
	s.mu.Unlock()
	if r != nil {
		r.put(last, records)
	}
}

func (s *Sink) tellLost(_ kafka.Stream, from, to int64) {
	s.lost.Add(uint64(to - from))
	s.lostAt.Store(time.Now().UnixNano())
}

// leaveAlone keeps all partitions from posting for a while.
func (s *Sink) leaveAlone(d time.Duration) {
	until := time.Now().Add(d).UnixNano()
	for was := s.until.Load(); was < until && !s.until.CompareAndSwap(was, until); was = s.until.Load() {
	}
}

// quiet is how much longer the endpoint wants to be left alone.
func (s *Sink) quiet() time.Duration { return time.Until(time.Unix(0, s.until.Load())) }

// Status is how an endpoint is doing. Counts are of this node since its start; Lag is of the whole endpoint, Waiting of this moment.
type Status struct {
	Name     string    `json:"name"`
	URL      string    `json:"url"`        // without user and query
	Group    string    `json:"group"`      // in Kafka
	Lag      int64     `json:"lag"`        // records of the topic that the endpoint is behind, by what Kafka says of all nodes
	Streams  int       `json:"partitions"` // that this node posts, and of which Kafka knows where the endpoint is
	Waiting  int       `json:"waiting"`    // activations in the memory of this node
	Sent     uint64    `json:"sent"`       // activations that were taken
	Requests uint64    `json:"requests"`
	Retries  uint64    `json:"retries"`          // requests that will be tried again, or were
	Dead     uint64    `json:"dead"`             // activations that went to the dead topic
	Lost     uint64    `json:"lost"`             // records that Kafka deleted before they were read
	LostAt   time.Time `json:"lost_at,omitzero"` // when that was last found out
	Seconds  float64   `json:"request_seconds"`
	Trouble  string    `json:"trouble,omitempty"`
}

// troubleAfter is how long an endpoint may fail before the status says so.
const troubleAfter = 5 * time.Second

// Status says how the endpoint is doing.
func (s *Sink) Status() Status {
	st := Status{
		Name: s.settings.Name, URL: redact(s.settings.URL), Group: s.group, Lag: s.lag.Load(), Sent: s.sent.Load(), Requests: s.requests.Load(),
		Retries: s.retries.Load(), Dead: s.buried.Load(), Lost: s.lost.Load(), Seconds: time.Duration(s.busy.Load()).Seconds(),
	}
	if at := s.lostAt.Load(); at != 0 {
		st.LostAt = time.Unix(0, at).UTC()
	}
	var worst *failure
	s.mu.Lock()
	st.Streams = min(len(s.queues), s.source.Committed())
	for _, r := range s.queues {
		r.mu.Lock()
		st.Waiting += len(r.items)
		r.mu.Unlock()
		if f := r.failing.Load(); f != nil && (worst == nil || f.since.Before(worst.since)) {
			worst = f
		}
	}
	s.mu.Unlock()
	text := s.unreadable.Load()
	if _, err := s.source.Status(); err != nil { // it waits
		why := err.Error()
		text = &why
	}
	switch {
	case text != nil:
		st.Trouble = "because the activations cannot be read: " + *text
	case worst != nil && time.Since(worst.since) > troubleAfter:
		st.Trouble = fmt.Sprintf("for %s: %s", say.Span(time.Since(worst.since).Round(time.Second)), worst.text)
	}
	return st
}
