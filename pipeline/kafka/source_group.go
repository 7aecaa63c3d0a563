package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// assigned finds out where each new partition starts, and tells the handler.
//
// The offset that the group has may be of an earlier incarnation of the topic: brokers before 4.2 commit by
// name only, and a commit on its way while the topic is deleted lands on the new one. The metadata of each
// of our commits therefore names the topic id, and a commit of another id does not count (I4).
func (s *Source) assigned(ctx context.Context, fetched map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	if client == nil {
		return nil, kgo.ErrClientClosed
	}
	admin := kadm.NewClient(client)
	topics := make([]string, 0, len(fetched))
	for topic := range fetched {
		topics = append(topics, topic)
	}
	details, err := admin.ListTopics(ctx, topics...)
	if err != nil {
		return nil, err
	}
	commits, err := admin.FetchOffsets(ctx, s.settings.Group)
	if err != nil {
		return nil, err
	}
	starts, err := admin.ListStartOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	first := starts
	if !s.settings.Since.IsZero() {
		if first, err = admin.ListOffsetsAfterMilli(ctx, firstMilli(s.settings.Since), topics...); err != nil {
			return nil, err
		}
	}
	begin := beginning{commits, starts, first}
	var streams []Stream
	next := make(map[Stream]int64)
	for topic, partitions := range fetched {
		d, ok := details[topic]
		if !ok || d.Err != nil { // without its id it would look like another topic, and be read from its beginning
			return nil, errors.Join(kerr.UnknownTopicOrPartition, d.Err)
		}
		for partition := range partitions {
			stream := Stream{Topic: d.ID, Name: topic, Partition: partition}
			if next[stream], err = begin.of(stream); err != nil {
				return nil, err
			}
			streams = append(streams, stream)
		}
	}
	for stream, at := range s.claim(streams, next) {
		fetched[stream.Name][stream.Partition] = kgo.NewOffset().At(at)
	}
	return fetched, nil
}

// beginning is what the brokers say of where streams begin.
type beginning struct {
	commits       kadm.OffsetResponses
	starts, first kadm.ListedOffsets // the oldest records, and those from which a stream is read that has no commit
}

// of is the offset of the first record to read of a stream. An error makes the group try again.
func (b beginning) of(stream Stream) (int64, error) {
	from := b.first
	if commit, ok := b.commits.Lookup(stream.Name, stream.Partition); ok && commit.Err == nil && commit.At >= 0 {
		if ours(commit.Metadata, stream.Topic) {
			return commit.At, nil
		}
		from = b.starts // the offset is of another incarnation: everything in this one is new
	}
	start, ok := from.Lookup(stream.Name, stream.Partition)
	if !ok || start.Err != nil {
		return 0, errors.Join(kerr.UnknownTopicOrPartition, start.Err)
	}
	return start.Offset, nil
}

// ours says whether a commit with this metadata counts for the topic with this id. Metadata of another form is another program's, with which someone
// moved the group on purpose: that counts too.
func ours(metadata string, id [16]byte) bool {
	was, ok := strings.CutPrefix(metadata, topicIDPrefix)
	return !ok || was == hex.EncodeToString(id[:])
}

const topicIDPrefix = "topic-id="

func sortStreams(streams []Stream) {
	slices.SortFunc(streams, func(a, b Stream) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return int(a.Partition) - int(b.Partition)
	})
}

// claim tells the handler, and returns where the streams start: at next, or where the handler has asked to be with Seek.
func (s *Source) claim(streams []Stream, next map[Stream]int64) (start map[Stream]int64) {
	sortStreams(streams)
	offsets := make([]int64, len(streams))
	s.calls.Lock()
	defer s.calls.Unlock()
	s.mu.Lock()
	for i, stream := range streams {
		offsets[i] = next[stream]
		s.claims[stream] = &claim{next: next[stream], seek: -1, commit: -1, committed: -1}
	}
	s.mu.Unlock()
	s.handler.Assigned(streams, offsets)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stream := range streams {
		// The client does not have the partitions yet: a Seek takes effect here, since applySeeks would find nothing to move.
		c := s.claims[stream]
		if c.seek >= 0 {
			c.next, c.seek = c.seek, -1
		}
		next[stream] = c.next
	}
	return next
}

