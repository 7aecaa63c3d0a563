package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// read polls and hands over until ctx is done or the session must end.
func (s *Source) read(ctx context.Context, client *kgo.Client) error {
	said := time.Time{}
	s.paused = map[string]map[int32]bool{}
	for ctx.Err() == nil {
		s.applyPauses(client)
		s.applySeeks(client)
		fetches := s.poll(ctx, client)
		err := s.handle(ctx, client, fetches)
		client.AllowRebalance()
		switch {
		case err == nil:
		case errors.Is(err, errRecreated), denied(err), fatal(err):
			return err
		case time.Since(said) > logInterval:
			s.log.Warn("kafka: reading goes on after an error", "topics", s.settings.Topics, "error", s.settings.wrap(err, "read"))
			said = time.Now()
		}
	}
	switch err := context.Cause(ctx); {
	case errors.Is(err, errInputs):
		return err
	case errors.Is(err, errRecreated):
		s.log.Warn("kafka: starting over with the new topic", "topics", s.settings.Topics, "error", err)
		return err
	}
	return ctx.Err()
}

// poll waits for records; Seek ends the wait.
func (s *Source) poll(ctx context.Context, client *kgo.Client) kgo.Fetches {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.wake = cancel
	for _, c := range s.claims {
		if c.seek >= 0 { // asked for between applySeeks and here
			cancel()
		}
	}
	s.mu.Unlock()
	return client.PollFetches(ctx)
}

// handle hands every partition of the fetches over. The error is the last that a partition had.
func (s *Source) handle(ctx context.Context, client *kgo.Client, fetches kgo.Fetches) (trouble error) {
	got := false
	for i := range fetches {
		for j := range fetches[i].Topics {
			topic := &fetches[i].Topics[j]
			for k := range topic.Partitions {
				p := &topic.Partitions[k]
				if err := p.Err; err != nil && !errors.Is(err, context.Canceled) {
					if err = s.mend(ctx, client, topic.Topic, p.Partition, err); err != nil {
						trouble = err
					}
				}
				if len(p.Records) > 0 {
					got = true
					s.deliver(ctx, topic.Topic, p)
				}
			}
		}
	}
	switch {
	case trouble != nil:
		s.note(s.settings.wrap(trouble, "read"))
	case got:
		s.recovered()
	}
	return trouble
}

// find returns the claim of a partition that this member reads.
func (s *Source) find(topic string, partition int32) (Stream, *claim) {
	for stream, c := range s.claims {
		if stream.Name == topic && stream.Partition == partition {
			return stream, c
		}
	}
	return Stream{}, nil
}

// deliver hands the records of one partition over, copied into a compact slice of our own, 88 bytes each. (Lending the client a pool
// for its 170-byte ones was measured and saves nothing: giving them back one by one costs what collecting them does.)
func (s *Source) deliver(ctx context.Context, topic string, p *kgo.FetchPartition) {
	s.calls.Lock()
	defer s.calls.Unlock()
	s.mu.Lock()
	stream, c := s.find(topic, p.Partition)
	if c == nil || c.seek >= 0 || c.paused { // revoked meanwhile, or the handler wants to be elsewhere, or wants nothing
		s.mu.Unlock()
		return
	}
	// An unclean leader election can take the log back; what comes then is older than what was handed over.
	first, last := p.Records[0].Offset, p.Records[len(p.Records)-1].Offset
	prev := min(c.next, first) - 1
	c.next = last + 1
	s.mu.Unlock()

	records := s.records[:0]
	for _, r := range p.Records {
		if !r.Attrs.IsControl() {
			records = append(records, Record{Offset: r.Offset, Millis: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: r.Headers})
		}
	}
	s.handler.Records(ctx, stream, prev, last, records)
	clear(records) // otherwise the scratch would keep the last fetch from being collected
	s.records = records
}

// mend deals with an error of one partition, and returns it if it could not.
func (s *Source) mend(ctx context.Context, client *kgo.Client, topic string, partition int32, err error) error {
	var loss *kgo.ErrDataLoss
	switch {
	case errors.Is(err, kerr.OffsetOutOfRange):
		return s.outOfRange(ctx, client, topic, partition)
	case errors.As(err, &loss):
		s.mu.Lock()
		stream, _ := s.find(topic, partition)
		s.mu.Unlock()
		s.tellLost(stream, loss.ResetTo, loss.ConsumedTo)
		return nil
	case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InconsistentTopicID):
		return errRecreated
	}
	return err
}

