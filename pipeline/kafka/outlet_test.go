package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

const activations = "activations"

func openOutlets(t testing.TB, settings Settings) *Outlets {
	t.Helper()
	if settings.Compression == "" {
		settings.Compression = "none" // the race detector drops what is pooled, and lz4 pools megabytes
	}
	o, err := NewOutlets(OutletSettings{Settings: settings, Cluster: "c", Topic: activations})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

func openOutlet(t testing.TB, o *Outlets, shard int) (*Outlet, uint64) {
	t.Helper()
	out, position, err := o.Open(testContext(t), shard)
	if err != nil {
		t.Fatal(err)
	}
	return out, position
}

// entries is the outbox from position on: entry i has value i and one of 16 keys.
func entries(position uint64, n int) []Message {
	messages := make([]Message, n)
	for i := range messages {
		number := position + uint64(i)
		messages[i] = Message{Key: fmt.Appendf(nil, "profile%d", number%16), Value: fmt.Appendf(nil, "%d", number), Millis: int64(number),
			Headers: []Header{{Key: "id", Value: fmt.Appendf(nil, "a%d", number)}}}
	}
	return messages
}

func publish(t testing.TB, out *Outlet, from uint64, n int) uint64 {
	t.Helper()
	position, err := out.Publish(testContext(t), from, from+uint64(n), entries(from, n))
	if err != nil {
		t.Fatal(err)
	}
	return position
}

func TestOutletPublishes(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{activations, 3})
	o := openOutlets(t, b.Settings())
	out, position := openOutlet(t, o, 7)
	if position != 0 {
		t.Errorf("position %d of a new outlet", position)
	}
	for _, n := range []int{1, 100, 0, 5000, 3} {
		position = publish(t, out, position, n)
	}
	// Entries that are withheld move the position only.
	position, err := out.Publish(testContext(t), position, position+10, nil)
	if err != nil || position != 5114 {
		t.Errorf("position %d, error %v", position, err)
	}
	if got, err := out.Publish(testContext(t), 3, 4, nil); got != position || !errors.Is(err, ErrMoved) {
		t.Errorf("position %d, error %v", got, err)
	}
	checkOnce(t, readAll(t, b.Settings(), activations), 5104)
	_, again := openOutlet(t, o, 7)
	if again != position {
		t.Errorf("opened at %d, want %d", again, position)
	}
	if _, other := openOutlet(t, o, 8); other != 0 {
		t.Errorf("another shard is at %d", other)
	}
}

// TestOutletBatch: the records are as franz-go and everyone else reads and partitions them.
func TestOutletBatch(t *testing.T) {
	t.Parallel()
	for _, compression := range []string{"none", "lz4"} {
		b := openBroker(t, "", Topic{activations, 8}, Topic{"other", 8})
		settings := b.Settings()
		settings.Compression = compression
		out, _ := openOutlet(t, openOutlets(t, settings), 0)
		messages := entries(0, 200)
		messages[3].Headers = nil
		messages[4].Value = nil
		messages[5].Value = make([]byte, 800<<10)
		messages[6].Value = make([]byte, 800<<10)
		messages[6].Key = messages[5].Key // together more than a request takes
		if _, err := out.Publish(testContext(t), 0, 200, messages); err != nil {
			t.Fatal(err)
		}
		p := openProducer(t, settings, "other")
		if err := p.Produce(testContext(t), "", messages); err != nil {
			t.Fatal(err)
		}
		read := func(topic string) map[string]*kgo.Record {
			client, err := settings.client(kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			got := make(map[string]*kgo.Record)
			for n := 0; n < 200; {
				fetches := client.PollFetches(testContext(t))
				fetches.EachRecord(func(r *kgo.Record) {
					n++
					got[fmt.Sprint(r.Timestamp.UnixMilli())] = r
				})
			}
			return got
		}
		a, other := read(activations), read("other")
		for i, m := range messages {
			if i == 0 {
				continue // no timestamp of its own
			}
			r, want := a[fmt.Sprint(m.Millis)], other[fmt.Sprint(m.Millis)]
			if r == nil || r.Partition != want.Partition || string(r.Key) != string(m.Key) || string(r.Value) != string(m.Value) ||
				(r.Value == nil) != (m.Value == nil) || len(r.Headers) != len(m.Headers) || len(m.Headers) > 0 && string(r.Headers[0].Value) != string(m.Headers[0].Value) {
				t.Errorf("message %d came out as %+v, want partition %d", i, r, want.Partition)
			}
		}
		if _, err := out.Publish(testContext(t), 200, 201, []Message{{Value: make([]byte, 2<<20)}}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("error %v", err)
		}
	}
}

// TestOutletFencesOlder is I6: the newer outlet wins, wherever the older one is.
func TestOutletFencesOlder(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{activations, 2})
	old, position := openOutlet(t, openOutlets(t, b.Settings()), 1)
	position = publish(t, old, position, 50)
	young, at := openOutlet(t, openOutlets(t, b.Settings()), 1)
	if at != position {
		t.Errorf("the newer one begins at %d, want %d", at, position)
	}
	if _, err := old.Publish(testContext(t), position, position+50, entries(position, 50)); !errors.Is(err, ErrFenced) {
		t.Errorf("the older one: %v", err)
	}
	at = publish(t, young, at, 50)
	if _, err := old.Publish(testContext(t), position, position+50, entries(position, 50)); !errors.Is(err, ErrFenced) {
		t.Errorf("the older one again: %v", err)
	}
	checkOnce(t, readAll(t, b.Settings(), activations), at)
}

