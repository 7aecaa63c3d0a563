package process

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"dashi/bench/stat"
)

// Latency is the node's own histogram of the time from fetched to applied, in seconds, since it was started. What it counts has been acknowledged by a majority of
// the replicas before, and is told by the one that leads: where that is another node, the way there and back is part of it.
func (d *Dashi) Latency(ctx context.Context) (stat.Histogram, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+d.HTTP+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := d.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("cannot ask dashi for its metrics: %w", err)
	}
	defer answer.Body.Close()
	return readHistogram(answer.Body, "dashi_event_latency_seconds")
}

// readHistogram finds the buckets of a histogram without labels in the text of Prometheus.
func readHistogram(in io.Reader, name string) (h stat.Histogram, err error) {
	s := bufio.NewScanner(in)
	for s.Scan() {
		rest, is := strings.CutPrefix(s.Text(), name+`_bucket{le="`)
		if !is {
			continue
		}
		bound, count, ok := strings.Cut(rest, `"} `)
		var b stat.Bucket
		if b.Bound, err = strconv.ParseFloat(bound, 64); err == nil {
			b.Count, err = strconv.ParseFloat(count, 64)
		}
		if err != nil || !ok {
			return nil, fmt.Errorf("cannot read metric %q: %w", s.Text(), err)
		}
		h = append(h, b)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("cannot read metrics: %w", err)
	}
	if len(h) == 0 {
		return nil, fmt.Errorf("there is no metric %s", name)
	}
	return h, nil
}
