package main_test

import (
	le "encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// frames are where the frames of a log segment begin, behind its header, and how much of it a power cut leaves for certain: what was synced, as frames
// after it say, and what is always synced, which the directory's entries and the stable values are. shard/wal/FORMAT.md has the bytes.
func frames(t testing.TB, segment uint32, b []byte) (starts []int, end, floor int) {
	t.Helper()
	const header, head, kindSet, directory = 32, 48, 7, 1 << 20
	at := header
	for at+head <= len(b) && b[at+4] == 'd' && b[at+5] == 'g' {
		size := (head + int(le.LittleEndian.Uint32(b[at+8:])) + 7) &^ 7
		synced := le.LittleEndian.Uint64(b[at+40:])
		if uint32(synced>>32) == segment {
			floor = max(floor, int(uint32(synced)))
		}
		starts = append(starts, at)
		at += size
		if b[starts[len(starts)-1]+6] == kindSet || le.LittleEndian.Uint32(b[starts[len(starts)-1]+12:]) == directory {
			floor = max(floor, at)
		}
	}
	return starts, at, floor
}

// powerCut makes of a node that was killed one whose machine has lost power: the boot is another, and the log ends anywhere behind what was synced. It says how many frames are gone.
func (n *node) powerCut() (gone int) {
	n.t.Helper()
	segments, err := filepath.Glob(filepath.Join(n.data, "shards", "log", "*.log"))
	check(n.t, err)
	slices.Sort(segments)
	last := segments[len(segments)-1]
	b, err := os.ReadFile(last)
	check(n.t, err)
	var number uint32
	_, err = fmt.Sscanf(filepath.Base(last), "%d.log", &number)
	check(n.t, err)
	starts, end, floor := frames(n.t, number, b)
	loose := slices.DeleteFunc(slices.Clone(starts), func(at int) bool { return at < floor })
	if len(loose) > 0 {
		keep := rand.IntN(len(loose) + 1)
		gone = len(loose) - keep
		if gone > 0 {
			clear(b[loose[keep]:end])
			check(n.t, os.WriteFile(last, b, 0o600))
		}
	}
	mark := fmt.Sprintf("dashi 1 open %d\n", rand.Uint64())
	mark += fmt.Sprintf("%08x\n", crc32.Checksum([]byte(mark), crc32.MakeTable(crc32.Castagnoli)))
	check(n.t, os.WriteFile(filepath.Join(n.data, "shards", "opened"), []byte(mark), 0o600))
	return gone
}

// The power of all machines goes at once, again and again, under a stream of events: each has lost another part of the end of its log. All shards go back to a state
// in which they agree, and everything is there once: every event, whoever it was passed on to, and every activation. The status says what happened.
func TestPowerCut(t *testing.T) {
	for _, size := range []int{1, 3, 4} { // with four, each holds a part of the shards
		t.Run(fmt.Sprint("nodes=", size), func(t *testing.T) {
			recipe := filepath.Join(t.TempDir(), "cluster.yml")
			check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
			tr := &trial{fleet: newFleet(t, size, recipe), people: 40, pause: 5 * time.Millisecond}
			tr.about = func(round, i int) string {
				if round%2 == 0 {
					return fmt.Sprintf(`"userId":"u%d","anonymousId":"d%d"`, i, i)
				}
				return fmt.Sprintf(`"anonymousId":"d%d"`, i) // who is passed on to the user's shard
			}
			tr.begin()
			cuts := 4
			if testing.Short() {
				cuts = 2
			}
			for k := range cuts {
				tr.recovered(fmt.Sprint("before power cut ", k+1))
				<-time.After(time.Duration(rand.IntN(300)) * time.Millisecond) // the moment
				gone := 0
				for _, n := range tr.nodes {
					n.kill()
				}
				for _, n := range tr.nodes {
					gone += n.powerCut()
				}
				t.Logf("%d frames of all logs are gone", gone)
				for _, n := range tr.nodes {
					n.launch()
				}
				for _, n := range tr.nodes {
					n.ready()
				}
			}
			tr.recovered("after the last")
			for _, n := range tr.nodes {
				text := n.must("status")
				if !strings.Contains(text, "recovered from power loss at ") {
					t.Errorf("the status says nothing of it:\n%s", text)
				}
				if n == tr.nodes[0] {
					for line := range strings.Lines(text) {
						if strings.HasPrefix(line, "recovery") {
							t.Log(strings.TrimSpace(line))
						}
					}
				}
			}
			tr.end(nil)
		})
	}
}

// One of three machines loses power: the others have everything, and it is brought that. Then two do: the third, which runs on, goes back with them to what is left, which is
// all that it has.
func TestPowerCutOfSome(t *testing.T) {
	recipe := filepath.Join(t.TempDir(), "cluster.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	tr := &trial{fleet: newFleet(t, 3, recipe), people: 40, pause: 50 * time.Millisecond}
	tr.begin()
	tr.recovered("before")
	n := tr.nodes[1]
	n.kill()
	n.powerCut()
	n.start()
	tr.recovered("after")
	if text := n.must("status"); strings.Contains(text, "power loss") {
		t.Errorf("the status:\n%s", text)
	}
	if !strings.Contains(n.stderr.String(), "comes back as a new one") {
		t.Errorf("it is who it was: %s", n.stderr.String())
	}
	for _, i := range []int{0, 2} {
		tr.nodes[i].kill()
		tr.nodes[i].powerCut()
	}
	tr.nodes[0].launch()
	eventually(t, wait, "the node says why it is not open", func() error {
		if r := tr.nodes[0].cli("status"); r.code != 0 || !strings.Contains(r.stdout, "not ready") || !strings.Contains(r.stdout, "recovery") {
			return fmt.Errorf("code %d: %s", r.code, r.stdout)
		}
		return nil
	})
	tr.nodes[2].launch()
	tr.nodes[0].ready()
	tr.nodes[2].ready()
	tr.recovered("after that of two")
	if text := tr.nodes[1].must("status"); !strings.Contains(text, "recovered from power loss at ") || !strings.Contains(n.stderr.String(), "opening again") {
		t.Errorf("the status:\n%s", text)
	}
	tr.end(nil)
}
