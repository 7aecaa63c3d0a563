package node

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"time"

	"dashi/node/cookbook"
	"dashi/node/reread"
	"dashi/pipeline/kafka"
)

// kafkaClients are how the node reaches Kafka.
type kafkaClients struct {
	broker   *kafka.Broker // nil with a real Kafka
	settings kafka.Settings
	producer *kafka.Producer // of the HTTP intake
	dead     *kafka.DeadLetters
	outlets  *kafka.Outlets
	formats  map[string]*cookbook.Format // by input topic
	source   *kafka.Source
	trouble  atomic.Pointer[string]                 // why the topics could not be made yet; nil: they are there
	ends     atomic.Pointer[map[kafka.Stream]int64] // of the input partitions, some seconds ago; nil: not known yet
}

// sessionTimeout is how long the partitions of a dead node wait for it: the least that brokers allow by default.
const sessionTimeout = 6 * time.Second

// openKafka opens the broker, if it is embedded, then everything that writes to Kafka, and makes the source, which does not read yet.
func (n *Node) openKafka(ctx context.Context) error {
	k := &n.settings.Kafka
	n.kafka.formats = map[string]*cookbook.Format{}
	program, err := n.target()
	if err != nil {
		return err
	}
	if err := n.checkFormats(program); err != nil {
		return err
	}
	for _, in := range k.Inputs {
		n.kafka.formats[in.Topic] = &cookbook.Format{Name: in.Decoder}
	}
	n.kafka.settings = kafka.Settings{
		Brokers:  k.Brokers,
		ClientID: "dashi",
		TLS:      kafka.TLS(k.TLS),
		SASL:     kafka.SASL(k.SASL),
		Log:      kafka.Collapse(n.log),
	}
	if k.Embedded.Listen != "" {
		if err := n.openBroker(); err != nil {
			return err
		}
	}
	if n.kafka.producer, err = kafka.NewProducer(kafka.ProducerSettings{Settings: n.kafka.settings, Topic: k.Inputs[0].Topic}); err != nil {
		return err
	}
	n.onClose(func() error { n.kafka.producer.Close(); return nil })
	if n.kafka.broker == nil {
		if err := n.makeTopics(ctx); err != nil {
			return err
		}
	}
	if n.kafka.dead, err = kafka.NewDeadLetters(n.kafka.settings, k.Dead); err != nil {
		return err
	}
	n.onClose(func() error { n.kafka.dead.Close(); return nil })
	if n.kafka.outlets, err = kafka.NewOutlets(kafka.OutletSettings{Settings: n.kafka.settings, Cluster: n.settings.Cluster, Topic: k.Activations}); err != nil {
		return err
	}
	n.onClose(func() error { n.kafka.outlets.Close(); return nil })
	n.reread = &reread.Topics{Kafka: n.kafka.settings, Inputs: k.Inputs, Dead: k.Dead, Producer: n.kafka.producer, Webhook: n.webhook}
	for _, h := range n.shards {
		n.publishers = append(n.publishers, &publisher{n: n, h: h})
	}
	if err := n.openSource(); err != nil {
		return err
	}
	return n.openWebhooks()
}

// openBroker opens the embedded broker, and has everything here reach it within the process.
func (n *Node) openBroker() error {
	k, quiet := &n.settings.Kafka, n.kafka.settings.Log
	broker, err := kafka.OpenBroker(kafka.BrokerSettings{
		Addr:       k.Embedded.Listen,
		Dir:        filepath.Join(n.settings.Data, "kafka"),
		Partitions: int32(k.Partitions),
		Topics:     n.topics(),
		Retention:  kafka.Retention{Bytes: k.Embedded.RetentionBytes, Age: k.Embedded.RetentionTime},
		Log:        quiet, // it complains of a full disk with every write
	})
	if err != nil {
		return err
	}
	n.kafka.broker = broker
	n.onClose(broker.Close)
	n.kafka.settings = broker.Settings()
	n.kafka.settings.Log = quiet
	n.kafka.settings.Compression = "none" // what stays in the process is not worth compressing
	return nil
}

// openSource makes the intake and the source that will hand it records.
func (n *Node) openSource() (err error) {
	n.intake = newIntake(n)
	settings := kafka.SourceSettings{Settings: n.kafka.settings, Group: n.settings.Cluster, Lost: n.lost}
	for _, in := range n.settings.Kafka.Inputs {
		settings.Topics = append(settings.Topics, in.Topic)
	}
	if n.gossip != nil { // a node that comes back at once has its partitions again, and no other node waits for that
		settings.InstanceID, settings.SessionTimeout = n.identity.member(), sessionTimeout
	}
	n.kafka.source, err = kafka.NewSource(settings, n.intake)
	return err
}

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
	defer n.awaits("")
	for start := time.Now(); ; {
		err := n.tryTopics(ctx)
		if err == nil || ctx.Err() != nil || kafka.Wrong(err) {
			return err
		}
		if time.Since(start) > brokerPatience {
			n.log.Warn("opening without Kafka: look-ups are answered, events and activations wait until it is there", "error", err)
			text := err.Error()
			n.kafka.trouble.Store(&text)
			return nil
		}
		n.awaits("for Kafka: " + err.Error())
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
	return kafka.MakeTopics(ctx, n.kafka.settings, n.topics()...)
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
			n.kafka.trouble.Store(nil)
			n.log.Info("Kafka is there, and has the topics")
			return
		}
		text := err.Error()
		n.kafka.trouble.Store(&text)
	}
}

// inputTrouble says why no events come in from Kafka; empty when they do.
func (n *Node) inputTrouble() string {
	if _, err := n.kafka.source.Status(); err != nil {
		return err.Error()
	}
	if text := n.kafka.trouble.Load(); text != nil {
		return *text
	}
	return ""
}

// lookAtEnds asks Kafka where the partitions of the input topics end. If it does not answer, what it said last stays: the true lag is not smaller.
func (n *Node) lookAtEnds(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, endsInterval)
	defer cancel()
	if ends, err := n.kafka.source.EndOffsets(ctx); err == nil {
		n.kafka.ends.Store(&ends)
	}
}

// lag is how many records of a stream come before its end and have not been applied by every shard; nil when Kafka has not said yet where it ends.
func (n *Node) lag(s kafka.Stream, applied int64) *int64 {
	ends := n.kafka.ends.Load()
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

// readPatience is how long the disk of a node may hang, or be full, before the node leaves the consumer group: longer than a hiccup, since others who take its
// partitions read them again from the marks.
const readPatience = 5 * time.Second

// read reads events until ctx is done. While the log of this node takes nothing, the node is mute and no event that it reads reaches a shard; so it leaves
// its partitions to the others, and comes back when the disk answers. A node by itself has nobody to leave them to.
func (n *Node) read(ctx context.Context) error {
	for ctx.Err() == nil {
		session, leave := context.WithCancel(ctx)
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			every(session, tickInterval, func() {
				if n.host.Stalled() > readPatience && len(n.directory.State().Members) > 1 {
					n.log.Warn("the disk takes nothing: others read the events that this node read")
					leave()
				}
			})
		}()
		err := n.kafka.source.Run(session)
		leave()
		<-watched
		if err != nil {
			return err
		}
		n.awaitDisk(ctx)
	}
	return nil
}

// awaitDisk returns when the disk takes what is written, or ctx is done.
func (n *Node) awaitDisk(ctx context.Context) {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	every(waiting, tickInterval, func() {
		if n.host.Stalled() == 0 {
			stop()
		}
	})
}
