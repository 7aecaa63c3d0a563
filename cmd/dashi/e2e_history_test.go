package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"dashi/pipeline/kafka"

	"github.com/anishathalye/porcupine"
)

// history is what some people's counters were read and written as, by clients of all nodes at once.
type history struct {
	t     *testing.T
	nodes []*node
	http  *http.Client

	mu         sync.Mutex
	operations []porcupine.Operation
	refused    int
}

// access is one read or write of a person's counter.
type access struct {
	who   string
	write bool
	count int // written, or read
}

// counterModel is a counter that one writer counts up.
var counterModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		for _, o := range history {
			who := o.Input.(access).who
			parts[who] = append(parts[who], o)
		}
		var all [][]porcupine.Operation
		for _, p := range parts {
			all = append(all, p)
		}
		return all
	},
	Init: func() any { return 0 },
	Step: func(state, input, output any) (bool, any) {
		if a := input.(access); a.write {
			return state == a.count-1, a.count
		}
		return state == output, state
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprint(input, " ", output) },
}

// read asks any node for a person's counter as a majority has it. Whoever does not answer is not counted.
func (h *history) read(ctx context.Context, who string) (count int, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	n := h.nodes[rand.IntN(len(h.nodes))]
	start := time.Now().UnixNano()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+n.http+"/v1/profiles/user_id:"+who+"?read=linearizable", nil)
	if err != nil {
		h.t.Error(err)
		return 0, false
	}
	var p struct{ Attributes map[string]float64 }
	resp, err := h.http.Do(req)
	if err == nil {
		text, failed := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case failed != nil, resp.StatusCode == http.StatusServiceUnavailable:
			err = fmt.Errorf("%d %w", resp.StatusCode, failed)
		case resp.StatusCode == http.StatusOK:
			err = json.Unmarshal(text, &p)
		case resp.StatusCode != http.StatusNotFound:
			h.t.Errorf("a read of %s: %d %s", who, resp.StatusCode, text)
		}
	}
	if err != nil {
		h.mu.Lock()
		h.refused++
		h.mu.Unlock()
		return 0, false
	}
	count = int(p.Attributes["visits"])
	h.note(access{who: who}, count, start)
	return count, true
}

func (h *history) note(a access, output any, start int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{ClientId: 0, Input: a, Call: start, Output: output, Return: time.Now().UnixNano()})
}

// write counts a person up, one event after the other: each has happened when its writer has read it somewhere.
func (h *history) write(ctx context.Context, p *kafka.Producer, who string) {
	for count := 1; ctx.Err() == nil; count++ {
		start := time.Now().UnixNano()
		event := fmt.Appendf(nil, `{"type":"track","event":"Visit","messageId":"h-%s-%d","userId":%q,"timestamp":"2026-03-01T10:00:00Z","properties":{"n":1}}`, who, count, who)
		if err := p.Produce(context.Background(), "", []kafka.Message{{Key: []byte(who), Value: event}}); err != nil {
			h.t.Error(err)
			return
		}
		for seen := false; !seen; {
			got, ok := h.read(context.Background(), who)
			if seen = ok && got >= count; !seen {
				<-time.After(5 * time.Millisecond)
			}
		}
		h.note(access{who, true, count}, nil, start)
	}
}

// readers read at any nodes until ctx is done.
func (h *history) readers(ctx context.Context, running *sync.WaitGroup, n int, people []string) {
	for range n {
		running.Go(func() {
			for ctx.Err() == nil {
				h.read(ctx, people[rand.IntN(len(people))])
				<-time.After(3 * time.Millisecond) // a steady reader, not a load
			}
		})
	}
}

// check is that some order of the accesses explains all that was read.
func (h *history) check() {
	h.t.Helper()
	writes := 0
	for _, o := range h.operations {
		if o.Input.(access).write {
			writes++
		}
	}
	h.t.Logf("history: %d writes, %d reads, %d not answered", writes, len(h.operations)-writes, h.refused)
	if writes == 0 {
		h.t.Error("nothing was written")
	}
	if result := porcupine.CheckOperationsTimeout(counterModel, h.operations, wait); result != porcupine.Ok {
		h.t.Errorf("no order of the accesses explains what was read: %v", result)
	}
}
