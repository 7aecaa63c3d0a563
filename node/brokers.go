package node

import (
	"context"
	"time"

	"dashi/pipeline/kafka"
)

const (
	// brokerPatience is how long a node that starts waits for Kafka before it opens without: one that is there answers within some milliseconds, one that
	// is started together with the node within some seconds.
	brokerPatience = 5 * time.Second
	// brokerRetry is how long it waits between two attempts.
	brokerRetry = time.Second
	// endsInterval is how often Kafka is asked where its partitions end: three small requests.
	endsInterval = 5 * time.Second
)

// topics are the topics that dashi makes when they are missing.
func (n *Node) topics() []kafka.Topic {
	k := &n.settings.Kafka
	var topics []kafka.Topic
	for _, in := range k.Inputs {
		topics = append(topics, kafka.Topic{Name: in.Topic, Partitions: int32(k.Partitions)})
	}
	return append(topics, kafka.Topic{Name: k.Activations, Partitions: int32(k.Partitions)}, kafka.Topic{Name: k.Dead, Partitions: 1})
}

// makeTopics makes the topics that are missing. If Kafka does not answer, or does not allow it, the node opens all the same: it has look-ups to answer
// from what it has recovered, and Kafka's absence is no reason to take those away too. awaitBrokers then goes on trying.
func (n *Node) makeTopics(ctx context.Context) error {
	defer n.note("")
	for start := time.Now(); ; {
		err := n.tryTopics(ctx)
		if err == nil || ctx.Err() != nil || kafka.Wrong(err) {
			return err
		}
		if time.Since(start) > brokerPatience {
			n.log.Warn("opening without Kafka: look-ups are answered, events and activations wait until it is there", "error", err)
			text := err.Error()
			n.brokerTrouble.Store(&text)
			return nil
		}
		n.note("Kafka is waited for: " + err.Error())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(brokerRetry):
		}
	}
}

func (n *Node) tryTopics(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	return kafka.MakeTopics(ctx, n.kafka, n.topics()...)
}

// awaitBrokers tries to make the topics until it has succeeded.
func (n *Node) awaitBrokers(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(brokerRetry):
		}
		err := n.tryTopics(ctx)
		if err == nil {
			n.brokerTrouble.Store(nil)
			n.log.Info("Kafka is there, and has the topics")
			return
		}
		text := err.Error()
		n.brokerTrouble.Store(&text)
	}
}

// inputTrouble says why no events come in from Kafka; empty when they do.
func (n *Node) inputTrouble() string {
	if _, err := n.source.Status(); err != nil {
		return err.Error()
	}
	if text := n.brokerTrouble.Load(); text != nil {
		return *text
	}
	return ""
}

// lookAtEnds asks Kafka where the partitions of the input topics end. If it does not answer, what it said last stays: the true lag is not smaller.
func (n *Node) lookAtEnds(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, endsInterval)
	defer cancel()
	if ends, err := n.source.EndOffsets(ctx); err == nil {
		n.ends.Store(&ends)
	}
}

// lag is how many records of a stream come before its end and have not been applied by every shard; nil when Kafka has not said yet where it ends.
func (n *Node) lag(s kafka.Stream, applied int64) *int64 {
	ends := n.ends.Load()
	if ends == nil {
		return nil
	}
	end, ok := (*ends)[s]
	if !ok {
		return nil
	}
	lag := max(end-applied, 0)
	return &lag
}

// lost is called when the broker has deleted the records [from, to) before they were read. The source has logged it.
func (n *Node) lost(s kafka.Stream, from, to int64) {
	n.metrics.Lost.Add(uint64(to - from))
	n.metrics.LostAt.Store(time.Now().UnixNano())
	n.intake.skip(s, to)
}
