package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	logInterval   = 30 * time.Second // between log lines about the same trouble, when it goes on beside others
	topicInterval = 250 * time.Millisecond
	watchInterval = 2 * time.Second // one small metadata request
	watchTimeout  = 5 * time.Second // without an answer for so long the brokers are away

	// A right that is lacking shows at once, and again with every session. A session every five seconds is no load, and a trouble that has not shown for
	// that long is over.
	deniedInterval  = 5 * time.Second
	troubleInterval = 5 * time.Second
)

// inputTopic is what the brokers say of an input topic.
type inputTopic struct {
	id         [16]byte
	partitions int
	err        error // why it cannot be read; nil when it can
}

// inputs asks the brokers for the input topics.
func (s *Source) inputs(ctx context.Context, client *kgo.Client) (map[string]inputTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.IncludeTopicAuthorizedOperations = true // who may describe a topic need not have the right to read it
	for _, name := range s.settings.Topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, s.settings.wrap(err, "list topics")
	}
	topics := make(map[string]inputTopic, len(resp.Topics))
	for i := range resp.Topics {
		t := &resp.Topics[i]
		if t.Topic == nil {
			continue
		}
		in := inputTopic{id: t.TopicID, partitions: len(t.Partitions), err: kerr.ErrorForCode(t.ErrorCode)}
		const unknown, read = -1 << 31, 1 << kmsg.ACLOperationRead // brokers without ACLs, or that do not tell, say unknown
		if rights := t.AuthorizedOperations; in.err == nil && rights != unknown && rights&read == 0 {
			in.err = kerr.TopicAuthorizationFailed
		}
		topics[*t.Topic] = in
	}
	return topics, nil
}

// readable are those of the input topics that can be read, in the order of the settings, and why the first of the others cannot.
func (s *Source) readable(topics map[string]inputTopic) (names []string, trouble error) {
	for _, name := range s.settings.Topics {
		t, ok := topics[name]
		err := t.err
		switch {
		case ok && err == nil:
			names = append(names, name)
			continue
		case !ok, errors.Is(err, kerr.UnknownTopicOrPartition):
			err = &missingTopic{name, s.settings.at()}
		default:
			err = s.settings.wrap(err, "read topic %q", name)
		}
		if trouble == nil {
			trouble = err
		}
	}
	return names, trouble
}

// awaitTopics returns when topics exist that the Kafka user may read: their names, and what the brokers said of all. It notes why others are not read.
func (s *Source) awaitTopics(ctx context.Context, client *kgo.Client) (names []string, topics map[string]inputTopic, err error) {
	for waited := false; ; waited = true {
		unmade := makeTopics(ctx, &s.settings.Settings, kadm.NewClient(client), s.settings.Create)
		topics, err := s.inputs(ctx, client)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		names, trouble := s.readable(topics)
		if trouble != nil && unmade != nil {
			trouble = unmade
		}
		switch {
		case err != nil:
			trouble = err
		case fatal(trouble):
			return nil, nil, trouble
		case len(names) > 0:
			s.hold(trouble, waited)
			return names, topics, nil
		}
		s.fail(trouble)
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(topicInterval):
		}
	}
}

// hold takes down why some topics are not read while the others are; nil when all are.
func (s *Source) hold(trouble error, waited bool) {
	if trouble != nil {
		trouble = held(trouble)
	}
	s.mu.Lock()
	over := s.held != nil && trouble == nil
	s.held = trouble
	s.mu.Unlock()
	switch {
	case trouble != nil:
		s.fail(trouble)
	case over || waited:
		s.recovered()
	}
}

// watchTopics ends the session when a topic has another id than the streams that are read, or is gone, or when other topics can be read than are: the
// client itself would wait for ever for the old ones to come back. The client also waits for brokers silently, so it is watchTopics that notices that
// they are away; and it looks for added partitions only twice a minute, so watchTopics has it look at once. known is what the brokers said before the
// client began.
func (s *Source) watchTopics(ctx context.Context, asking, reading *kgo.Client, known map[string]inputTopic, stop context.CancelCauseFunc) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	gone, away := 0, false
	partitions := make(map[string]int, len(known))
	for name, t := range known {
		partitions[name] = t.partitions
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ask, cancel := context.WithTimeout(ctx, watchTimeout)
		topics, err := s.inputs(ask, asking)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				s.fail(err)
				away = true
			}
			continue
		}
		if s.moreOrLess(ctx, asking, topics) {
			stop(errInputs)
		}
		for name, t := range topics {
			if n := t.partitions; t.err == nil && n != partitions[name] {
				reading.ForceMetadataRefresh()
				partitions[name] = n
			}
		}
		s.mu.Lock()
		over := s.trouble != nil && (away || time.Since(s.failed) > troubleInterval)
		s.mu.Unlock()
		if over {
			s.recovered()
		}
		away = false
		missing := false
		s.mu.Lock()
		for stream := range s.claims {
			t, ok := topics[stream.Name]
			switch {
			case !ok || errors.Is(t.err, kerr.UnknownTopicOrPartition):
				missing = true
			case t.err == nil && t.id != stream.Topic:
				stop(fmt.Errorf("%w: %q", errRecreated, stream.Name))
			}
		}
		s.mu.Unlock()
		// A broker that has just started may not know every topic yet: missing once does not mean gone.
		if gone++; !missing {
			gone = 0
		} else if gone == 2 {
			stop(errRecreated)
		}
	}
}

// moreOrLess says whether a topic can be read that is not, or is read and may not be any more. Of those that are missing it makes what it should.
func (s *Source) moreOrLess(ctx context.Context, asking *kgo.Client, topics map[string]inputTopic) bool {
	s.mu.Lock()
	read := s.topics
	s.mu.Unlock()
	missing := false
	for _, name := range s.settings.Topics {
		t, ok := topics[name]
		switch reads := slices.Contains(read, name); {
		case ok && t.err == nil && !reads, ok && denied(t.err) && reads:
			return true
		case !ok || t.err != nil:
			missing = true
		}
	}
	if missing {
		unmade := makeTopics(ctx, &s.settings.Settings, kadm.NewClient(asking), s.settings.Create)
		_, trouble := s.readable(topics)
		if trouble != nil && unmade != nil {
			trouble = unmade
		}
		s.holdFor(trouble)
	}
	return false
}

// holdFor takes down that topics which are held are so for another reason than before.
func (s *Source) holdFor(trouble error) {
	s.mu.Lock()
	other := s.held != nil && trouble != nil && s.held.Error() != held(trouble).Error()
	s.mu.Unlock()
	if other {
		s.hold(trouble, false)
	}
}

func held(trouble error) error { return fmt.Errorf("%w; the other topics are read", trouble) }
