package kafka

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// denied says whether an error is that the Kafka user lacks a right. That is waited for, like a topic that is missing: whoever looks after Kafka mends
// both, and until then the node has look-ups to answer.
func denied(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed) ||
		errors.Is(err, kerr.TransactionalIDAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) ||
		errors.Is(err, kerr.SaslAuthenticationFailed)
}

// fatal says whether an error is one for which waiting will not help.
func fatal(err error) bool {
	return errors.Is(err, kerr.InvalidGroupID) ||
		errors.Is(err, kerr.InconsistentGroupProtocol) || errors.Is(err, kerr.InvalidTopicException) ||
		errors.Is(err, kerr.FencedInstanceID) || errors.Is(err, kgo.ErrClientClosed)
}

// note keeps why nothing is read, for Status.
func (s *Source) note(err error) {
	s.mu.Lock()
	s.trouble, s.failed = err, time.Now()
	s.mu.Unlock()
}

// fail is note, and logs it once.
func (s *Source) fail(err error) {
	kind := troubleOf(err)
	s.mu.Lock()
	s.trouble, s.failed = err, time.Now()
	tell := s.told != kind
	s.told = kind
	s.mu.Unlock()
	switch {
	case !tell:
	case denied(err):
		s.log.Error("kafka: may not read: waiting for the rights", "topics", s.settings.Topics, "error", err)
	default:
		s.log.Warn("kafka: cannot read: waiting", "topics", s.settings.Topics, "error", err)
	}
}

// recovered notes, and logs, that nothing keeps it from reading any more, but for topics that are held.
func (s *Source) recovered() {
	s.mu.Lock()
	tell := s.told != "" && s.held == nil
	if s.trouble = s.held; s.held == nil {
		s.told = ""
	}
	s.mu.Unlock()
	if tell {
		s.log.Info("kafka: reading goes on", "topics", s.settings.Topics)
	}
}

// missingTopic is an input topic that does not exist.
type missingTopic struct{ name, at string }

func (e *missingTopic) Error() string {
	return fmt.Sprintf("topic %q does not exist at Kafka %s: waiting for it (create it, or check kafka.inputs)", e.name, e.at)
}

// troubleOf names a trouble for telling one from another: brokers that are away refuse connections at one time and are silent at another, each at its own
// address, and are one trouble.
func troubleOf(err error) string {
	var code *kerr.Error
	var missing *missingTopic
	var name *net.DNSError
	switch {
	case errors.As(err, &code):
		return code.Message
	case errors.As(err, &missing):
		return missing.Error()
	case errors.As(err, &name):
		return "no such host"
	}
	return "away"
}
