package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Why the requests are made here, and not by franz-go's transactional client.
//
// That client is one transactional id, so sixteen shards would be sixteen clients, each with its own connections,
// goroutines and metadata. It commits offsets only for a member of a consumer group, which an outbox is not. And
// after an error it decides by itself what may be assumed; here the rule is simpler: after any error the outcome is
// unknown, a new epoch settles it, and the committed position tells it. What is left is five requests in a
// row, with one in flight. Sequence numbers make a retried produce request harmless, and the brokers answer
// a retried EndTxn with the first outcome.
//
// With transaction.version 2 (KIP-890, brokers from 4.0) produce and offset commit enter the transaction by
// themselves, and each end of a transaction begins a new epoch, so that a request of an earlier one that was stuck in
// the network cannot enter a later one. With version 1 partitions and group are added by requests of their own and the
// epoch stays; that gap is then open, as it is for every client of such brokers.

// pinned are the request versions that brokers treat as those of a version 1 client.
var pinned = map[kmsg.Key]int16{kmsg.Produce: 11, kmsg.AddPartitionsToTxn: 3, kmsg.EndTxn: 4, kmsg.TxnOffsetCommit: 4}

// connect opens the shared client.
func (o *Outlets) connect(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.client != nil {
		return nil
	}
	client, err := o.settings.client(kgo.RequiredAcks(kgo.AllISRAcks()))
	if err != nil {
		return err
	}
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		client.Close()
		return err
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" && f.MaxVersionLevel >= 2 {
			o.client, o.implicit = client, true
			return nil
		}
	}
	client.Close()
	o.settings.logger().Warn("kafka: the brokers have no transaction.version 2, exactly once has a small gap when the network holds requests back (KIP-890)",
		"brokers", o.settings.at(), "do", "kafka-features.sh upgrade --feature transaction.version=2")
	versions := kversion.Stable()
	for key, version := range pinned {
		versions.SetMaxKeyVersion(int16(key), version)
	}
	o.client, err = o.settings.client(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.MaxVersions(versions))
	return err
}

// routing is who leads the partitions of the topic.
type routing struct {
	topic   [16]byte
	leaders []int32 // by partition
}

func (o *Outlets) routing(ctx context.Context) (*routing, error) {
	o.mu.Lock()
	client, route := o.client, o.route
	o.mu.Unlock()
	if client == nil {
		return nil, kgo.ErrClientClosed
	}
	if route != nil {
		return route, nil
	}
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(o.settings.Topic)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 {
		return nil, kerr.UnknownTopicOrPartition
	}
	t := &resp.Topics[0]
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return nil, err
	}
	route = &routing{topic: t.TopicID, leaders: make([]int32, len(t.Partitions))}
	for _, p := range t.Partitions {
		if p.Partition < 0 || int(p.Partition) >= len(route.leaders) {
			return nil, fmt.Errorf("metadata of topic %q has partition %d of %d", o.settings.Topic, p.Partition, len(t.Partitions))
		}
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil && p.Leader < 0 {
			return nil, err
		}
		route.leaders[p.Partition] = p.Leader
	}
	o.mu.Lock()
	o.route = route
	o.mu.Unlock()
	return route, nil
}

func (o *Outlets) forgetRouting() {
	o.mu.Lock()
	o.route = nil
	o.mu.Unlock()
}

func (o *Outlets) requestor() *kgo.Client {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.client
}

// Between tries of a request.
const (
	leastPause = 5 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)

// retry calls try until it succeeds or fails with an error that another try cannot change.
func retry(ctx context.Context, try func() error) error {
	for pause := leastPause; ; pause = min(2*pause, mostPause) {
		err := try()
		if err == nil || !retriable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func retriable(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kgo.ErrClientClosed) {
		return false
	}
	var code *kerr.Error
	if errors.As(err, &code) {
		return code.Retriable || errors.Is(err, kerr.ConcurrentTransactions) || errors.Is(err, kerr.UnstableOffsetCommit)
	}
	return true // the network
}

// initProducer gets the producer id and a new epoch. With the epoch that this outlet has, the brokers refuse it
// when a newer outlet got another in between; without one, this is the newer outlet.
func (o *Outlet) initProducer(ctx context.Context) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID = &o.txnID
	req.TransactionTimeoutMillis = int32(transactionTimeout.Milliseconds())
	req.ProducerID, req.ProducerEpoch = o.pid, o.epoch
	return retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, o.of.requestor())
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if errors.Is(err, kerr.InvalidProducerIDMapping) && req.ProducerID >= 0 {
			// The brokers forget transactional ids that have been quiet for long (7 days).
			req.ProducerID, req.ProducerEpoch = -1, -1
			return kerr.ConcurrentTransactions
		}
		if err != nil {
			return err
		}
		o.begin(resp.ProducerID, resp.ProducerEpoch)
		return nil
	})
}