// revoked gives partitions up in good order: the handler finishes or drops what it has, and what it asked to commit is committed.
func (s *Source) revoked(ctx context.Context, client *kgo.Client, partitions map[string][]int32) {
	streams := s.claimed(partitions)
	if len(streams) == 0 {
		return
	}
	s.calls.Lock()
	s.handler.Revoked(streams)
	s.calls.Unlock()
	// The context of this call ends with the client; a commit at the end must still go out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if err := s.commitNow(ctx, client, streams); err != nil {
		s.log.Warn("kafka: offsets not committed before a hand-over: the records are read again", "group", s.settings.Group, "error", err)
	}
	s.forget(streams)
}

// lost is like revoked, but the partitions are already someone else's: there is nothing to commit.
func (s *Source) lost(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	s.release(s.claimed(partitions))
}

func (s *Source) release(streams []Stream) {
	if len(streams) == 0 {
		return
	}
	sortStreams(streams)
	s.calls.Lock()
	s.handler.Revoked(streams)
	s.calls.Unlock()
	s.forget(streams)
}

func (s *Source) claimed(partitions map[string][]int32) []Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	var streams []Stream
	for topic, numbers := range partitions {
		for _, partition := range numbers {
			if stream, c := s.find(topic, partition); c != nil {
				streams = append(streams, stream)
			}
		}
	}
	sortStreams(streams)
	return streams
}

func (s *Source) forget(streams []Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stream := range streams {
		delete(s.claims, stream)
	}
}

// commitTimeout bounds one commit of offsets; what is not committed then is tried again with the next.
const commitTimeout = 5 * time.Second

// Commit asks that the group continue at offset next of the stream: every shard has everything before it,
// durably (I2). The commit goes out with others within the commit interval, the first of a stream at once, and is tried again until it succeeds or the
// stream is revoked. A smaller offset than one asked for before, or a stream that is not assigned, is ignored.
func (s *Source) Commit(stream Stream, next int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.claims[stream]
	if c == nil || next <= c.commit {
		return
	}
	if c.commit = next; c.committed < 0 {
		select {
		case s.first <- struct{}{}:
		default:
		}
	}
}

func (s *Source) commitLoop(ctx context.Context, client *kgo.Client) {
	tick := time.NewTicker(s.settings.CommitInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.first:
		}
		try, cancel := context.WithTimeout(ctx, commitTimeout)
		err := s.commitNow(try, client, nil)
		cancel()
		if err != nil {
			s.log.Debug("kafka: commit is tried again", "group", s.settings.Group, "error", err)
		}
	}
}

// commitNow commits what was asked for, of the streams given or of all.
func (s *Source) commitNow(ctx context.Context, client *kgo.Client, only []Stream) error {
	asked := make(map[Stream]int64)
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	ids := make(map[string][16]byte)
	s.mu.Lock()
	for stream, c := range s.claims {
		if c.commit <= c.committed || only != nil && !slices.Contains(only, stream) {
			continue
		}
		asked[stream] = c.commit
		if offsets[stream.Name] == nil {
			offsets[stream.Name] = make(map[int32]kgo.EpochOffset)
		}
		offsets[stream.Name][stream.Partition] = kgo.EpochOffset{Epoch: -1, Offset: c.commit}
		ids[stream.Name] = stream.Topic
	}
	s.mu.Unlock()
	if len(asked) == 0 {
		return nil
	}
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			id := ids[req.Topics[i].Topic]
			metadata := topicIDPrefix + hex.EncodeToString(id[:])
			for j := range req.Topics[i].Partitions {
				req.Topics[i].Partitions[j].Metadata = &metadata
			}
		}
		return nil
	})
	var failed error
	client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			failed = err
			return
		}
		failed = s.noteCommitted(asked, resp)
	})
	return failed
}

func (s *Source) noteCommitted(asked map[Stream]int64, resp *kmsg.OffsetCommitResponse) (failed error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range resp.Topics {
		for _, p := range resp.Topics[i].Partitions {
			stream, c := s.find(resp.Topics[i].Topic, p.Partition)
			err := kerr.ErrorForCode(p.ErrorCode)
			if err != nil && !errors.Is(err, kerr.UnknownTopicID) {
				failed = err
				continue
			}
			if c != nil && asked[stream] > c.committed { // c is nil if the stream is gone, and then there is nothing to commit any more
				c.committed = asked[stream]
			}
		}
	}
	return failed
}
