package main

import (
	"log/slog"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// usualSlack is the timer slack of a Linux process that nobody has given another: by how much the kernel may put off the end of a nap.
	usualSlack = 50 * time.Microsecond
	// timerSlack is that of a node. While there is a little to do all the time, Go's monitor thread wakes up 3,000 times a second (it naps for 20 us and looks
	// whether a system call takes long), and so do three nodes on one machine each. With 1 ms three nodes use a sixth less processor time an event, and have an event
	// on a majority in 1.8 ms in place of 3 (p99, 2,000 events a second, two cores). 0.25 ms changes little, 4 ms nothing more; Go's own timers are no finer than 1 ms.
	timerSlack = time.Millisecond
	// slackSet, in the environment, says that giveSlack has run.
	slackSet = "DASHI_TIMER_SLACK"
)

// giveSlack gives this process timerSlack, unless somebody has given it another slack than the usual one. A thread inherits it from who starts it, and the monitor
// starts before main does; so the process begins once more, as the same process.
func giveSlack() {
	if os.Getenv(slackSet) != "" {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	was, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || time.Duration(was) != usualSlack {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	if unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0) != nil {
		return
	}
	err = syscall.Exec(self, os.Args, append(os.Environ(), slackSet+"="+timerSlack.String()))
	slog.Debug("cannot begin again with more timer slack: goes on with the usual one", "error", err)
}
