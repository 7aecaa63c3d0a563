package kafka

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestSourceReadsTheOthers: an input topic that may not be read, may not even be seen, or does not exist is waited for while the others are read,
// and so is one whose right is withdrawn.
func TestSourceReadsTheOthers(t *testing.T) {
	t.Parallel()
	allow := func(resource kmsg.ACLResourceType, name string, op kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{Resource: resource, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true}
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "admin"),
		kfake.SeedTopics(2, "a", "unreadable", "unseen"),
		kfake.User("PLAIN", "dashi", "dashi", allow(kmsg.ACLResourceTypeGroup, "dashi", kmsg.ACLOperationRead),
			allow(kmsg.ACLResourceTypeTopic, "a", kmsg.ACLOperationRead), allow(kmsg.ACLResourceTypeTopic, "missing", kmsg.ACLOperationRead),
			allow(kmsg.ACLResourceTypeTopic, "unreadable", kmsg.ACLOperationDescribe)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	as := func(user string) Settings {
		return Settings{Brokers: cluster.ListenAddrs(), SASL: SASL{Mechanism: "plain", User: user, Password: user}}
	}
	client, err := (&Settings{Brokers: cluster.ListenAddrs(), SASL: as("admin").SASL}).client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	admin := kadm.NewClient(client)
	rights := func(topic string) *kadm.ACLBuilder {
		return kadm.NewACLs().Allow("User:dashi").AllowHosts("*").Topics(topic).Operations(kadm.OpRead).ResourcePatternType(kadm.ACLPatternLiteral)
	}
	grant := func(topic string) {
		if _, err := admin.CreateACLs(testContext(t), rights(topic)); err != nil {
			t.Fatal(err)
		}
	}
	send := func(topic string, from int) { produce(t, openProducer(t, as("admin"), topic), from, 10) }

	for i, topic := range []string{"a", "unreadable", "unseen"} {
		send(topic, 10*i)
	}
	log := &logLines{}
	settings := SourceSettings{Settings: as("dashi"), Topics: []string{"unseen", "a", "unreadable", "missing"}}
	settings.Log = log.logger()
	h := newRecorder(t)
	s, _ := runSource(t, settings, h)
	reads := func(n int, trouble string) {
		t.Helper()
		h.wait("records, and trouble with "+trouble, func() bool {
			_, err := s.Status()
			got := len(slices.Compact(slices.Sorted(slices.Values(flat(h.values))))) // nothing is committed: a new session reads all again
			if trouble == "" {
				return got == n && err == nil
			}
			return got == n && err != nil && strings.Contains(err.Error(), trouble)
		})
	}
	reads(10, `cannot read topic "unseen"`)
	send("a", 30)
	reads(20, `cannot read topic "unseen"`)
	ends, err := s.EndOffsets(testContext(t))
	if err != nil || len(ends) != 2 {
		t.Errorf("ends %v, %v: of the topics that are read", ends, err)
	}
	grant("unseen")
	reads(30, `cannot read topic "unreadable"`)
	grant("unreadable")
	reads(40, `topic "missing" does not exist`)
	send("a", 40)
	reads(50, `topic "missing" does not exist`)
	// A reason that changes while it is held is told as it is now.
	if _, err := admin.DeleteACLs(testContext(t), rights("missing")); err != nil {
		t.Fatal(err)
	}
	reads(50, `cannot read topic "missing"`)
	grant("missing")
	reads(50, `topic "missing" does not exist`)
	if _, err := admin.CreateTopic(testContext(t), 2, 1, nil, "missing"); err != nil {
		t.Fatal(err)
	}
	send("missing", 50)
	reads(60, "")
	if n := log.with("level=INFO", "reading goes on"); n != 1 {
		t.Errorf("%d times the log says that reading goes on", n)
	}

	if _, err := admin.DeleteACLs(testContext(t), rights("unseen")); err != nil {
		t.Fatal(err)
	}
	h.wait("trouble", func() bool {
		_, err := s.Status()
		return errors.Is(err, kerr.TopicAuthorizationFailed)
	})
	send("a", 60)
	reads(70, `cannot read topic "unseen"`)
}
