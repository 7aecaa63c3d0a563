package kafka

import (
	"slices"
	"testing"
	"time"
)

// TestRecent: everything since an instant, or the newest of each partition and from when on that is everything; markers of transactions are no records.
func TestRecent(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 3}, Topic{Name: "empty", Partitions: 2})
	produce(t, openProducer(t, b.Settings(), "a"), 0, 100) // of the milliseconds 1000 to 1099
	outlets, err := NewOutlets(OutletSettings{Settings: b.Settings(), Cluster: "c", Topic: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer outlets.Close()
	outlet, _, err := outlets.Open(testContext(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := outlet.Publish(testContext(t), 0, 1, []Message{{Key: []byte("k"), Value: []byte("v100"), Millis: 1100}}); err != nil {
		t.Fatal(err)
	}
	f := func(since, most int64) (from int64, values []string) {
		t.Helper()
		at, err := Recent(testContext(t), b.Settings(), []string{"a", "empty"}, time.UnixMilli(since), most, func(_ string, _ int32, r *Record) {
			if r.Millis < since {
				t.Errorf("a record of %d", r.Millis)
			}
			values = append(values, string(r.Value))
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(values)
		return at.UnixMilli(), values
	}
	if from, values := f(1000, 1e6); from != 1000 || !slices.Equal(values, numbered(0, 101)) {
		t.Errorf("all: %d, %q", from, values)
	}
	if from, values := f(1060, 1e6); from != 1060 || !slices.Equal(values, numbered(60, 41)) {
		t.Errorf("since: %d, %q", from, values)
	}
	for _, before1970 := range []int64{-1, -62_135_596_800_000} { // Kafka takes -1 for the end, and knows no year 1
		if from, values := f(before1970, 1e6); from != before1970 || !slices.Equal(values, numbered(0, 101)) {
			t.Errorf("since %d: %d, %q", before1970, from, values)
		}
	}
	from, values := f(1000, 50) // 10 a partition
	if len(values) < 28 || len(values) > 30 || from <= 1000 {
		t.Errorf("most: %d, %q", from, values)
	}
	for _, v := range numbered(int(from-1000), int(1101-from)) {
		if !slices.Contains(values, v) {
			t.Errorf("from %d on nothing is left out, but %s is", from, v)
		}
	}
	if from, values := f(time.Now().Add(time.Hour).UnixMilli(), 50); len(values) != 0 || from < 1200 {
		t.Errorf("nothing: %d, %q", from, values)
	}
}
