package httpapi

import (
	"net"
	"time"
)

// Settings of the interface. Zero fields have their defaults.
type Settings struct {
	WriteKeys []string // those that may send events; none: everyone may
	// Key returns the partition key of a message, appended to dst, or nothing. nil: userId, else anonymousId.
	Key    func(dst, message []byte) []byte
	Keys   *Keyring         // as in Door: an answer that goes on for long ends when the key that let it in is taken away; nil: none does
	Now    func() time.Time // nil: time.Now
	NewID  func() string    // for events without a messageId; nil: 128 random bits
	Limits Limits
	Count  func(Count, int64) // called for what happened, for metrics; nil: nobody counts
}

// Door is who may ask a server.
type Door struct {
	Listen net.Addr // where it listens
	Names  []string // that it is called by besides: see ownHosts
	Keys   *Keyring // nil: everybody may
}

// Limits bound what clients may use.
type Limits struct {
	BodyBytes     int           // of a body of events, after decompression
	EventBytes    int           // of one event; beyond it, alone it is refused, in a batch it is dead-lettered
	BatchEvents   int           // of one batch
	InFlightBytes int64         // of all bodies of events that wait for Kafka
	QueryBytes    int           // of a body that asks
	BatchGet      int           // ids of one batchGet
	QueryLimit    int           // profiles in one sample
	QueryTime     time.Duration // of one query: after it nobody would be told the answer
	Queue         int           // activations that wait for one stream; one more and it ends
	Streams       int64         // at once
	Heartbeat     time.Duration // of a stream
	Write         time.Duration // that a client may take to read a part of a streamed answer
	IdleWait      time.Duration // the most that ?timeout= may ask for
	ProduceWait   time.Duration // for Kafka to acknowledge, before the client is told to try again
}

// DefaultLimits: Segment's batches have at most 500 KB and RudderStack's 4 MB.
var DefaultLimits = Limits{
	BodyBytes:     5 << 20,
	EventBytes:    900 << 10, // a record with its key and headers has to fit into 1 MiB
	BatchEvents:   10_000,    // an empty event has 2 bytes and costs a record: 5 MB of them would be 2 million
	InFlightBytes: 128 << 20,
	QueryBytes:    1 << 20,
	BatchGet:      1000,
	QueryLimit:    1000,
	QueryTime:     time.Minute, // the server's own limit of writing is not much more
	Queue:         1024,
	Streams:       1000,
	Heartbeat:     15 * time.Second, // proxies close what is silent for 30 to 60 s
	Write:         30 * time.Second,
	IdleWait:      30 * time.Minute,
	ProduceWait:   30 * time.Second,
}

// Count names something that happened.
type Count string

// The things that are counted.
const (
	EventsIn      Count = "events_in"      // acknowledged
	EventBytesIn  Count = "event_bytes_in" // of those, as sent to Kafka
	EventsTooLong Count = "events_too_large"
	Refused       Count = "bodies_refused" // 400 and 401
	PushedBack    Count = "bodies_pushed_back"
	SlowStreams   Count = "streams_too_slow"
	Pushed        Count = "activations_streamed"
	Lookups       Count = "lookups" // profiles that were asked for, whether there or not
)

func (l Limits) withDefaults() Limits {
	d := DefaultLimits
	fill(&l.BodyBytes, d.BodyBytes)
	fill(&l.EventBytes, d.EventBytes)
	fill(&l.BatchEvents, d.BatchEvents)
	fill(&l.InFlightBytes, d.InFlightBytes)
	fill(&l.QueryBytes, d.QueryBytes)
	fill(&l.BatchGet, d.BatchGet)
	fill(&l.QueryLimit, d.QueryLimit)
	fill(&l.QueryTime, d.QueryTime)
	fill(&l.Queue, d.Queue)
	fill(&l.Streams, d.Streams)
	fill(&l.Heartbeat, d.Heartbeat)
	fill(&l.Write, d.Write)
	fill(&l.IdleWait, d.IdleWait)
	fill(&l.ProduceWait, d.ProduceWait)
	return l
}

func fill[T int | int64 | time.Duration](have *T, def T) {
	if *have <= 0 {
		*have = def
	}
}
