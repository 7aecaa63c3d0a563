package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TailFrom says where Tail and HistorySince begin.
type TailFrom struct {
	Start bool      // with the oldest record
	After time.Time // with the first record of this time or later; zero, without Start: what is written from now on
}

// firstMilli is t as Kafka is asked for the first record of that time or later. There is none before 1970, and the numbers below zero ask for something else:
// -1 for the end of a partition.
func firstMilli(t time.Time) int64 { return max(t.UnixMilli(), 0) }

// Tail calls fn for each record of the topic, in order within each partition, until ctx is done (it then returns
// nil) or fn returns an error (it returns that). It commits nothing, and reads only what was committed by its writer.
// A topic that does not exist yet is waited for. The record aliases the fetch like those of a Source.
func Tail(ctx context.Context, settings Settings, topic string, from TailFrom, fn func(partition int32, r *Record) error) error {
	start := kgo.NewOffset().AtEnd()
	switch {
	case from.Start:
		start = kgo.NewOffset().AtStart()
	case !from.After.IsZero():
		start = kgo.NewOffset().AfterMilli(firstMilli(from.After))
	}
	for {
		err := tail(ctx, &settings, topic, start, fn)
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, errRecreated) {
			return err
		}
		start = kgo.NewOffset().AtStart() // all of the new topic is new
	}
}

func tail(ctx context.Context, settings *Settings, topic string, start kgo.Offset, fn func(int32, *Record) error) error {
	client, err := settings.client(
		kgo.ConsumeTopics(topic),
		kgo.ConsumeStartOffset(start),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxPartitionBytes(1<<20),
		kgo.FetchMaxWait(time.Second),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, e := range fetches.Errors() {
			switch {
			case errors.Is(e.Err, kerr.UnknownTopicID), errors.Is(e.Err, kerr.InconsistentTopicID):
				return errRecreated
			case fatal(e.Err):
				return settings.wrap(e.Err, "read topic %q", topic)
			}
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			record := Record{Offset: r.Offset, Millis: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: r.Headers}
			if err := fn(r.Partition, &record); err != nil {
				return err
			}
		}
	}
}
