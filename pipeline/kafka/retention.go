package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// retentionInterval is how often the embedded broker looks for what may go. At 250 MB/s, the most that was
// measured, a topic overshoots its bound by 2.5 GB at worst.
const retentionInterval = 10 * time.Second

// retain enforces the retention until ctx is done.
//
// The broker underneath has retention settings of its own, which stay unused. It looks at them once an hour. It goes
// by record timestamps, so that a replay of last year's orders would be deleted before it is read. And it may delete every
// record of a partition, which then starts again at offset 0 after a restart: shards would take new records for
// ones that they have seen (I9). So here whole files go, by the time of their last write, and never the last file of
// a partition.
func (b *Broker) retain(ctx context.Context, admin *kadm.Client) {
	tick := time.NewTicker(retentionInterval)
	defer tick.Stop()
	for {
		if err := b.enforce(ctx, admin, b.settings.Retention, time.Now()); err != nil && ctx.Err() == nil {
			b.settings.Log.Warn("kafka broker: cannot delete old records", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// enforce deletes what is too old, or too much, at now.
func (b *Broker) enforce(ctx context.Context, admin *kadm.Client, retention Retention, now time.Time) error {
	partitions, err := listPartitions(b.settings.Dir)
	if err != nil {
		return err
	}
	trim := make(kadm.Offsets)
	for _, part := range expired(partitions, retention, now) {
		trim.AddOffset(part.topic, part.partition, part.segments[0].base, -1)
	}
	if len(trim) == 0 {
		return nil
	}
	deleted, err := admin.DeleteRecords(ctx, trim)
	if err != nil {
		return err
	}
	return deleted.Error()
}

// expired are the partitions some of whose files must go, with the files that stay. The oldest file of a topic goes first,
// whichever partition it is in.
func expired(partitions []partitionFiles, r Retention, now time.Time) (cut []partitionFiles) {
	total := make(map[string]int64)
	for _, p := range partitions {
		for _, s := range p.segments {
			total[p.topic] += s.size
		}
	}
	stay := make([]partitionFiles, len(partitions))
	copy(stay, partitions)
	for {
		oldest := -1
		for i, p := range stay {
			if len(p.segments) < 2 {
				continue
			}
			s := p.segments[0]
			old := r.Age > 0 && now.Sub(s.written) > r.Age
			much := r.Bytes > 0 && total[p.topic] > r.Bytes
			if (old || much) && (oldest < 0 || s.written.Before(stay[oldest].segments[0].written)) {
				oldest = i
			}
		}
		if oldest < 0 {
			break
		}
		p := &stay[oldest]
		total[p.topic] -= p.segments[0].size
		p.segments = p.segments[1:]
	}
	for i := range stay {
		if len(stay[i].segments) < len(partitions[i].segments) {
			cut = append(cut, stay[i])
		}
	}
	return cut
}