// TestOutletRace has two nodes that both believe they lead the shard, and open its outlet again whenever they are fenced.
func TestOutletRace(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{activations, 4})
	const total = 2000
	ctx := testContext(t)
	var nodes sync.WaitGroup
	for i := range 3 {
		o := openOutlets(t, b.Settings())
		random := rand.New(rand.NewPCG(1, uint64(i)))
		wait := time.Millisecond
		nodes.Go(func() {
			for {
				out, position, err := o.Open(ctx, 1)
				for err == nil {
					if position >= total {
						return
					}
					n := 1 + random.IntN(20)
					if random.IntN(10) == 0 {
						break // opens it again
					}
					position, err = out.Publish(ctx, position, position+uint64(n), entries(position, n))
				}
				if errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
					return
				}
				// Whatever else a rival does to a transaction: opening again settles it. Leadership does not move
				// every millisecond, so give the rival some.
				wait = min(2*wait, time.Second)
				<-time.After(time.Duration(random.Int64N(int64(wait))))
			}
		})
	}
	nodes.Wait()
	_, position := openOutlet(t, openOutlets(t, b.Settings()), 1)
	checkOnce(t, readAll(t, b.Settings(), activations), position)
}

// outletKeys are the requests of an outlet, in the order of a transaction.
var outletKeys = []kmsg.Key{kmsg.ApiVersions, kmsg.Metadata, kmsg.InitProducerID, kmsg.OffsetFetch, kmsg.AddPartitionsToTxn, kmsg.Produce,
	kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn}

// TestOutletCrash stops an outlet, and its node, at every request: before the request arrives, after it was carried out, and for the
// second time. The next outlet publishes the rest, and each entry is there once.
func TestOutletCrash(t *testing.T) {
	t.Parallel()
	for _, key := range outletKeys {
		for _, after := range []bool{false, true} {
			for nth := 1; nth <= 2; nth++ {
				name := fmt.Sprintf("%s/after=%v/nth=%d", key.Name(), after, nth)
				t.Run(name, func(t *testing.T) { t.Parallel(); crashAt(t, key, after, nth) })
			}
		}
	}
}

// crashAt cuts all connections of the first node at the nth request of a kind.
func crashAt(t *testing.T, key kmsg.Key, after bool, nth int) {
	b := openBroker(t, "", Topic{activations, 3})
	node, kill := context.WithCancel(testContext(t))
	defer kill()
	o := openOutlets(t, b.Settings())
	seen := 0
	b.cluster.ControlKey(key.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if seen++; seen == nth && !after {
			kill()
			return nil, errors.New("connection lost"), true
		}
		if seen == nth {
			// The request goes on to be carried out; the node is dead before the answer arrives.
			kill()
		}
		return nil, nil, false
	})
	out, position, err := o.Open(node, 1)
	for i := 0; err == nil && i < 4; i++ {
		position, err = out.Publish(node, position, position+10, entries(position, 10))
	}
	o.Close()
	out, again := openOutlet(t, openOutlets(t, b.Settings()), 1)
	if again < position {
		t.Errorf("opened at %d, %d was published", again, position)
	}
	again = publish(t, out, again, 25)
	checkOnce(t, readAll(t, b.Settings(), activations), again)
}

