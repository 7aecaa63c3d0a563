package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// realKafkaEnv makes the tests of this file run: "host:port" of a broker, or "jars" to start Apache Kafka from Maven's
// repository, which needs java, mvn and, the first time, 100 MB of downloads (into Maven's own cache).
const realKafkaEnv = "DASHI_REAL_KAFKA"

const realKafkaVersion = "4.1.0"

func realKafka(t *testing.T) Settings {
	t.Helper()
	addr := os.Getenv(realKafkaEnv)
	switch addr {
	case "":
		t.Skipf("no real broker: set %s to host:port, or to jars to start one", realKafkaEnv)
	case "jars":
		for _, program := range []string{"java", "mvn"} {
			if _, err := exec.LookPath(program); err != nil {
				t.Skipf("no real broker: %v", err)
			}
		}
		addr = startKafka(t)
	}
	return Settings{Brokers: []string{addr}, Log: testLog(t)}
}

func startKafka(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(program string, args ...string) string {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Skipf("no real broker: %s: %v: %s", program, err, out)
		}
		return string(out)
	}
	write("pom.xml", `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>d</groupId><artifactId>d</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>`+realKafkaVersion+`</version></dependency></dependencies></project>`)
	run("mvn", "-q", "-B", "dependency:build-classpath", "-Dmdep.outputFile=classpath")
	classpath, err := os.ReadFile(filepath.Join(dir, "classpath"))
	if err != nil {
		t.Fatal(err)
	}
	broker, controller := freePort(t), freePort(t)
	write("server.properties", fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
controller.listener.names=CONTROLLER
log.dirs=%[3]s/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
`, broker, controller, dir))
	run("java", "-cp", string(classpath), "kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", "server.properties")
	cmd := exec.Command("java", "-Xmx512m", "-cp", string(classpath), "kafka.Kafka", "server.properties")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	deadline := time.Now().Add(testTimeout)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		err := Ping(ctx, Settings{Brokers: []string{broker}})
		cancel()
		if err == nil {
			return broker
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestRealKafka is the life of an event against a broker that this project did not choose the behaviour of.
func TestRealKafka(t *testing.T) {
	settings := realKafka(t)
	ctx := testContext(t)
	suffix := fmt.Sprintf("-%x", rand.Uint32())
	in, out, dead := "in"+suffix, "out"+suffix, "dead"+suffix
	if err := MakeTopics(ctx, settings, Topic{in, 4}, Topic{out, 8}, Topic{dead, 1}); err != nil {
		t.Fatal(err)
	}

	t.Run("source", func(t *testing.T) {
		p := openProducer(t, settings, in)
		produceEventually(t, p, 0, 1000)
		h := &committer{recorder: newRecorder(t)}
		var stop func()
		s := SourceSettings{Settings: settings, Group: "g" + suffix, Topics: []string{in}}
		h.source, stop = runSource(t, s, h)
		h.wait("records", func() bool { return h.count() == 1000 })
		next, _ := h.source.Status()
		ends, err := h.source.EndOffsets(ctx)
		if err != nil || fmt.Sprint(next) != fmt.Sprint(ends) {
			t.Errorf("next %v, ends %v, error %v", next, ends, err)
		}
		stop()
		if n := sum(committed(t, settings, "g"+suffix, in)); n != 1000 {
			t.Errorf("%d committed", n)
		}
		h2 := newRecorder(t)
		_, stop2 := runSource(t, s, h2)
		produceEventually(t, p, 1000, 10)
		h2.wait("the rest", func() bool { return h2.count() == 10 })

		if _, err := admin(t, settings).DeleteTopic(ctx, in); err != nil {
			t.Fatal(err)
		}
		h2.wait("the old topic to go", func() bool { return len(h2.next) == 0 })
		if err := MakeTopics(ctx, settings, Topic{in, 4}); err != nil {
			t.Fatal(err)
		}
		produceEventually(t, openProducer(t, settings, in), 2000, 5)
		h2.wait("the new topic", func() bool { return h2.count() == 15 })
		stop2()
		if got := h2.all(); !slices.Equal(got, append(numbered(1000, 10), numbered(2000, 5)...)) {
			t.Errorf("got %v", got)
		}
	})

	t.Run("dead letters", func(t *testing.T) {
		d, err := NewDeadLetters(settings, dead)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := d.Put(ctx, DeadLetter{Reason: "too_large", Value: make([]byte, 5<<20), Key: make([]byte, 1<<20)}); err != nil {
			t.Fatal(err)
		}
		if err := d.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		enough := errors.New("enough")
		err = Tail(ctx, settings, dead, TailFrom{Start: true}, func(_ int32, r *Record) error {
			if len(r.Value) != deadLetterBytes {
				t.Errorf("%d bytes", len(r.Value))
			}
			return enough
		})
		if !errors.Is(err, enough) {
			t.Error(err)
		}
	})

	t.Run("outlet", func(t *testing.T) {
		open := func() *Outlets {
			o, err := NewOutlets(OutletSettings{Settings: settings, Cluster: "c" + suffix, Topic: out})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(o.Close)
			return o
		}
		o := open()
		old, position := openOutlet(t, o, 1)
		if !o.implicit {
			t.Error("transaction.version 2 is not seen")
		}
		start := time.Now()
		for range 50 {
			position = publish(t, old, position, 40)
		}
		t.Logf("%v a transaction of 40", time.Since(start)/50)
		young, at := openOutlet(t, open(), 1)
		if at != position {
			t.Errorf("opened at %d, want %d", at, position)
		}
		if _, err := old.Publish(ctx, position, position+1, entries(position, 1)); !errors.Is(err, ErrFenced) {
			t.Errorf("the older one: %v", err)
		}
		// Cut it off at random moments. What it says afterwards is what is there.
		random := rand.New(rand.NewPCG(1, 2))
		unknown := 0
		for range 60 {
			cut, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(60_000))*time.Microsecond)
			p, err := young.Publish(cut, at, at+20, entries(at, 20))
			cancel()
			switch {
			case err == nil, errors.Is(err, ErrMoved):
				at = p
			case errors.Is(err, ErrFenced):
				t.Fatal(err)
			default:
				unknown++
			}
		}
		if p, err := young.Publish(ctx, at, at, nil); errors.Is(err, ErrMoved) {
			at = p
		} else if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d of 60 were cut off, position %d", unknown, at)
		at = publish(t, young, at, 3000)
		_, again := openOutlet(t, open(), 1)
		if again != at {
			t.Errorf("opened at %d, want %d", again, at)
		}
		checkOnce(t, readAll(t, settings, out), at)
	})
}

// produceEventually is produce for a topic that the brokers may not all know yet.
func produceEventually(t *testing.T, p *Producer, from, n int) {
	t.Helper()
	for {
		messages := make([]Message, n)
		for i := range messages {
			messages[i] = Message{Key: fmt.Appendf(nil, "k%d", from+i), Value: fmt.Appendf(nil, "v%d", from+i)}
		}
		err := p.Produce(testContext(t), "", messages)
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "UNKNOWN_TOPIC") {
			t.Fatal(err)
		}
	}
}
