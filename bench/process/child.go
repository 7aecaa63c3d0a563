package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// StopLimit is how long a child may take to stop: dashi writes a snapshot of every shard, some seconds for millions of profiles.
const StopLimit = time.Minute

// Child is a running program.
type Child struct {
	name   string
	cmd    *exec.Cmd
	cancel context.CancelFunc
	output *lastLines
	done   chan struct{}
	err    error // of Wait, after done
}

// Start starts a program. It is stopped when ctx is done.
func Start(ctx context.Context, path string, args ...string) (*Child, error) {
	return StartWith(ctx, nil, path, args...)
}

// StartWith is Start with more in the environment: NAME=value.
func StartWith(ctx context.Context, env []string, path string, args ...string) (*Child, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &Child{name: path, cancel: cancel, output: &lastLines{}, done: make(chan struct{})}
	c.cmd = exec.CommandContext(ctx, path, args...)
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stdout, c.cmd.Stderr = c.output, c.output
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = StopLimit
	if err := c.cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("cannot start %q: %w", path, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		cancel()
		close(c.done)
	}()
	return c, nil
}

// PID is its process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Exited says why the program is not running any more; nil while it runs.
func (c *Child) Exited() error {
	select {
	case <-c.done:
		return fmt.Errorf("%q ended: %w; it said:\n%s", c.name, errors.Join(errors.New(c.cmd.ProcessState.String()), c.err), c.output)
	default:
		return nil
	}
}

// Stop ends the program and waits for it. That it had ended before, or did not end well, is an error.
func (c *Child) Stop() error {
	if err := c.Exited(); err != nil {
		return err
	}
	c.cancel()
	<-c.done
	if c.cmd.ProcessState.Success() || terminated(c.cmd.ProcessState) {
		return nil
	}
	return c.Exited()
}

// Wait waits until the program has ended by itself. That it did not end well is an error.
func (c *Child) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("%q has not ended: %w; it said:\n%s", c.name, ctx.Err(), c.output)
	case <-c.done:
	}
	if c.cmd.ProcessState.Success() {
		return nil
	}
	return c.Exited()
}

// Kill is kill -9. It does not wait until the program is gone: Gone does.
func (c *Child) Kill() error { return c.cmd.Process.Kill() }

// Gone waits until a program that was killed is gone.
func (c *Child) Gone() { <-c.done }

// terminated: it has no handler for the signal that we sent, which is as good.
func terminated(s *os.ProcessState) bool {
	w, ok := s.Sys().(syscall.WaitStatus)
	return ok && w.Signaled() && w.Signal() == syscall.SIGTERM
}

// lastLines keeps the end of what a child prints.
type lastLines struct {
	mu  sync.Mutex
	buf []byte
}

const keepOutput = 4 << 10

func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if n := len(l.buf) - keepOutput; n > 0 {
		l.buf = append(l.buf[:0], l.buf[n:]...)
	}
	return len(p), nil
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(bytes.ToValidUTF8(l.buf, nil)))
}

// FreeAddr is a loopback address that nobody listened on just now.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("cannot find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// freeAddrs are n different ones.
func freeAddrs(n int) ([]string, error) {
	addrs := make([]string, n)
	for i := range addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("cannot find a free port: %w", err)
		}
		defer l.Close() // held until all are found, so that no two are equal
		addrs[i] = l.Addr().String()
	}
	return addrs, nil
}

// pollInterval is how often a condition outside of this process is looked at.
const pollInterval = 5 * time.Millisecond

// until polls done until it says so, the child ends, or ctx is done.
func (c *Child) until(ctx context.Context, what string, done func() bool) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !done() {
		if err := c.Exited(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%q: %s: %w; it said:\n%s", c.name, what, ctx.Err(), c.output)
		case <-tick.C:
		}
	}
	return nil
}
