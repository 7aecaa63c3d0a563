package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dashi/pipeline/kafka"
)

// counter is the least that one can do with records.
type counter struct {
	left int
	done chan struct{}
}

func (c *counter) Assigned([]kafka.Stream, []int64) {}
func (c *counter) Revoked([]kafka.Stream)           {}

func (c *counter) Records(_ context.Context, _ kafka.Stream, _, _ int64, records []kafka.Record) {
	before := c.left
	c.left -= len(records)
	if before > 0 && c.left <= 0 {
		close(c.done)
	}
}

// Drain reads n records of the topic with the client that dashi reads with, does nothing with them, and says how
// long that took. It commits nothing.
func Drain(ctx context.Context, settings kafka.Settings, n int) (time.Duration, error) {
	c := &counter{left: n, done: make(chan struct{})}
	source, err := kafka.NewSource(kafka.SourceSettings{Settings: settings, Group: "dashi-bench", Topics: []string{Topic}}, c)
	if err != nil {
		return 0, err
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	start := time.Now()
	go func() { ended <- source.Run(running) }()
	var took time.Duration
	select {
	case <-c.done:
		took = time.Since(start)
		cancel()
		err = <-ended
	case err = <-ended:
		err = errors.Join(errors.New("it ended too early"), err, ctx.Err())
	}
	if err != nil {
		return 0, fmt.Errorf("cannot drain %d records with a bare client: %w", n, err)
	}
	return took, nil
}
