package group

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// childEnv says what a child process of a test does, and where.
const childEnv = "DASHI_GROUP_TEST_CHILD"

// child is the child's whole life; in the parent it does nothing.
func child() {
	what, dir, ok := strings.Cut(os.Getenv(childEnv), ":")
	if !ok {
		return
	}
	h, err := OpenHost(Settings{Dir: dir, SnapshotBytes: 20 << 10, segmentSize: 64 << 10})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(3)
	}
	c := &chain{}
	if what == "panic" {
		c.apply = func(n uint64) {
			if n == 3 {
				panic("cannot apply this")
			}
		}
	}
	g, err := h.Open(1, c)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(3)
	}
	for n := uint64(len(c.numbers)) + 1; ; n++ {
		err := g.Propose(entry(n, 100), func(_ uint64, _ any, err error) {
			if err == nil {
				os.Stdout.WriteString(strconv.FormatUint(n, 10) + "\n")
			}
		})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(3)
		}
	}
}

func start(t *testing.T, what, dir string) (*exec.Cmd, *bufio.Scanner, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+what+":"+dir)
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return cmd, bufio.NewScanner(out), stderr
}

// TestKill kills a process that works on a real disk, ten times, and has it go on each time (I3).
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := uint64(0)
	for round := range 10 {
		cmd, lines, _ := start(t, "run", dir)
		until := acked + 20 + rand.Uint64N(2000)
		first := uint64(0)
		for killed := false; lines.Scan(); { // what was acknowledged before the kill may still be in the pipe
			n, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err != nil {
				if killed {
					break // a line cut short
				}
				t.Fatal(lines.Text())
			}
			if first == 0 {
				first = n
				if first <= acked {
					t.Fatalf("round %d: goes on with %d, but %d was acknowledged", round, first, acked)
				}
			}
			acked = n
			if n >= until && !killed {
				must(t, cmd.Process.Kill())
				killed = true
			}
		}
		if cmd.Wait() == nil {
			t.Fatal("was not killed")
		}
	}
	h := openHost(t, Settings{Dir: dir})
	_, c := openGroup(t, h, 1)
	c.intact(t)
	if got := uint64(len(c.numbers)); got < acked {
		t.Fatalf("%d entries are back, %d were acknowledged", got, acked)
	}
	if clean, why := h.Cleanness(); clean != 0 || !strings.Contains(why, "not restarted since") {
		t.Fatalf("%v: %s", clean, why)
	}
	must(t, h.Close())
}

// TestPanic: a state machine that cannot apply an entry takes the process down (I5), and does so again at the next start.
func TestPanic(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		cmd, lines, stderr := start(t, "panic", dir)
		acked := 0
		for lines.Scan() {
			acked++
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(stderr.String(), "cannot apply this") {
			t.Fatalf("the process ended with %v: %s", err, stderr)
		}
		if acked > 2 {
			t.Fatalf("%d entries were acknowledged", acked)
		}
	}
}
