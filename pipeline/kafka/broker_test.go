package kafka

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

func TestBrokerKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	b := openBroker(t, dir, Topic{Name: "events", Partitions: 3}, Topic{Name: "dead"})
	produce(t, openProducer(t, b.Settings(), "events"), 0, 1000)
	b.Close()
	b = openBroker(t, dir, Topic{Name: "events", Partitions: 3})
	produce(t, openProducer(t, b.Settings(), "events"), 1000, 10)
	n := 0
	for _, values := range readAll(t, b.Settings(), "events") {
		n += len(values)
	}
	if n != 1010 {
		t.Errorf("%d records, want 1010", n)
	}
}

func TestBrokerNamesWhatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	_, err = OpenBroker(BrokerSettings{Addr: addr, Dir: t.TempDir()})
	if !errors.Is(err, ErrAddrInUse) || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "--kafka") {
		t.Errorf("error %v", err)
	}
	dir := t.TempDir()
	openBroker(t, dir)
	_, err = OpenBroker(BrokerSettings{Addr: "127.0.0.1:0", Dir: dir})
	if !errors.Is(err, ErrDirInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
	if err := Ping(context.Background(), Settings{Brokers: []string{"not a host"}}); err == nil || !strings.Contains(err.Error(), "not a host") {
		t.Errorf("error %v", err)
	}
}

// TestRetention enforces both bounds, and leaves the last file of each partition (I9), whatever the records' timestamps say.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	open := func() *Broker {
		b, err := OpenBroker(BrokerSettings{Addr: "127.0.0.1:0", Dir: dir, Topics: []Topic{{"events", 2}},
			Retention: Retention{Bytes: 16 << 20, Age: -1}}) // files of 1 MiB
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	b := open()
	settings := b.Settings()
	settings.Compression = "none"
	p := openProducer(t, settings, "events")
	for range 8 {
		var messages []Message
		for i := range 100 {
			messages = append(messages, Message{Key: fmt.Appendf(nil, "%d", i), Value: make([]byte, 10<<10), Millis: 1})
		}
		if err := p.Produce(testContext(t), "", messages); err != nil {
			t.Fatal(err)
		}
	}
	client, err := settings.client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	files := func() []partitionFiles {
		partitions, err := listPartitions(dir)
		if err != nil {
			t.Fatal(err)
		}
		return partitions
	}
	size := func() (n int64) {
		for _, p := range files() {
			for _, s := range p.segments {
				n += s.size
			}
		}
		return n
	}
	ends := func() (ends [2]int64) {
		streams, err := endOffsets(testContext(t), b.Settings(), "events")
		if err != nil {
			t.Fatal(err)
		}
		for s, end := range streams {
			ends[s.Partition] = end
		}
		return ends
	}
	enforce := func(r Retention, after time.Duration) {
		if err := b.enforce(testContext(t), admin, r, time.Now().Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	want := ends()
	enforce(Retention{Bytes: 16 << 20, Age: time.Minute}, 0)
	if n := size(); n < 8e6 {
		t.Errorf("%d bytes are left, nothing should go", n)
	}
	enforce(Retention{Bytes: 5 << 20, Age: -1}, 0)
	if n := size(); n > 5<<20 || n < 3<<20 {
		t.Errorf("%d bytes stay of 8 MiB, want about 5", n)
	}
	enforce(Retention{Bytes: -1, Age: time.Minute}, time.Hour)
	for _, p := range files() {
		if len(p.segments) != 1 || p.segments[0].size == 0 {
			t.Errorf("%s/%d keeps %v, want its last file", p.topic, p.partition, p.segments)
		}
	}
	p.Close()
	client.Close()
	b.Close()
	b = open()
	if got := ends(); got != want {
		t.Errorf("ends %v after a restart, want %v", got, want)
	}
}

const crashDirEnv = "DASHI_KAFKA_CRASH_DIR"

// crashChild is a process that serves dir, and writes to it until it is killed: plain records, and transactions of
// an outlet. It prints what was acknowledged.
func crashChild(dir string) {
	fail := func(err error) {
		fmt.Println("error", err)
		os.Exit(1)
	}
	b, err := OpenBroker(BrokerSettings{Addr: "127.0.0.1:0", Dir: dir, Topics: []Topic{{Name: "events", Partitions: 4}, {Name: "activations", Partitions: 8}}})
	if err != nil {
		fail(err)
	}
	ctx := context.Background()
	producer, err := NewProducer(ProducerSettings{Settings: b.Settings(), Topic: "events"})
	if err != nil {
		fail(err)
	}
	outlets, err := NewOutlets(OutletSettings{Settings: b.Settings(), Cluster: "c", Topic: "activations"})
	if err != nil {
		fail(err)
	}
	go func() {
		for i := 0; ; i++ {
			var messages []Message
			for j := range 50 {
				messages = append(messages, Message{Key: fmt.Appendf(nil, "%d", j), Value: make([]byte, 500)})
			}
			if err := producer.Produce(ctx, "", messages); err != nil {
				fail(err)
			}
			fmt.Println("events", len(messages))
		}
	}()
	out, position, err := outlets.Open(ctx, 1)
	if err != nil {
		fail(err)
	}
	fmt.Println("opened", position)
	for {
		var messages []Message
		for i := range 16 {
			messages = append(messages, Message{Key: fmt.Appendf(nil, "%d", i), Value: fmt.Appendf(nil, "%d", position+uint64(i))})
		}
		position, err = out.Publish(ctx, position, position+16, messages)
		if err != nil {
			fail(err)
		}
		fmt.Println("published", position)
	}
}

// TestKill kills a process that serves and writes, at moments that hit different steps, again and again. What was
// acknowledged is there, and the activations have each entry once, in order.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	events, published := 0, uint64(0)
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), crashDirEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		killed := false
		for n := 0; lines.Scan(); {
			var what string
			var number uint64
			fmt.Sscan(lines.Text(), &what, &number)
			switch what {
			case "error":
				t.Errorf("round %d: %s", round, lines.Text())
			case "opened":
				if number < published {
					t.Errorf("round %d: opened at %d, %d were published", round, number, published)
				}
			case "events":
				events += int(number)
			case "published":
				published = number
				if n++; n >= 5+round && !killed {
					killed = true
					<-time.After(time.Duration(round*137) * time.Microsecond) // not to wait for something: to hit another instruction
					cmd.Process.Kill()
				}
			}
		}
		cmd.Wait()
		checkKilled(t, dir, round, events, published)
	}
}

