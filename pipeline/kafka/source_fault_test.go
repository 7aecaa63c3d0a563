package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// halfRead is a broker with ten records in topic a, of which all have been read and five committed, and a producer of more.
func halfRead(t *testing.T) (*Broker, *Producer) {
	t.Helper()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 1})
	p := openProducer(t, b.Settings(), "a")
	produce(t, p, 0, 10)
	h := newRecorder(t)
	s, stop := runSource(t, sourceSettings(b, "a"), h)
	h.wait("records", func() bool { return h.count() == 10 })
	next, _ := s.Status()
	for stream := range next {
		s.Commit(stream, 5)
	}
	stop()
	return b, p
}

// expire deletes the records of topic a before an offset.
func expire(t *testing.T, b *Broker, offset int64) {
	t.Helper()
	var trim kadm.Offsets
	trim.AddOffset("a", 0, offset, -1)
	if _, err := admin(t, b.Settings()).DeleteRecords(testContext(t), trim); err != nil {
		t.Fatal(err)
	}
}

// TestSourceOutOfRetention: what expired before it was read is told, passed, and is not waited for.
func TestSourceOutOfRetention(t *testing.T) {
	t.Parallel()
	b, p := halfRead(t)
	produce(t, p, 10, 90)
	expire(t, b, 80)
	type span struct{ from, to int64 }
	lost := make(chan span, 10)
	settings := sourceSettings(b, "a")
	settings.Lost = func(_ Stream, from, to int64) { lost <- span{from, to} }
	h := newRecorder(t)
	_, stop := runSource(t, settings, h)
	h.wait("what is left", func() bool { return h.count() == 20 })
	if got := <-lost; got != (span{5, 80}) {
		t.Errorf("lost %v", got)
	}
	stop()
}

// TestSourceEmptyAfterRetention: a stream of which everything expired still comes to its end.
func TestSourceEmptyAfterRetention(t *testing.T) {
	t.Parallel()
	b, _ := halfRead(t)
	expire(t, b, 10)
	h := newRecorder(t)
	runSource(t, sourceSettings(b, "a"), h)
	h.wait("the end", func() bool {
		for _, next := range h.next {
			return next == 10
		}
		return false
	})
}

// TestSourceTopicMadeAgain is I4: a new id is a new stream, from its start, whatever was committed for the name.
func TestSourceTopicMadeAgain(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 2}, Topic{Name: "other", Partitions: 1})
	p := openProducer(t, b.Settings(), "a")
	produce(t, p, 0, 100)
	h := newRecorder(t)
	s, stop := runSource(t, sourceSettings(b, "a", "other"), h)
	h.wait("records", func() bool { return h.count() == 100 })
	first, _ := s.Status()
	for stream, next := range first {
		s.Commit(stream, next)
	}
	ctx := testContext(t)
	if _, err := admin(t, b.Settings()).DeleteTopic(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	h.wait("the old to go", func() bool {
		return slices.Contains(h.events, "revoked a/0") && slices.Contains(h.events, "revoked a/1")
	})
	if err := MakeTopics(ctx, b.Settings(), Topic{"a", 2}); err != nil {
		t.Fatal(err)
	}
	produce(t, openProducer(t, b.Settings(), "a"), 100, 50)
	h.wait("the new records", func() bool { return h.count() == 150 })
	second, _ := s.Status()
	for stream := range second {
		if _, was := first[stream]; was && stream.Name == "a" {
			t.Errorf("%v has the id of the old topic", stream)
		}
	}
	stop()
	if got, want := h.all(), numbered(0, 150); !slices.Equal(got, want) {
		t.Errorf("%d values", len(got))
	}
}

// TestSourceStaleCommit is I4 across a restart: a commit that names another topic id does not count, one of another program does.
func TestSourceStaleCommit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		metadata string
		want     int
	}{{topicIDPrefix + strings.Repeat("ab", 16), 20}, {"moved by hand", 8}, {"", 8}} {
		b := openBroker(t, "", Topic{Name: "a", Partitions: 1})
		produce(t, openProducer(t, b.Settings(), "a"), 0, 20)
		var offsets kadm.Offsets
		offsets.Add(kadm.Offset{Topic: "a", Partition: 0, At: 12, LeaderEpoch: -1, Metadata: c.metadata})
		if err := admin(t, b.Settings()).CommitAllOffsets(testContext(t), "dashi", offsets); err != nil {
			t.Fatal(err)
		}
		h := newRecorder(t)
		_, stop := runSource(t, sourceSettings(b, "a"), h)
		h.wait("records", func() bool { return h.count() == c.want })
		stop()
	}
}