// begin adopts an epoch. Sequence numbers count within it.
func (o *Outlet) begin(pid int64, epoch int16) {
	if pid != o.pid || epoch != o.epoch {
		clear(o.sequences)
	}
	o.pid, o.epoch = pid, epoch
}

// readPosition reads the group's offset of partition 0, which stands for the whole outbox. RequireStable makes it wait
// for a transaction that is being completed.
func (o *Outlet) readPosition(ctx context.Context) (position uint64, err error) {
	err = retry(ctx, func() error {
		route, err := o.of.routing(ctx)
		if err != nil {
			return err
		}
		req := kmsg.NewPtrOffsetFetchRequest()
		req.RequireStable = true
		group := kmsg.NewOffsetFetchRequestGroup()
		group.Group = o.group
		topic := kmsg.NewOffsetFetchRequestGroupTopic()
		topic.Topic, topic.TopicID, topic.Partitions = o.of.settings.Topic, route.topic, []int32{0}
		group.Topics = append(group.Topics, topic)
		req.Groups = append(req.Groups, group)
		resp, err := req.RequestWith(ctx, o.of.requestor())
		if err != nil {
			return err
		}
		position, err = positionOf(resp)
		return o.of.stale(err)
	})
	return position, err
}

// positionOf takes the one offset out of the answer. An answer without it is no answer: 0 would publish everything again.
func positionOf(resp *kmsg.OffsetFetchResponse) (uint64, error) {
	err := kerr.ErrorForCode(resp.ErrorCode)
	for _, g := range resp.Groups {
		if err == nil {
			err = kerr.ErrorForCode(g.ErrorCode)
		}
		if err != nil {
			break
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				return uint64(max(p.Offset, 0)), kerr.ErrorForCode(p.ErrorCode)
			}
		}
	}
	switch {
	case errors.Is(err, kerr.GroupIDNotFound): // nothing was ever committed
		return 0, nil
	case err == nil:
		err = fmt.Errorf("the answer has no offset: %w", kerr.RequestTimedOut)
	}
	return 0, err
}

// stale forgets which brokers lead the partitions if err says that others do now.
func (o *Outlets) stale(err error) error {
	if err == nil {
		return nil
	}
	var code *kerr.Error
	if !errors.As(err, &code) || code.Retriable {
		o.forgetRouting()
	}
	return err
}

// transaction is a transaction that is under way.
type transaction struct {
	*Outlet
	added map[int32]bool // version 1: partitions that the coordinator knows of
}

// commitPosition puts the position into the transaction. Its metadata names the transaction, by which the embedded
// broker tells, after a kill, whether it was complete (repair.go).
func (t *transaction) commitPosition(ctx context.Context, to uint64) error {
	if !t.of.implicit {
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = t.txnID, t.pid, t.epoch, t.group
		err := retry(ctx, func() error {
			resp, err := req.RequestWith(ctx, t.of.requestor())
			if err == nil {
				err = kerr.ErrorForCode(resp.ErrorCode)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	metadata := txnMetadata(t.pid, t.epoch)
	return retry(ctx, func() error {
		route, err := t.of.routing(ctx)
		if err != nil {
			return err
		}
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = t.txnID, t.pid, t.epoch
		req.Group, req.Generation = t.group, -1
		topic := kmsg.NewTxnOffsetCommitRequestTopic()
		topic.Topic, topic.TopicID = t.of.settings.Topic, route.topic
		partition := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		partition.Offset, partition.LeaderEpoch, partition.Metadata = int64(to), -1, &metadata
		topic.Partitions = append(topic.Partitions, partition)
		req.Topics = append(req.Topics, topic)
		resp, err := req.RequestWith(ctx, t.of.requestor())
		if err != nil {
			return err
		}
		for _, rt := range resp.Topics {
			for _, p := range rt.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return t.of.stale(err)
				}
			}
		}
		return nil
	})
}

// txnMetadata names a transaction: in a broker's life no two have the same id and epoch.
func txnMetadata(pid int64, epoch int16) string { return fmt.Sprintf("txn=%d/%d", pid, epoch) }

// end commits the transaction.
func (t *transaction) end(ctx context.Context) error {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = t.txnID, t.pid, t.epoch, true
	return retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, t.of.requestor())
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err == nil && resp.Version >= 5 {
			t.begin(resp.ProducerID, resp.ProducerEpoch)
		}
		return err
	})
}