func checkKilled(t *testing.T, dir string, round, events int, published uint64) {
	t.Helper()
	// A copy, so that the next round starts from what was killed and not from a clean close.
	copied := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-a", dir, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b := openBroker(t, copied)
	defer b.Close()
	n := 0
	for _, values := range readAll(t, b.Settings(), "events") {
		n += len(values)
	}
	if n < events {
		t.Errorf("round %d: %d events, %d were acknowledged", round, n, events)
	}
	outlets, err := NewOutlets(OutletSettings{Settings: b.Settings(), Cluster: "c", Topic: "activations"})
	if err != nil {
		t.Fatal(err)
	}
	defer outlets.Close()
	_, position, err := outlets.Open(testContext(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	if position < published {
		t.Errorf("round %d: position %d, %d was acknowledged", round, position, published)
	}
	checkOnce(t, readAll(t, b.Settings(), "activations"), position)
}

// checkOnce checks that the values are the numbers [0, n), each once, in order within a partition.
func checkOnce(t *testing.T, partitions map[int32][]string, n uint64) {
	t.Helper()
	seen := make(map[uint64]int)
	for p, values := range partitions {
		last := int64(-1)
		for _, v := range values {
			var number int64
			fmt.Sscan(v, &number)
			if number <= last {
				t.Errorf("partition %d: %d after %d", p, number, last)
			}
			last = number
			seen[uint64(number)]++
		}
	}
	for i := range n {
		if seen[i] != 1 {
			t.Errorf("entry %d is there %d times", i, seen[i])
		}
	}
	if uint64(len(seen)) != n {
		t.Errorf("%d entries, want %d", len(seen), n)
	}
}
