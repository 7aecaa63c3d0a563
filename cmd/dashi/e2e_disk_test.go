package main_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// slowDisk puts a node's directory on a file system of its own that can be made to hang, before the node is started. It says whether that can be done here.
func slowDisk(t *testing.T, dir string) bool {
	image := filepath.Join(t.TempDir(), "disk")
	check(t, os.WriteFile(image, nil, 0o600))
	check(t, os.Truncate(image, 512<<20))
	for _, c := range [][]string{{"mkfs.ext4", "-q", "-F", image}, {"mount", "-o", "loop", image, dir}, {"fsfreeze", "-f", dir}, {"fsfreeze", "-u", dir}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Logf("%v: %v: %s", c, err, out)
			return false
		}
		if c[0] == "mount" {
			t.Cleanup(func() {
				if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
					t.Errorf("cannot unmount: %v: %s", err, out)
				}
			})
		}
	}
	return true
}

// The disk of a node hangs: the others lead its shards, events and look-ups go on, it and they say so, and when the disk answers again it goes on by itself.
func TestSlowDisk(t *testing.T) {
	recipe := filepath.Join(t.TempDir(), "cluster.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	tr := &trial{people: 40, pause: 20 * time.Millisecond}
	var slow *node
	tr.fleet = newFleetIn(t, nil, func(n *node) {
		if slow == nil {
			if slow = n; !slowDisk(t, n.data) {
				t.Skip("no disk can be made to hang here: that takes root, a loop device, mkfs.ext4 and fsfreeze")
			}
		}
	}, 3, recipe)
	t.Cleanup(func() { _ = exec.Command("fsfreeze", "-u", slow.data).Run() }) // before the node is ended: a process does not end while its disk hangs
	tr.begin()
	tr.recovered("before")
	freeze := func(how string) {
		t.Helper()
		if out, err := exec.Command("fsfreeze", how, slow.data).CombinedOutput(); err != nil {
			t.Fatalf("fsfreeze %s: %v: %s", how, err, out)
		}
	}
	read := func(nodes []*node) (partitions int) {
		t.Helper()
		for _, n := range nodes {
			st := decode[struct {
				Kafka struct{ Streams []struct{ Partition int } }
			}](t, n.ask(http.StatusOK, "GET", "/v1/status", ""))
			partitions += len(st.Kafka.Streams)
		}
		return partitions
	}
	partitions := read(tr.nodes)
	eventually(t, wait, "the node has the profile that it is asked for below", func() error {
		if status, body, err := slow.try("GET", "/v1/profiles/user_id:u1", ""); err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %s %v", status, body, err)
		}
		return nil
	})
	stalls := func() (n int) {
		t.Helper()
		_, rest, _ := strings.Cut(slow.ask(http.StatusOK, "GET", "/metrics", ""), "\ndashi_disk_stalls_total ")
		_, err := fmt.Sscan(rest, &n)
		check(t, err)
		return n
	}
	before := stalls() // the machine's own disk may be slow too
	freeze("-f")
	start := time.Now()
	others := tr.nodes[1:]
	eventually(t, wait, "others lead", func() error {
		for _, n := range others {
			st := decode[statusOf](t, n.ask(http.StatusOK, "GET", "/v1/status", ""))
			for i, s := range st.Shards {
				if s.Leader == "n1" || s.Leader == "" {
					return fmt.Errorf("shard %d is led by %q", i, s.Leader)
				}
			}
		}
		return nil
	})
	t.Logf("others lead after %.1f s", time.Since(start).Seconds())
	sent := uint64(tr.sent.Load())
	eventually(t, wait, "events go on", func() error {
		if st := decode[statusOf](t, others[0].ask(http.StatusOK, "GET", "/v1/status", "")); st.Events.Applied <= sent {
			return fmt.Errorf("%d applied", st.Events.Applied)
		}
		return nil
	})
	slow.ask(http.StatusOK, "GET", "/v1/profiles/user_id:u1", "") // of its own replica
	eventually(t, wait, "all say so", func() error {
		own, theirs := slow.cli("status"), others[1].cli("status")
		if own.code != 0 || !strings.Contains(own.stdout, "the disk has not answered for") || !strings.Contains(own.stdout, "disk stalled") {
			return errors.New(own.stdout + own.stderr)
		}
		if theirs.code != 0 || !strings.Contains(theirs.stdout, "node n1: its disk does not answer, or is full") {
			return errors.New(theirs.stdout + theirs.stderr)
		}
		if n := stalls(); n <= before {
			return fmt.Errorf("the metrics count %d stalls, as before", n)
		}
		if text := slow.ask(http.StatusOK, "GET", "/metrics", ""); !strings.Contains(text, "\ndashi_disk_stalled_seconds ") || strings.Contains(text, "\ndashi_disk_stalled_seconds 0\n") {
			return errors.New("the metrics do not say that it lasts")
		}
		return nil
	})
	if text := slow.ask(http.StatusServiceUnavailable, "GET", "/readyz", ""); !strings.Contains(text, "the disk has not answered for") {
		t.Errorf("not ready: %s", text)
	}
	slow.ask(http.StatusOK, "GET", "/healthz", "")
	eventually(t, wait, "the others read what it read", func() error {
		if n := read(others); n < partitions {
			return fmt.Errorf("%d partitions of %d", n, partitions)
		}
		return nil
	})
	freeze("-u")
	tr.recovered("the disk hung")
	eventually(t, wait, "all is well again", func() error {
		for _, n := range tr.nodes {
			if st := decode[statusOf](t, n.ask(http.StatusOK, "GET", "/v1/status", "")); len(st.Trouble) > 0 {
				return fmt.Errorf("trouble %q", st.Trouble)
			}
		}
		return nil
	})
	if text := slow.must("status"); !strings.Contains(text, "the disk took more than 2 s") {
		t.Errorf("the status has forgotten it:\n%s", text)
	}
	tr.end(nil)
}
