package reread

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"dashi/node/httpapi"
	"dashi/node/settings"
	"dashi/pipeline/kafka"
)

// deadValueBytes is how much of a value is shown.
const deadValueBytes = 4 << 10

// DeadLetters finds the newest letters in the end of the dead topic that match, and counts all that match.
func (t *Topics) DeadLetters(ctx context.Context, q httpapi.DeadQuery) (*httpapi.DeadLetters, error) {
	found := &httpapi.DeadLetters{Topic: t.Dead, Letters: []httpapi.DeadLetter{}, Reasons: map[string]int{}}
	var letters []kafka.Letter
	newest := func() {
		slices.SortFunc(letters, func(a, b kafka.Letter) int {
			return cmp.Or(b.Found.Compare(a.Found), cmp.Compare(a.Partition, b.Partition), cmp.Compare(b.Place, a.Place))
		})
		letters = letters[:min(len(letters), q.Limit)]
	}
	matching := map[kafka.Origin]struct{}{}
	matched := 0
	again, from, err := kafka.Letters(ctx, t.Kafka, found.Topic, q.Since, int64(q.Scan), func(l *kafka.Letter) {
		found.Scanned++
		if !matches(&q, l) {
			return
		}
		matched++
		found.Reasons[l.Reason]++
		matching[l.Origin()] = struct{}{}
		kept := *l
		kept.Key, kept.Value = bytes.Clone(l.Key), bytes.Clone(l.Value[:min(len(l.Value), deadValueBytes)])
		if letters = append(letters, kept); len(letters) >= 2*q.Limit {
			newest()
		}
	})
	if err != nil {
		return nil, unread(ctx, err)
	}
	newest()
	for origin := range again {
		if _, is := matching[origin]; is {
			found.Again++
		}
	}
	for i := range letters {
		found.Letters = append(found.Letters, showLetter(&letters[i], again))
	}
	found.Complete, found.Since = !from.After(q.Since) && matched == len(letters), from.UTC()
	return found, nil
}

func matches(q *httpapi.DeadQuery, l *kafka.Letter) bool {
	return (q.Reason == "" || q.Reason == l.Reason) && (q.Webhook == "" || q.Webhook == l.Sink)
}

func showLetter(l *kafka.Letter, again map[kafka.Origin]time.Time) httpapi.DeadLetter {
	shown := httpapi.DeadLetter{Partition: l.Partition, Offset: l.Place, Found: l.Found.UTC(), Reason: l.Reason, Detail: l.Detail, Webhook: l.Sink, Key: string(l.Key), Size: l.Size}
	if l.Stream != (kafka.Stream{}) {
		shown.From = &httpapi.Place{Topic: l.Stream.Name, Partition: l.Stream.Partition, Offset: l.Offset}
	}
	if at, sent := again[l.Origin()]; sent {
		shown.SentAgain = &at
	}
	if json.Valid(l.Value) {
		shown.Value = l.Value
	} else {
		shown.Base64 = l.Value
	}
	return shown
}

// Bounds of what is sent again at a time, and noted.
const (
	resendLetters = 256
	resendBytes   = 1 << 20
)

// Resend sends letters again. It goes through the dead topic twice: which letters have been sent again already is known only at its end.
func (t *Topics) Resend(ctx context.Context, q httpapi.DeadQuery, dry bool) (*httpapi.Resent, error) {
	if !t.resending.TryLock() {
		return nil, httpapi.ErrResending
	}
	defer t.resending.Unlock()
	r := &resend{t: t, waiting: map[kafka.Origin]struct{}{}}
	r.Cannot = map[string]int{}
	var able []kafka.Origin
	again, _, err := kafka.Letters(ctx, t.Kafka, t.Dead, q.Since, int64(q.Scan), func(l *kafka.Letter) {
		if !matches(&q, l) {
			return
		}
		r.Matched++
		if why := r.cannot(l); why != "" {
			r.Cannot[why]++
		} else {
			able = append(able, l.Origin())
		}
	})
	if err != nil {
		return nil, unread(ctx, err)
	}
	for _, origin := range able {
		if _, sent := again[origin]; sent {
			r.Before++
		} else if len(r.waiting) < q.Limit {
			r.waiting[origin] = struct{}{}
		} else {
			r.Left++
		}
	}
	if r.Sent = len(r.waiting); dry || r.Sent == 0 {
		return &r.Resent, nil
	}
	r.Sent, r.Left = 0, r.Left+len(r.waiting)
	ctx, r.stop = context.WithCancel(ctx)
	defer r.stop()
	_, _, err = kafka.Letters(ctx, t.Kafka, t.Dead, q.Since, int64(q.Scan), func(l *kafka.Letter) { r.take(ctx, l) })
	if r.flush(ctx); r.Trouble == "" && err != nil {
		r.Trouble = err.Error()
	}
	return &r.Resent, nil
}