// TestOutletFaults injects every error that a request may be answered with: the outlet comes through by itself, or says what
// happened; in the end each entry is there once.
func TestOutletFaults(t *testing.T) {
	t.Parallel()
	errs := []*kerr.Error{kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.ConcurrentTransactions,
		kerr.RequestTimedOut, kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.UnknownServerError, kerr.InvalidTxnState,
		kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.TransactionAbortable, kerr.InvalidProducerIDMapping, kerr.NetworkException, kerr.UnknownTopicOrPartition,
		kerr.ProducerFenced, kerr.InvalidProducerEpoch}
	for _, key := range []kmsg.Key{kmsg.InitProducerID, kmsg.OffsetFetch, kmsg.Produce, kmsg.TxnOffsetCommit, kmsg.EndTxn} {
		for _, e := range errs {
			if testing.Short() && e != kerr.NotCoordinator && e != kerr.UnknownServerError && e != kerr.RequestTimedOut && e != kerr.ProducerFenced {
				continue
			}
			t.Run(key.Name()+"/"+e.Message, func(t *testing.T) {
				t.Parallel()
				b := openBroker(t, "", Topic{activations, 3})
				o := openOutlets(t, b.Settings())
				out, position := openOutlet(t, o, 1)
				position = publish(t, out, position, 10)
				b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: e}, kfake.Fault{Keys: []kmsg.Key{key}, Err: e, TopLevel: true})
				for tries := 0; position < 100; tries++ {
					if tries > 40 {
						t.Fatal("no end")
					}
					var err error
					position, err = out.Publish(testContext(t), position, position+10, entries(position, 10))
					switch {
					case errors.Is(err, ErrFenced):
						for out, position, err = o.Open(testContext(t), 1); err != nil; out, position, err = o.Open(testContext(t), 1) {
							if tries++; tries > 40 {
								t.Fatal(err)
							}
						}
					case err != nil:
						position = out.Position()
					}
				}
				o = openOutlets(t, b.Settings())
				_, again, err := o.Open(testContext(t), 1)
				for tries := 0; err != nil && tries < 5; tries++ {
					_, again, err = o.Open(testContext(t), 1)
				}
				if again != position || err != nil {
					t.Errorf("opened at %d, want %d, error %v", again, position, err)
				}
				checkOnce(t, readAll(t, b.Settings(), activations), position)
			})
		}
	}
}

// TestOutletUnknown: the transaction was committed, the answer and the whole broker are lost. Publish says that it does not know;
// the next one finds out.
func TestOutletUnknown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := openBroker(t, dir, Topic{activations, 3})
	o := openOutlets(t, b.Settings())
	out, position := openOutlet(t, o, 1)
	position = publish(t, out, position, 10)
	ctx, cancel := context.WithCancel(testContext(t))
	b.cluster.ControlKey(kmsg.EndTxn.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		cancel()
		return nil, nil, false
	})
	at, err := out.Publish(ctx, position, position+10, entries(position, 10))
	if err == nil {
		t.Skip("the answer was quicker than the cancellation")
	}
	if at != position {
		t.Errorf("position %d, error %v", at, err)
	}
	at, err = out.Publish(testContext(t), position, position+10, entries(position, 10))
	switch {
	case errors.Is(err, ErrMoved) && at == position+10:
	case err == nil && at == position+10: // it was aborted, and is published now
	default:
		t.Errorf("position %d, error %v", at, err)
	}
	checkOnce(t, readAll(t, b.Settings(), activations), at)
}

// TestOutletVersion1 speaks to brokers without transaction.version 2.
func TestOutletVersion1(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(5, activations), kfake.MaxVersions(kversion.V3_8_0()))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	settings := Settings{Brokers: cluster.ListenAddrs()}
	o := openOutlets(t, settings)
	out, position := openOutlet(t, o, 1)
	if o.implicit {
		t.Error("version 2 is not there")
	}
	for range 10 {
		position = publish(t, out, position, 100)
		cluster.ShufflePartitionLeaders()
	}
	young, at := openOutlet(t, openOutlets(t, settings), 1)
	if at != position {
		t.Errorf("opened at %d, want %d", at, position)
	}
	if _, err := out.Publish(testContext(t), position, position+1, entries(position, 1)); !errors.Is(err, ErrFenced) {
		t.Errorf("the older one: %v", err)
	}
	position = publish(t, young, position, 100)
	checkOnce(t, readAll(t, settings, activations), position)
}

// TestOutletsShare: sixteen shards cost a few goroutines and connections.
func TestOutletsShare(t *testing.T) {
	b := openBroker(t, "", Topic{activations, 8})
	o := openOutlets(t, b.Settings())
	before := runtime.NumGoroutine()
	var outs []*Outlet
	for shard := range 16 {
		out, _ := openOutlet(t, o, shard)
		outs = append(outs, out)
	}
	var all sync.WaitGroup
	for shard, out := range outs {
		all.Go(func() {
			position := uint64(shard) * 1000
			if position > 0 {
				if _, err := out.Publish(testContext(t), 0, position, nil); err != nil {
					t.Error(err)
				}
			}
			for range 10 {
				position = publish(t, out, position, 100)
			}
		})
	}
	all.Wait()
	// Each connection has two goroutines here and three or four in the broker.
	if n := runtime.NumGoroutine() - before; n > 60 {
		t.Errorf("%d goroutines more", n)
	}
	n := 0
	for _, values := range readAll(t, b.Settings(), activations) {
		n += len(values)
	}
	if n != 16000 {
		t.Errorf("%d entries", n)
	}
}