func TestSourceWaitsForTopic(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "")
	h := newRecorder(t)
	s, _ := runSource(t, sourceSettings(b, "late"), h)
	h.wait("trouble", func() bool {
		_, trouble := s.Status()
		return trouble != nil && strings.Contains(trouble.Error(), `"late"`) && strings.Contains(trouble.Error(), b.Addr())
	})
	if err := MakeTopics(testContext(t), b.Settings(), Topic{"late", 1}); err != nil {
		t.Fatal(err)
	}
	produce(t, openProducer(t, b.Settings(), "late"), 0, 5)
	h.wait("records", func() bool { return h.count() == 5 })
	if _, trouble := s.Status(); trouble != nil {
		t.Errorf("trouble %v is over", trouble)
	}

	settings := sourceSettings(b, "made")
	settings.Group = "other"
	settings.Create = []Topic{{"made", 3}}
	h = newRecorder(t)
	runSource(t, settings, h)
	h.wait("the topic", func() bool { return len(h.next) == 3 })
}

// TestSourceAddedPartitions: they are read within seconds; the client by itself looks for them twice a minute.
func TestSourceAddedPartitions(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 1})
	h := newRecorder(t)
	runSource(t, sourceSettings(b, "a"), h)
	h.wait("the partition", func() bool { return len(h.next) == 1 })
	if _, err := admin(t, b.Settings()).CreatePartitions(testContext(t), 2, "a"); err != nil {
		t.Fatal(err)
	}
	added := time.Now()
	h.wait("those added", func() bool { return len(h.next) == 3 })
	if d := time.Since(added); d > 5*watchInterval {
		t.Errorf("read after %s", d)
	}
}

// TestSourceBrokerDownAndBack: the same address, the same data, other sockets.
func TestSourceBrokerDownAndBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := openBroker(t, dir, Topic{Name: "a", Partitions: 2})
	p := openProducer(t, b.Settings(), "a")
	produce(t, p, 0, 100)
	h := newRecorder(t)
	runSource(t, sourceSettings(b, "a"), h)
	h.wait("records", func() bool { return h.count() == 100 })
	p.Close()
	b.Close()
	b, err := OpenBroker(BrokerSettings{Addr: b.Addr(), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	produce(t, openProducer(t, b.Settings(), "a"), 100, 100)
	h.wait("records after it came back", func() bool { return h.count() >= 200 })
	if got := slices.Compact(h.all()); !slices.Equal(got, numbered(0, 200)) {
		t.Errorf("%d values", len(got))
	}
}

// TestSourceStartsBeforeBroker: nothing listens yet.
func TestSourceStartsBeforeBroker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := openBroker(t, dir, Topic{Name: "a", Partitions: 1})
	addr := b.Addr()
	b.Close()
	h := newRecorder(t)
	s, _ := runSource(t, SourceSettings{Settings: Settings{Brokers: []string{addr}}, Topics: []string{"a"}}, h)
	h.wait("trouble", func() bool {
		_, trouble := s.Status()
		return trouble != nil && strings.Contains(trouble.Error(), addr)
	})
	b, err := OpenBroker(BrokerSettings{Addr: addr, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	produce(t, openProducer(t, b.Settings(), "a"), 0, 5)
	h.wait("records", func() bool { return h.count() == 5 })
}

// TestSourceFaults injects errors into every request of a reading member: it always comes to the same end.
func TestSourceFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key kmsg.Key
		err *kerr.Error
	}{
		{kmsg.JoinGroup, kerr.CoordinatorNotAvailable},
		{kmsg.SyncGroup, kerr.RebalanceInProgress},
		{kmsg.Heartbeat, kerr.UnknownMemberID},
		{kmsg.OffsetFetch, kerr.CoordinatorLoadInProgress},
		{kmsg.OffsetCommit, kerr.RebalanceInProgress},
		{kmsg.OffsetCommit, kerr.NotCoordinator},
		{kmsg.ListOffsets, kerr.NotLeaderForPartition},
		{kmsg.Fetch, kerr.NotLeaderForPartition},
		{kmsg.Fetch, kerr.UnknownServerError},
		{kmsg.Metadata, kerr.LeaderNotAvailable},
	} {
		t.Run(fmt.Sprintf("%s/%s", c.key.Name(), c.err.Message), func(t *testing.T) {
			t.Parallel()
			b := openBroker(t, "", Topic{Name: "a", Partitions: 2})
			produce(t, openProducer(t, b.Settings(), "a"), 0, 100)
			b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{c.key}, Err: c.err, Count: 3}, kfake.Fault{Keys: []kmsg.Key{c.key}, Err: c.err, Count: 2, TopLevel: true})
			h := &committer{recorder: newRecorder(t)}
			settings := sourceSettings(b, "a")
			var err error
			settings.Group, settings.CommitInterval = "dashi", 20*time.Millisecond
			h.source, err = NewSource(settings, h)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() {
				if err := h.source.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			h.wait("records", func() bool { return len(slices.Compact(slices.Sorted(slices.Values(flat(h.values))))) == 100 })
			deadline := time.Now().Add(testTimeout)
			for sum(committed(t, b.Settings(), "dashi", "a")) < 100 && time.Now().Before(deadline) {
			}
			cancel()
			running.Wait()
			if n := sum(committed(t, b.Settings(), "dashi", "a")); n != 100 {
				t.Errorf("%d committed", n)
			}
		})
	}
}

func flat(values map[Stream][]string) (all []string) {
	for _, v := range values {
		all = append(all, v...)
	}
	return all
}
