package kafka

import (
	"errors"
	"slices"
	"testing"
)

// History ends by itself: with the last record of the call, in partitions that are empty too.
func TestHistory(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{"a", 3}, Topic{"empty", 2})
	p := openProducer(t, b.Settings(), "a")
	produce(t, p, 0, 100)
	collect := func(topic string) (got []string) {
		err := History(testContext(t), b.Settings(), topic, func(_ int32, r *Record) error {
			got = append(got, string(r.Value))
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", topic, err)
		}
		slices.Sort(got)
		return got
	}
	if got := collect("a"); !slices.Equal(got, numbered(0, 100)) {
		t.Errorf("%v", got)
	}
	if got := collect("empty"); len(got) > 0 {
		t.Errorf("%v", got)
	}
	stop := errors.New("stop")
	if err := History(testContext(t), b.Settings(), "a", func(int32, *Record) error { return stop }); err != stop {
		t.Error(err)
	}
	if err := History(testContext(t), b.Settings(), "nowhere", func(int32, *Record) error { return nil }); err == nil {
		t.Error("a topic that is not there has a history")
	}
}
