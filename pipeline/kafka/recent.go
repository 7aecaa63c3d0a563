package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Recent calls fn for the records of topics that arrived since an instant, in order within each partition, but for no more than so many in all, shared out
// evenly over the partitions: of a partition that has more it takes the newest. from is the instant from which on nothing was left out: since, or a later
// one if there were too many. Recent commits nothing, and reads only what was committed by its writer. The record aliases the fetch like those of a Source.
func Recent(ctx context.Context, settings Settings, topics []string, since time.Time, most int64, fn func(topic string, partition int32, r *Record)) (from time.Time, err error) {
	client, err := settings.client(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords()) // the last of a partition may be one
	if err != nil {
		return from, err
	}
	defer client.Close()
	windows, err := settings.recent(ctx, client, topics, since, most)
	if err != nil {
		return from, err
	}
	from = since
	starts := map[string]map[int32]kgo.Offset{}
	for s, w := range windows {
		if starts[s.Name] == nil {
			starts[s.Name] = map[int32]kgo.Offset{}
		}
		starts[s.Name][s.Partition] = kgo.NewOffset().At(w.start)
	}
	client.AddConsumePartitions(starts)
	for len(windows) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return from, ctx.Err()
		}
		for _, e := range fetches.Errors() {
			if fatal(e.Err) || errors.Is(e.Err, kerr.UnknownTopicID) || errors.Is(e.Err, kerr.InconsistentTopicID) || errors.Is(e.Err, kerr.OffsetOutOfRange) {
				return from, settings.wrap(e.Err, "read topic %q", e.Topic)
			}
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			s := Stream{Name: r.Topic, Partition: r.Partition}
			w, more := windows[s]
			if !more {
				continue
			}
			if r.Offset >= w.end-1 {
				delete(windows, s)
			}
			if w.cut { // the records before this first one are left out
				if r.Timestamp.After(from) {
					from = r.Timestamp
				}
				w.cut = false
			}
			if r.Offset >= w.end || r.Attrs.IsControl() {
				continue
			}
			record := Record{Offset: r.Offset, Millis: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: r.Headers}
			fn(r.Topic, r.Partition, &record)
		}
	}
	return from, nil
}

// window is what is read of a partition: [start, end). cut says that records before it are left out although they are as new as was asked for.
type window struct {
	start, end int64
	cut        bool
}

// recent finds the windows, by Streams without a topic id, of the partitions that have anything.
func (s *Settings) recent(ctx context.Context, client *kgo.Client, topics []string, since time.Time, most int64) (map[Stream]*window, error) {
	admin := kadm.NewClient(client)
	ends, err := s.endOffsets(ctx, client, topics...)
	if err != nil {
		return nil, err
	}
	oldest, err := admin.ListStartOffsets(ctx, topics...)
	if err == nil {
		err = oldest.Error()
	}
	if err != nil {
		return nil, s.wrap(err, "list start offsets")
	}
	after, err := admin.ListOffsetsAfterMilli(ctx, firstMilli(since), topics...)
	if err == nil {
		err = after.Error()
	}
	if err != nil {
		return nil, s.wrap(err, "list offsets of an instant")
	}
	windows := map[Stream]*window{}
	share := max(most/int64(max(len(ends), 1)), 1)
	for stream, end := range ends {
		first, ok1 := oldest.Lookup(stream.Name, stream.Partition)
		asked, ok2 := after.Lookup(stream.Name, stream.Partition)
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("partition %d of topic %q came into being just now", stream.Partition, stream.Name)
		}
		w := &window{start: max(first.Offset, asked.Offset), end: end}
		if w.end-w.start > share {
			w.start, w.cut = w.end-share, true
		}
		if w.start < w.end {
			windows[Stream{Name: stream.Name, Partition: stream.Partition}] = w
		}
	}
	return windows, nil
}
