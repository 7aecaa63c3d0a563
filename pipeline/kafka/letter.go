package kafka

import (
	"context"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// HeaderAgain marks a record that says that a dead letter was sent again, and says when (RFC 3339). It stands in place of a reason. The record is behind the
// letter in the letter's partition, and names the letter's origin with the headers of a letter. It has neither key nor value.
const HeaderAgain = "dashi-sent-again"

// Letter is a dead letter as it lies in its topic.
type Letter struct {
	DeadLetter
	Partition int32     // of the dead topic
	Place     int64     // its offset there
	Found     time.Time // when it was written
	Size      int       // of the value as it arrived; more than len(Value) if that was cut
}

// Origin names what a letter is about. Two letters with one origin are the same one, written twice.
type Origin struct {
	Stream
	Offset int64
	Sink   string
}

// Origin is the origin of the letter; zero when it did not come from a topic.
func (l *Letter) Origin() Origin { return Origin{l.Stream, l.Offset, l.Sink} }

// Letters calls fn for the dead letters that were written since an instant, each once, in order within each partition, and returns which of them were sent
// again, and when. Like Recent it looks at no more than so many of the newest records, and from is as there. The letter aliases the fetch.
func Letters(ctx context.Context, settings Settings, topic string, since time.Time, most int64, fn func(l *Letter)) (again map[Origin]time.Time, from time.Time, err error) {
	again = map[Origin]time.Time{}
	seen := map[Origin]struct{}{}
	from, err = Recent(ctx, settings, []string{topic}, since, most, func(_ string, partition int32, r *Record) {
		l, sent := readLetter(partition, r)
		origin := l.Origin()
		if !sent.IsZero() {
			again[origin] = sent
			return
		}
		if l.Reason == "" {
			return // not written by us
		}
		if origin != (Origin{}) {
			if _, twice := seen[origin]; twice {
				return
			}
			seen[origin] = struct{}{}
		}
		fn(&l)
	})
	return again, from, err
}

// readLetter reads what DeadLetter.message wrote, or that a letter was sent again, and then when.
func readLetter(partition int32, r *Record) (l Letter, again time.Time) {
	l = Letter{Partition: partition, Place: r.Offset, Found: time.UnixMilli(r.Millis), Size: len(r.Value)}
	l.Key, l.Value = r.Key, r.Value
	for _, h := range r.Headers {
		text := string(h.Value)
		switch h.Key {
		case HeaderTopic:
			l.Stream.Name = text
		case HeaderTopicID:
			if len(text) == 2*len(l.Stream.Topic) {
				_, _ = hex.Decode(l.Stream.Topic[:], h.Value)
			}
		case HeaderPartition:
			n, _ := strconv.ParseInt(text, 10, 32)
			l.Stream.Partition = int32(n)
		case HeaderOffset:
			l.Offset, _ = strconv.ParseInt(text, 10, 64)
		case HeaderReason:
			l.Reason = text
		case HeaderDetail:
			l.Detail = text
		case HeaderSink:
			l.Sink = text
		case HeaderCut:
			l.Size, _ = strconv.Atoi(text)
		case HeaderAgain:
			again, _ = time.Parse(time.RFC3339Nano, text)
		}
	}
	return l, again
}

// SentAgain notes in the dead topic that letters were sent again, and returns when the brokers have acknowledged that.
func SentAgain(ctx context.Context, settings Settings, topic string, letters []Letter) error {
	client, err := settings.client(kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	now := time.Now()
	records := make([]*kgo.Record, len(letters))
	for i := range letters {
		l := &letters[i]
		records[i] = &kgo.Record{Partition: l.Partition, Timestamp: now, Headers: append(l.origin(), Header{Key: HeaderAgain, Value: []byte(now.UTC().Format(time.RFC3339Nano))})}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return settings.wrap(err, "write to topic %q", topic)
	}
	return nil
}
