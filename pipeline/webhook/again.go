package webhook

import (
	"context"
	"errors"
	"fmt"

	"dashi/pipeline/kafka"
)

// Again posts activations from the dead topic, in the order in which they are given, and returns which of them the endpoint has taken now. It tries each
// once. An error says why it stopped before the end; that the endpoint refuses an activation for its content does not stop it.
func (s *Sink) Again(ctx context.Context, letters []kafka.Letter) (took []kafka.Letter, err error) {
	items := make([]item, len(letters))
	for i := range letters {
		l := &letters[i]
		items[i] = newItem(&kafka.Record{Offset: l.Offset, Millis: l.Found.UnixMilli(), Key: l.Key, Value: l.Value})
	}
	for most := s.settings.Batch; len(items) > 0; {
		n := fill(items, most)
		m := newMessage(items[:n])
		a := s.post(ctx, &m)
		switch {
		case a.outcome == taken:
			s.sent.Add(uint64(n))
			took, most = append(took, letters[:n]...), s.settings.Batch
		case a.outcome == refused && aboutContent(a.status) && n > 1: // find the one that is not taken
			most = n / 2
			continue
		case a.outcome == refused && aboutContent(a.status):
			most = s.settings.Batch
		case ctx.Err() != nil:
			return took, ctx.Err()
		default:
			return took, fmt.Errorf("webhook %s does not take them: %w", s.settings.Name, errors.New(a.detail))
		}
		items, letters = items[n:], letters[n:]
	}
	return took, nil
}

// fill is how many of the first items go into one message: at most so many.
func fill(items []item, most int) (n int) {
	bytes := 0
	for n < len(items) && n < most && (n == 0 || bytes+items[n].size() <= batchBytes) {
		bytes += items[n].size()
		n++
	}
	return n
}
