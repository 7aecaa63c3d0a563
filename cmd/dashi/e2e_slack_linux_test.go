package main_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// All threads of a node have more timer slack than usual, among them Go's monitor, which is there before main is; unless the node was started with another slack.
func TestTimerSlack(t *testing.T) {
	t.Parallel()
	for given, want := range map[time.Duration]time.Duration{50 * time.Microsecond: time.Millisecond, 200 * time.Microsecond: 200 * time.Microsecond} {
		n := newNode(t, "--demo", "0", "--shards", "4")
		runtime.LockOSThread() // the node is a child of this thread, and inherits from it
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(given), 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		n.launch()
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0); err != nil { // as it was
			t.Fatal(err)
		}
		runtime.UnlockOSThread()
		n.ready()
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", n.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, th := range threads {
			b, err := os.ReadFile("/proc/" + th.Name() + "/timerslack_ns")
			if os.IsPermission(err) {
				t.Skip("needs CAP_SYS_NICE, to see what slack another process has:", err)
			}
			if os.IsNotExist(err) { // the thread has ended
				continue
			}
			if got := strings.TrimSpace(string(b)); err != nil || got != fmt.Sprint(want.Nanoseconds()) {
				t.Errorf("started with %v, thread %s has %s ns, %v; want %v", given, th.Name(), got, err, want)
			}
		}
	}
}
