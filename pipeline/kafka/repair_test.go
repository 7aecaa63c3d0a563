package kafka

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// live is the directory of a broker that is still running: what a kill would leave.
func live(t *testing.T, dir string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-a", dir, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return copied
}

// undo takes the last entries off a log of entries.
func undo(t *testing.T, path string, n int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var ends []int
	for at := 0; at < len(raw); {
		at += 8 + int(raw[at]) + int(raw[at+1])<<8
		ends = append(ends, at)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(ends[len(ends)-1-n])); err != nil {
		t.Fatal(err)
	}
	old := info.ModTime().Add(-time.Second) // it was written before the markers
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

// TestRepairHalfCommit goes through every state in which a kill within the end of a transaction can leave the files: markers, then
// the group's offset, then two entries of pids.log. The last transaction is there whole, with its position, or not at all.
func TestRepairHalfCommit(t *testing.T) {
	t.Parallel()
	const partitions = 3
	dir := t.TempDir()
	b := openBroker(t, dir, Topic{activations, partitions})
	out, position := openOutlet(t, openOutlets(t, b.Settings()), 1)
	for range 3 {
		position = publish(t, out, position, 40)
	}
	// A kill after: 0 to 3 markers; the offset; the end; the next epoch.
	for step := 0; step <= partitions+3; step++ {
		for torn := range 3 {
			t.Run(fmt.Sprintf("step=%d/torn=%d", step, torn), func(t *testing.T) {
				d := live(t, dir)
				pids := min(2, partitions+3-step)
				undo(t, filepath.Join(d, "pids.log"), pids)
				if step <= partitions {
					undo(t, filepath.Join(d, "groups.log"), 1)
				}
				for p := step; p < partitions; p++ {
					dropMarker(t, d, int32(p), torn)
				}
				checkRepaired(t, d, position, step > partitions)
			})
		}
	}
}

// dropMarker takes the last batch of a partition off: its index entry too, or (torn) leaves half of it.
func dropMarker(t *testing.T, dir string, partition int32, torn int) {
	t.Helper()
	files, err := listPartitions(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.topic != activations || f.partition != partition {
			continue
		}
		l, err := scanPartition(f, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		last := l.batches[len(l.batches)-1]
		if !last.control {
			t.Fatal("the last batch is no marker")
		}
		raw, err := os.ReadFile(f.data(0))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.dropLast(); err != nil {
			t.Fatal(err)
		}
		if torn > 0 {
			kept := raw[:len(raw)-int(last.size)/torn]
			if torn == 1 {
				kept = raw[:len(raw)-10]
			}
			if err := os.WriteFile(f.data(0), kept, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func checkRepaired(t *testing.T, dir string, position uint64, whole bool) {
	t.Helper()
	b := openBroker(t, dir)
	defer b.Close()
	o := openOutlets(t, b.Settings())
	defer o.Close()
	out, got := openOutlet(t, o, 1)
	want := position
	if !whole {
		want -= 40
	}
	if got != want {
		t.Errorf("position %d, want %d", got, want)
	}
	got = publish(t, out, got, 100)
	checkOnce(t, readAll(t, b.Settings(), activations), got)
}

// TestRepairOpenTransaction kills in the middle of a transaction, after each of its requests. The index entry of the last batch may be missing.
func TestRepairOpenTransaction(t *testing.T) {
	t.Parallel()
	for _, lostIndex := range []int{0, 7, indexEntry} {
		dir := t.TempDir()
		b := openBroker(t, dir, Topic{activations, 2})
		out, position := openOutlet(t, openOutlets(t, b.Settings()), 1)
		position = publish(t, out, position, 40)
		var at string
		b.cluster.ControlKey(kmsg.EndTxn.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
			at = live(t, dir)
			return nil, nil, false
		})
		if p, err := out.Publish(context.Background(), position, position+40, entries(position, 40)); err != nil || p != position+40 {
			t.Fatal(p, err)
		}
		if lostIndex > 0 {
			files, err := listPartitions(at)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				info, err := os.Stat(f.index(0))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Truncate(f.index(0), info.Size()-int64(lostIndex)); err != nil {
					t.Fatal(err)
				}
			}
		}
		checkRepaired(t, at, position, true)
	}
}

// TestRepairTornLogs: an entry that is cut off anywhere takes nothing else with it, before or after.
func TestRepairTornLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := openBroker(t, dir, Topic{activations, 1})
	out, position := openOutlet(t, openOutlets(t, b.Settings()), 1)
	position = publish(t, out, position, 5)
	for _, n := range []int{1, 9, 20} {
		d := live(t, dir)
		for _, name := range []string{"groups.log", "pids.log"} {
			f, err := os.OpenFile(filepath.Join(d, name), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(appendEntry(nil, bytes.Repeat([]byte("x"), 40))[:n]); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
		checkRepaired(t, d, position, true)
		// What was appended behind the cut is found again.
		again := live(t, d)
		os.Remove(filepath.Join(again, "session_state.json"))
		b2 := openBroker(t, again)
		if _, got := openOutlet(t, openOutlets(t, b2.Settings()), 1); got != position+100 {
			t.Errorf("position %d after another restart, want %d", got, position+100)
		}
	}
}

// Damage in the middle of a log had everything behind it cut off, as if it were a torn end. What is lost is told, in bytes.
func TestReadLogDamage(t *testing.T) {
	var raw []byte
	var starts []int
	for i := range 5 {
		starts = append(starts, len(raw))
		raw = appendEntry(raw, fmt.Appendf(nil, `{"n":%d,"text":"some text"}`, i))
	}
	size := starts[1]
	f := func(raw []byte, kept, logged string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "groups.log")
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, logged := range []string{logged, ""} { // the second time nothing is wrong
			var out bytes.Buffer
			got := ""
			err := readLog(path, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: withoutTime})), func(data []byte) { got += string(data[5]) })
			if err != nil || got != kept {
				t.Errorf("kept %q (%v), want %q", got, err, kept)
			}
			if out.Len() > 0 != (logged != "") || !strings.Contains(out.String(), logged) {
				t.Errorf("logged %q, want %q", out.String(), logged)
			}
		}
	}
	damaged := func(at ...int) []byte {
		d := bytes.Clone(raw)
		for _, i := range at {
			d[i] ^= 0x40
		}
		return d
	}
	f(raw, "01234", "")
	f(raw[:len(raw)-3], "0123", fmt.Sprintf("bytes=%d", size-3))
	for part := range 12 { // length, checksum, version, JSON
		f(damaged(starts[2]+part), "0134", fmt.Sprintf("at=%d bytes=%d kept_behind=2", starts[2], size))
	}
	f(damaged(starts[1]+20, starts[3]+20), "024", fmt.Sprintf("at=%d bytes=%d kept_behind=2", starts[1], 2*size))
	f(damaged(0), "1234", fmt.Sprintf("at=0 bytes=%d kept_behind=4", size))
	f(append(damaged(starts[2]), raw[:7]...), "0134", fmt.Sprintf("at=%d bytes=%d kept_behind=2", starts[2], size+7))
}

// What is cut off a partition is told, too.
func TestScanTellsWhatItCuts(t *testing.T) {
	var b batch
	b.add(&Message{Key: []byte("k"), Value: []byte("v")}, 5)
	raw := b.seal(nil, 7, 1, 0)
	p := partitionFiles{topic: "dashi.events", partition: 3, dir: t.TempDir(), segments: []segmentFile{{size: int64(len(raw) + 9)}}}
	if err := os.WriteFile(p.data(0), append(raw, raw[:9]...), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	l, err := scanPartition(p, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil || len(l.batches) != 1 {
		t.Fatal(l, err)
	}
	if want := fmt.Sprintf("topic=dashi.events partition=3 file=%s after_offset=%d bytes=9", p.data(0), l.batches[0].next-1); !strings.Contains(out.String(), want) {
		t.Errorf("logged %q, want %q", out.String(), want)
	}
}

func FuzzParseEntries(f *testing.F) {
	f.Add(appendEntry(appendEntry(nil, []byte("{}")), []byte(`{"type":"init"}`)))
	f.Add([]byte{2, 0, 0, 0, 1, 2, 3, 4, 5, 6})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var whole []byte
		n := parseEntries(raw, func(data []byte) { whole = appendEntry(whole, data) })
		if n > len(raw) {
			t.Fatal(n)
		}
		if n2 := parseEntries(whole, func([]byte) {}); n2 != len(whole) || n2 != n {
			t.Fatalf("%d of %d bytes parse again, %d at first", n2, len(whole), n)
		}
	})
}

func FuzzReadBatchInfo(f *testing.F) {
	var b batch
	b.add(&Message{Key: []byte("k"), Value: []byte("v")}, 5)
	f.Add(b.seal(nil, 7, 1, 0))
	f.Add(appendMarker(nil, 9, 0, 5, producer{7, 1}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bufio.NewReader(bytes.NewReader(raw))
		total := 0
		for {
			info, err := readBatchInfo(r)
			if err != nil {
				break
			}
			total += int(info.size)
		}
		if total > len(raw) {
			t.Fatalf("%d bytes of batches in %d", total, len(raw))
		}
	})
}

// TestMarker: the broker's own protocol library reads what is written here.
func TestMarker(t *testing.T) {
	var rb kmsg.RecordBatch
	if err := rb.ReadFrom(appendMarker(nil, 99, 3, 12345, producer{7, 2})); err != nil {
		t.Fatal(err)
	}
	var r kmsg.Record
	if err := r.ReadFrom(rb.Records); err != nil {
		t.Fatal(err)
	}
	var key kmsg.ControlRecordKey
	var value kmsg.EndTxnMarker
	if err := key.ReadFrom(r.Key); err != nil || key.Type != kmsg.ControlRecordKeyTypeAbort {
		t.Errorf("key %+v, %v", key, err)
	}
	if err := value.ReadFrom(r.Value); err != nil {
		t.Errorf("value %+v, %v", value, err)
	}
	if rb.FirstOffset != 99 || rb.PartitionLeaderEpoch != 3 || rb.MaxTimestamp != 12345 || rb.ProducerID != 7 || rb.ProducerEpoch != 2 || rb.NumRecords != 1 {
		t.Errorf("batch %+v", rb)
	}
}

func TestExpired(t *testing.T) {
	now := time.Unix(1000, 0)
	file := func(base, size, age int64) segmentFile {
		return segmentFile{base: base, size: size, written: now.Add(-time.Duration(age) * time.Second)}
	}
	partitions := []partitionFiles{
		{topic: "a", partition: 0, segments: []segmentFile{file(0, 100, 50), file(10, 100, 30), file(20, 100, 10)}},
		{topic: "a", partition: 1, segments: []segmentFile{file(0, 100, 40), file(7, 100, 5)}},
		{topic: "b", partition: 0, segments: []segmentFile{file(0, 1000, 900)}},
	}
	f := func(r Retention, want string) {
		t.Helper()
		got := ""
		for _, p := range expired(partitions, r, now) {
			got += fmt.Sprintf("%s-%d from %d;", p.topic, p.partition, p.segments[0].base)
		}
		if got != want {
			t.Errorf("%+v: %q, want %q", r, got, want)
		}
	}
	f(Retention{Bytes: -1, Age: -1}, "")
	f(Retention{Bytes: 500, Age: -1}, "")
	f(Retention{Bytes: 499, Age: -1}, "a-0 from 10;")
	f(Retention{Bytes: 350, Age: -1}, "a-0 from 10;a-1 from 7;")
	f(Retention{Bytes: 1, Age: -1}, "a-0 from 20;a-1 from 7;")
	f(Retention{Bytes: -1, Age: 35 * time.Second}, "a-0 from 10;a-1 from 7;")
	f(Retention{Bytes: 300, Age: 35 * time.Second}, "a-0 from 10;a-1 from 7;")
	f(Retention{Bytes: 1, Age: time.Second}, "a-0 from 20;a-1 from 7;")
}