// resend is one run of Resend.
type resend struct {
	httpapi.Resent
	t       *Topics
	waiting map[kafka.Origin]struct{} // letters that are to be sent and have not been tried
	letters []kafka.Letter            // those that go next
	bytes   int                       // of letters
	stop    context.CancelFunc
}

// cannot says why a letter cannot be sent again; empty when it can.
func (r *resend) cannot(l *kafka.Letter) string {
	switch {
	case l.Origin() == (kafka.Origin{}):
		return "did not come from a topic"
	case l.Size > len(l.Value):
		return "only the beginning was kept"
	case l.Sink != "":
		if r.t.Webhook(l.Sink) == nil {
			return fmt.Sprintf("there is no webhook %q on this node", l.Sink)
		}
	case !slices.ContainsFunc(r.t.Inputs, func(in settings.Input) bool { return in.Topic == l.Stream.Name }):
		return fmt.Sprintf("topic %q is no input of this node", l.Stream.Name)
	}
	return ""
}

func (r *resend) take(ctx context.Context, l *kafka.Letter) {
	if _, is := r.waiting[l.Origin()]; !is || r.Trouble != "" {
		return
	}
	delete(r.waiting, l.Origin())
	kept := *l
	kept.Key, kept.Value = bytes.Clone(l.Key), bytes.Clone(l.Value)
	r.letters, r.bytes = append(r.letters, kept), r.bytes+len(l.Key)+len(l.Value)
	if len(r.letters) == resendLetters || r.bytes >= resendBytes {
		r.flush(ctx)
	}
}

// flush sends what has been taken, in order for each destination, and notes in the dead topic what arrived. Should the node end before the note, the next
// Resend sends that once more.
func (r *resend) flush(ctx context.Context) {
	letters := r.letters
	r.letters, r.bytes = nil, 0
	for len(letters) > 0 && r.Trouble == "" {
		first := &letters[0]
		n := slices.IndexFunc(letters, func(l kafka.Letter) bool { return l.Sink != first.Sink || l.Stream.Name != first.Stream.Name })
		if n < 0 {
			n = len(letters)
		}
		took, err := letters[:n], error(nil)
		if first.Sink != "" {
			took, err = r.t.Webhook(first.Sink).Again(ctx, letters[:n])
		} else if err = r.t.Producer.Produce(ctx, first.Stream.Name, messagesOf(letters[:n])); err != nil {
			took = nil
		}
		if len(took) > 0 {
			if failed := kafka.SentAgain(ctx, r.t.Kafka, r.t.Dead, took); err == nil {
				err = failed
			}
		}
		r.Sent, r.Left = r.Sent+len(took), r.Left-len(took)
		if err != nil {
			r.Trouble = err.Error()
			r.stop()
			return
		}
		r.Refused, r.Left = r.Refused+n-len(took), r.Left-(n-len(took))
		letters = letters[n:]
	}
}

// messagesOf are the events in letters as they came. An event that does not say when it happened is taken to have happened when it was found to be bad.
func messagesOf(letters []kafka.Letter) []kafka.Message {
	all := make([]kafka.Message, len(letters))
	for i := range letters {
		all[i] = kafka.Message{Key: letters[i].Key, Value: letters[i].Value, Millis: letters[i].Found.UnixMilli()}
	}
	return all
}