// outOfRange moves a stream to the nearest offset that the broker has, and tells the handler, and Lost, what that skips.
func (s *Source) outOfRange(ctx context.Context, client *kgo.Client, topic string, partition int32) error {
	admin := kadm.NewClient(client)
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return err
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	start, ok1 := starts.Lookup(topic, partition)
	end, ok2 := ends.Lookup(topic, partition)
	if !ok1 || !ok2 || start.Err != nil || end.Err != nil {
		return kerr.OffsetOutOfRange // asked again with the next poll
	}
	s.calls.Lock()
	defer s.calls.Unlock()
	s.mu.Lock()
	stream, c := s.find(topic, partition)
	if c == nil {
		s.mu.Unlock()
		return nil
	}
	from, to := c.next, start.Offset
	switch {
	case from > end.Offset:
		// The broker ends before what it once served: it has lost acknowledged records. The shards will take the next records at these offsets for
		// ones that they have seen.
		c.next, c.seek = end.Offset, -1
		from, to = end.Offset, from
	case from < start.Offset:
		c.next, c.seek = start.Offset, -1
	default: // in range again
		to = from
	}
	next := c.next
	s.mu.Unlock()
	client.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {partition: {Epoch: -1, Offset: next}}})
	if to == from {
		return nil
	}
	s.report(stream, from, to)
	if to == next {
		s.handler.Records(ctx, stream, from-1, to-1, nil) // the shards' marks pass the hole
	}
	return nil
}

func (s *Source) tellLost(stream Stream, from, to int64) {
	s.calls.Lock()
	defer s.calls.Unlock()
	s.report(stream, from, to)
}

func (s *Source) report(stream Stream, from, to int64) {
	s.log.Error("kafka: records were lost before they were read: is retention too short, or did a broker lose its disk?",
		"stream", stream.String(), "from", from, "to", to)
	if s.settings.Lost != nil {
		s.settings.Lost(stream, from, to)
	}
}

// Seek makes the stream continue at offset: what a shard that answers "gap, resend from mark" needs (offset is mark+1). Records of
// the stream that are on their way are dropped. A stream that is not assigned is left alone.
func (s *Source) Seek(stream Stream, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.claims[stream]
	if c == nil {
		return
	}
	c.seek = max(offset, 0)
	if s.wake != nil {
		s.wake()
	}
}

// applySeeks runs between polls: nothing of the streams is in flight to the handler.
func (s *Source) applySeeks(client *kgo.Client) {
	s.mu.Lock()
	var to map[string]map[int32]kgo.EpochOffset
	for stream, c := range s.claims {
		if c.seek < 0 {
			continue
		}
		if to == nil {
			to = make(map[string]map[int32]kgo.EpochOffset)
		}
		if to[stream.Name] == nil {
			to[stream.Name] = make(map[int32]kgo.EpochOffset)
		}
		to[stream.Name][stream.Partition] = kgo.EpochOffset{Epoch: -1, Offset: c.seek}
		c.next, c.seek = c.seek, -1
	}
	s.mu.Unlock()
	client.SetOffsets(to)
}

// Pause makes the stream stay where it is until Resume: nothing more is fetched, and what is on its way is dropped.
func (s *Source) Pause(stream Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.claims[stream]; c != nil {
		c.paused = true
	}
}

// Resume makes the stream continue at offset. See Seek.
func (s *Source) Resume(stream Stream, offset int64) {
	s.mu.Lock()
	if c := s.claims[stream]; c != nil {
		c.paused = false
	}
	s.mu.Unlock()
	s.Seek(stream, offset)
}

// applyPauses tells the client what to fetch and what not to, where that has changed. It remembers for itself what was paused when a partition is lost.
func (s *Source) applyPauses(client *kgo.Client) {
	pause, resume := map[string][]int32{}, map[string][]int32{}
	s.mu.Lock()
	want := map[string]map[int32]bool{}
	for stream, c := range s.claims {
		if !c.paused {
			continue
		}
		if want[stream.Name] == nil {
			want[stream.Name] = map[int32]bool{}
		}
		want[stream.Name][stream.Partition] = true
		if !s.paused[stream.Name][stream.Partition] {
			pause[stream.Name] = append(pause[stream.Name], stream.Partition)
		}
	}
	s.mu.Unlock()
	for topic, partitions := range s.paused {
		for p := range partitions {
			if !want[topic][p] {
				resume[topic] = append(resume[topic], p)
			}
		}
	}
	if s.paused = want; len(pause) > 0 {
		client.PauseFetchPartitions(pause)
	}
	if len(resume) > 0 {
		client.ResumeFetchPartitions(resume)
	}
}
