package kafka

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// History calls fn for each record that the topic holds at the time of the call, in order within each partition, and returns when
// it has seen all of them or fn returns an error. It commits nothing, and reads only what was committed by its writer. The
// record aliases the fetch like those of a Source.
func History(ctx context.Context, settings Settings, topic string, fn func(partition int32, r *Record) error) error {
	return readHistory(ctx, settings, topic, TailFrom{Start: true}, (*kadm.Client).ListCommittedOffsets, fn)
}

// HistorySince is History from an instant on, or from the start. It waits for transactions that are open at the call to end: until then brokers do not
// show what others have committed behind the first record of one.
func HistorySince(ctx context.Context, settings Settings, topic string, from TailFrom, fn func(partition int32, r *Record) error) error {
	return readHistory(ctx, settings, topic, from, (*kadm.Client).ListEndOffsets, fn)
}

// listOffsets is a function of the client that finds the beginnings or the ends of topics.
type listOffsets func(admin *kadm.Client, ctx context.Context, topics ...string) (kadm.ListedOffsets, error)

func readHistory(ctx context.Context, settings Settings, topic string, from TailFrom, ends listOffsets, fn func(partition int32, r *Record) error) error {
	start := kgo.NewOffset().AtStart()
	if !from.Start {
		start = kgo.NewOffset().AfterMilli(firstMilli(from.After))
	}
	client, err := settings.client(
		kgo.ConsumeTopics(topic),
		kgo.ConsumeStartOffset(start),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // the last of a partition may be one
	)
	if err != nil {
		return err
	}
	defer client.Close()
	left, err := settings.unread(ctx, client, topic, from, ends)
	if err != nil {
		return err
	}
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, e := range fetches.Errors() {
			if fatal(e.Err) || errors.Is(e.Err, kerr.UnknownTopicID) || errors.Is(e.Err, kerr.InconsistentTopicID) {
				return settings.wrap(e.Err, "read topic %q", topic)
			}
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			end, more := left[r.Partition]
			if !more {
				continue
			}
			if r.Offset >= end-1 {
				delete(left, r.Partition)
			}
			if r.Offset >= end || r.Attrs.IsControl() {
				continue
			}
			record := Record{Offset: r.Offset, Millis: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: r.Headers}
			if err := fn(r.Partition, &record); err != nil {
				return err
			}
		}
	}
	return nil
}

// unread is where each partition of the topic ends that holds anything from its start on.
func (s *Settings) unread(ctx context.Context, client *kgo.Client, topic string, from TailFrom, list listOffsets) (map[int32]int64, error) {
	admin := kadm.NewClient(client)
	starts, err := admin.ListStartOffsets(ctx, topic)
	if !from.Start {
		starts, err = admin.ListOffsetsAfterMilli(ctx, firstMilli(from.After), topic)
	}
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, s.wrap(err, "list start offsets of %q", topic)
	}
	ends, err := list(admin, ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, s.wrap(err, "list end offsets of %q", topic)
	}
	left := map[int32]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		if first, ok := starts.Lookup(topic, end.Partition); ok && first.Offset < end.Offset {
			left[end.Partition] = end.Offset
		}
	})
	return left, nil
}
