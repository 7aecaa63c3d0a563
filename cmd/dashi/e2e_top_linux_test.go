package main_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal: what a program writes to its far end is collected.
func terminal(t *testing.T, rows uint16) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { near.Close() })
	if err := unix.IoctlSetPointerInt(int(near.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(near.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	if err := unix.IoctlSetWinsize(int(far.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: 100}); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// dashi top shows what goes on: once, as JSON, and on a terminal, which it gives back as it was.
func TestTop(t *testing.T) {
	t.Parallel()
	n := newNode(t, "--demo", "300", "--shards", "4")
	n.start()
	type view struct {
		Events    float64 `json:"events_per_second"`
		Lookups   float64 `json:"lookups_per_second"`
		Profiles  int
		Audiences []struct {
			Name    string
			Size    int64
			Entered float64 `json:"entered_per_second"`
		}
	}
	eventually(t, wait, "traffic shows", func() error {
		n.ask(200, "GET", "/v1/audiences", "")
		v := decode[view](t, n.must("top", "--once", "--every", "300ms", "-o", "json"))
		moved := 0.0
		for _, a := range v.Audiences {
			moved += a.Entered
		}
		if v.Events <= 0 || v.Profiles == 0 || moved <= 0 {
			return fmt.Errorf("%+v", v)
		}
		return nil
	})
	if text := n.must("top", "--once", "--every", "100ms"); !strings.Contains(text, "AUDIENCE") || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	if r := n.cli("top", "--every", "1ms"); r.code == 0 || !strings.Contains(r.stderr, "too often") {
		t.Errorf("%+v", r)
	}

	near, far := terminal(t, 12)
	before, err := unix.IoctlGetTermios(int(far.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"q", "\x03"} {
		c := exec.Command(binary, "top", "--every", "100ms")
		c.Env = append(os.Environ(), n.env...)
		c.Stdin, c.Stdout, c.Stderr = far, far, far
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true, Setctty: true} // the terminal is its own: Ctrl-C is for it
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		var shown bytes.Buffer
		buf := make([]byte, 64<<10)
		for !strings.Contains(shown.String(), "more lines") {
			k, err := near.Read(buf)
			if err != nil {
				t.Fatalf("%v: %q", err, shown.String())
			}
			shown.Write(buf[:k])
		}
		if _, err := near.WriteString(key); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Wait() }()
		for left := false; !left; {
			k, err := near.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			shown.Write(buf[:k])
			left = strings.Contains(shown.String(), "\x1b[?1049l")
		}
		if err := <-done; err != nil {
			t.Errorf("%q: %v", key, err)
		}
		frame := shown.String()[strings.LastIndex(shown.String(), "\x1b[H"):]
		if lines := strings.Count(frame, "\n"); lines > 11 {
			t.Errorf("%d lines in a terminal of 12", lines)
		}
		after, err := unix.IoctlGetTermios(int(far.Fd()), unix.TCGETS)
		if err != nil || *after != *before {
			t.Errorf("%q: the terminal is another: %+v, %v", key, after, err)
		}
	}
}
