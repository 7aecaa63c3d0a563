// Package redisbench runs redis-benchmark against a server and reads its figures. What it sends is any one command, in
// which __rand_int__ stands for a random number of twelve digits.
package redisbench

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Request says what to send.
type Request struct {
	Addr        string
	Connections int
	Pipeline    int
	Requests    int
	Keys        int // __rand_int__ is below that
	Command     []string
}

// Args are those of redis-benchmark.
func (r *Request) Args() ([]string, error) {
	host, port, err := net.SplitHostPort(r.Addr)
	if err != nil {
		return nil, fmt.Errorf("cannot read address: %w", err)
	}
	n := strconv.Itoa
	args := []string{"-h", host, "-p", port, "-c", n(r.Connections), "-n", n(r.Requests), "-P", n(r.Pipeline), "-r", n(r.Keys), "--csv"}
	return append(args, r.Command...), nil
}

// Result is what redis-benchmark measured.
type Result struct {
	PerSecond float64
	P50, P99  float64 // milliseconds
}

// Run runs the program at path. An error answer of the server is an error.
func Run(ctx context.Context, path string, r Request) (Result, error) {
	args, err := r.Args()
	if err != nil {
		return Result{}, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	result, parseErr := Parse(&out)
	if err == nil {
		err = parseErr
	}
	if err != nil {
		return Result{}, fmt.Errorf("cannot run redis-benchmark %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaints.String()))
	}
	return result, nil
}

// Parse reads what redis-benchmark --csv prints for one command: a line of names, a line of values.
func Parse(in io.Reader) (Result, error) {
	lines := csv.NewReader(in)
	names, err := lines.Read()
	if err != nil {
		return Result{}, fmt.Errorf("cannot read the names of its columns: %w", err)
	}
	values, err := lines.Read()
	if err != nil {
		return Result{}, fmt.Errorf("cannot read its figures: %w", err)
	}
	var r Result
	for column, into := range map[string]*float64{"rps": &r.PerSecond, "p50_latency_ms": &r.P50, "p99_latency_ms": &r.P99} {
		found := false
		for i, name := range names {
			if name != column {
				continue
			}
			if *into, err = strconv.ParseFloat(values[i], 64); err != nil {
				return Result{}, fmt.Errorf("cannot read %s: %w", column, err)
			}
			found = true
		}
		if !found {
			return Result{}, fmt.Errorf("it prints no %s, which redis-benchmark does since 7.0: %q", column, names)
		}
	}
	return r, nil
}
