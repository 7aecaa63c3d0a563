package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// txnBatchBytes is how much of a partition goes into one request: with its header it fits what brokers take.
const txnBatchBytes = maxRecordBytes

// produce writes the messages, in rounds of at most one batch per partition. A partition's next round waits for the last, so its order holds.
func (t *transaction) produce(ctx context.Context, messages []Message) error {
	now := time.Now().UnixMilli()
	for len(messages) > 0 {
		route, err := t.partitions(ctx)
		if err != nil {
			return err
		}
		n := t.fill(messages, len(route.leaders), now)
		messages = messages[n:]
		if err := t.send(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) partitions(ctx context.Context) (route *routing, err error) {
	err = retry(ctx, func() error {
		route, err = t.of.routing(ctx)
		return err
	})
	return route, err
}

// fill encodes messages into the batches of their partitions until one of them is full, and says how many.
func (t *transaction) fill(messages []Message, partitions int, now int64) int {
	for _, b := range t.batches {
		b.reset()
	}
	for i := range messages {
		m := &messages[i]
		p := int32(t.choose.Partition(&kgo.Record{Key: m.Key}, partitions))
		b := t.batches[p]
		if b == nil {
			b = new(batch)
			t.batches[p] = b
		}
		if b.count > 0 && len(b.records)+int(m.size()) > txnBatchBytes {
			return i
		}
		millis := m.Millis
		if millis == 0 {
			millis = now
		}
		b.add(m, millis)
	}
	return len(messages)
}

// send writes the batches that are filled. A try sends those that are left to their leaders; the sequence numbers of
// a batch stay the same from try to try, so a broker knows one that it already has.
func (t *transaction) send(ctx context.Context) error {
	left := make(map[int32][]byte)
	for p, b := range t.batches {
		if b.count > 0 {
			left[p] = b.seal(t.of.compressor, t.pid, t.epoch, t.sequences[p])
		}
	}
	err := retry(ctx, func() error {
		route, err := t.of.routing(ctx)
		if err != nil {
			return err
		}
		if err := t.add(ctx, left); err != nil {
			return err
		}
		byLeader := make(map[int32][]int32)
		for p := range left {
			if int(p) >= len(route.leaders) {
				return fmt.Errorf("topic %q lost partition %d", t.of.settings.Topic, p)
			}
			byLeader[route.leaders[p]] = append(byLeader[route.leaders[p]], p)
		}
		for leader, partitions := range byLeader {
			if e := t.sendTo(ctx, leader, route, partitions, left); e != nil {
				err = t.of.stale(e)
				if !retriable(e) {
					return e
				}
				t.of.forgetRouting()
			}
		}
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d partitions are missing in the answers: %w", len(left), kerr.RequestTimedOut)
		}
		return err
	})
	if err != nil {
		return err
	}
	for p, b := range t.batches {
		t.sequences[p] = nextSequence(t.sequences[p], b.count)
	}
	return nil
}

// nextSequence is the sequence number n records after another; it wraps to 0 after 2^31-1, as brokers want it.
func nextSequence(sequence, n int32) int32 {
	return int32((int64(sequence) + int64(n)) % (1 << 31))
}

// add tells the coordinator of a version 1 transaction which partitions it has.
func (t *transaction) add(ctx context.Context, left map[int32][]byte) error {
	if t.of.implicit {
		return nil
	}
	var partitions []int32
	for p := range left {
		if !t.added[p] {
			partitions = append(partitions, p)
		}
	}
	if len(partitions) == 0 {
		return nil
	}
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = t.txnID, t.pid, t.epoch
	topic := kmsg.NewAddPartitionsToTxnRequestTopic()
	topic.Topic, topic.Partitions = t.of.settings.Topic, partitions
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, t.of.requestor())
	if err != nil {
		return err
	}
	for _, rt := range resp.Topics {
		for _, p := range rt.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
			t.added[p.Partition] = true
		}
	}
	return nil
}

// sendTo sends the batches of one leader and takes what it acknowledged out of left.
func (t *transaction) sendTo(ctx context.Context, leader int32, route *routing, partitions []int32, left map[int32][]byte) (failed error) {
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID = &t.txnID
	req.Acks = -1
	req.TimeoutMillis = int32(requestTimeout.Milliseconds()) / 3
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.TopicID = t.of.settings.Topic, route.topic
	for _, p := range partitions {
		partition := kmsg.NewProduceRequestTopicPartition()
		partition.Partition, partition.Records = p, left[p]
		topic.Partitions = append(topic.Partitions, partition)
	}
	req.Topics = append(req.Topics, topic)
	kresp, err := t.of.requestor().Broker(int(leader)).Request(ctx, req)
	if err != nil {
		return err
	}
	for _, rt := range kresp.(*kmsg.ProduceResponse).Topics {
		for _, p := range rt.Partitions {
			err := kerr.ErrorForCode(p.ErrorCode)
			if err == nil || p.ErrorCode == kerr.DuplicateSequenceNumber.Code {
				delete(left, p.Partition)
				continue
			}
			if failed == nil || !retriable(err) {
				failed = err
			}
		}
	}
	return failed
}
