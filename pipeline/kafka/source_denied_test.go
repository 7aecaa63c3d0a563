package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// logLines is a log that can be read while it is written.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// with counts the lines that contain all of the words.
func (l *logLines) with(words ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for line := range strings.Lines(l.buf.String()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		n++
	}
	return n
}

func (l *logLines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// TestSourceDenied: a right that is lacking, from the start or withdrawn later, is waited for; status and log say what to grant, and when it is
// granted the source goes on.
func TestSourceDenied(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key   kmsg.Key
		err   *kerr.Error
		top   bool
		grant string
	}{
		{kmsg.Metadata, kerr.TopicAuthorizationFailed, false, `grant it Read and Describe on topic \"a\"`},
		{kmsg.Fetch, kerr.TopicAuthorizationFailed, false, `grant it Read and Describe on topic \"a\"`},
		{kmsg.OffsetFetch, kerr.TopicAuthorizationFailed, false, `grant it Read and Describe on topic \"a\"`},
		{kmsg.JoinGroup, kerr.GroupAuthorizationFailed, true, `Read on group \"dashi\"`},
		{kmsg.Heartbeat, kerr.GroupAuthorizationFailed, true, `Read on group \"dashi\"`},
	} {
		for _, later := range []bool{false, true} {
			if later && (c.key == kmsg.OffsetFetch || c.key == kmsg.JoinGroup) || !later && c.key == kmsg.Heartbeat {
				continue // nothing asks so then
			}
			t.Run(fmt.Sprintf("%s/later=%v", c.key.Name(), later), func(t *testing.T) {
				t.Parallel()
				b := openBroker(t, "", Topic{Name: "a", Partitions: 2})
				p := openProducer(t, b.Settings(), "a")
				produce(t, p, 0, 10)
				log := &logLines{}
				settings := sourceSettings(b, "a")
				settings.Log = log.logger()
				h := newRecorder(t)
				fault := kfake.Fault{Keys: []kmsg.Key{c.key}, Err: c.err, Count: -1, TopLevel: c.top}
				var faults *kfake.FaultHandle
				if !later {
					faults = b.cluster.Fault(fault)
				}
				s, stop := runSource(t, settings, h)
				if later {
					h.wait("records", func() bool { return h.count() == 10 })
					faults = b.cluster.Fault(fault)
				}
				h.wait("trouble", func() bool {
					_, trouble := s.Status()
					return errors.Is(trouble, c.err) && log.with("level=ERROR", c.err.Message, c.grant) > 0
				})
				faults.Remove()
				produce(t, openProducer(t, b.Settings(), "a"), 10, 10) // the first may remember that it was denied
				h.wait("records", func() bool { return len(slices.Compact(slices.Sorted(slices.Values(flat(h.values))))) == 20 })
				h.wait("the end of the trouble", func() bool {
					_, trouble := s.Status()
					return trouble == nil && log.with("level=INFO", "reading goes on") == 1
				})
				if n := log.with("level=ERROR"); n != 1 {
					t.Errorf("%d lines about one trouble", n)
				}
				stop()
			})
		}
	}
}

// TestMakeTopicsDenied: who may not create topics needs not to, when they exist.
func TestMakeTopicsDenied(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 1})
	faults := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	if err := MakeTopics(testContext(t), b.Settings(), Topic{"a", 1}); err != nil {
		t.Errorf("topic exists: %v", err)
	}
	err := MakeTopics(testContext(t), b.Settings(), Topic{"a", 1}, Topic{"b", 1})
	if !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.Contains(err.Error(), `grant it Create on topic "b", or create it`) {
		t.Errorf("topic is missing: %v", err)
	}
	if Wrong(err) {
		t.Error("it may be granted")
	}
	faults.Remove()
	b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.InvalidTopicException, Count: -1, Topic: "no topic"})
	if err := MakeTopics(testContext(t), b.Settings(), Topic{"no topic", 1}); !Wrong(err) {
		t.Errorf("no name of a topic: %v", err)
	}
}

// TestDeadLettersDenied: letters wait while they may not be written, and the status says what to grant.
func TestDeadLettersDenied(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "dead", Partitions: 1})
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.Metadata} {
		log := &logLines{}
		settings := b.Settings()
		settings.Log = log.logger()
		d, err := NewDeadLetters(settings, "dead")
		if err != nil {
			t.Fatal(err)
		}
		faults := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: kerr.TopicAuthorizationFailed, Count: -1})
		if err := d.Put(testContext(t), DeadLetter{Reason: "malformed", Value: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		h := newRecorder(t)
		h.wait("trouble", func() bool {
			err := d.Status()
			return err != nil && strings.Contains(err.Error(), `grant it Write and Describe on topic "dead"`)
		})
		faults.Remove()
		h.wait("the letter", func() bool { return d.Floor(Stream{}, 1) == 1 && d.Status() == nil })
		if n := log.with("level=ERROR"); n != 1 || log.with("written again") != 1 {
			t.Errorf("%d lines about one trouble:\n%s", n, log.buf.String())
		}
		d.Close()
	}
}

// TestOutletDenied: an outlet that may not write says what to grant, and publishes when it is granted.
func TestOutletDenied(t *testing.T) {
	t.Parallel()
	for _, fault := range []kfake.Fault{
		{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed},
		{Keys: []kmsg.Key{kmsg.Metadata}, Err: kerr.TopicAuthorizationFailed},
		{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.TransactionalIDAuthorizationFailed, TopLevel: true},
		{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.GroupAuthorizationFailed},
	} {
		t.Run(fault.Keys[0].Name(), func(t *testing.T) {
			t.Parallel()
			b := openBroker(t, "", Topic{Name: "out", Partitions: 1})
			outlets, err := NewOutlets(OutletSettings{Settings: b.Settings(), Cluster: "c", Topic: "out"})
			if err != nil {
				t.Fatal(err)
			}
			defer outlets.Close()
			fault.Count = -1
			faults := b.cluster.Fault(fault)
			publish := func() error {
				o, _, err := outlets.Open(testContext(t), 0)
				if err == nil {
					_, err = o.Publish(testContext(t), 0, 1, []Message{{Key: []byte("k"), Value: []byte("v")}})
				}
				return err
			}
			err = publish()
			if !errors.Is(err, fault.Err) || !strings.Contains(err.Error(), `grant it Read, Write and Describe on topic "out"`) {
				t.Errorf("error %v", err)
			}
			faults.Remove()
			if err := publish(); err != nil {
				t.Error(err)
			}
		})
	}
}
