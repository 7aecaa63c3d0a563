package shard

import "testing"

// The hash says what the events did, not by which way they came: another topic, other offsets, a producer that sent some of
// them again. Two runs of the same history can be compared by it.
func TestHashIsOfPeopleNotOfOffsets(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	p := compile(t, sources)
	values := traffic(600, 30, 9)
	straight, again := newShard(t, testSettings(), sources), newShard(t, testSettings(), sources)
	f := newFeeder(t, p, values)
	mustAccept(t, straight.Apply(f.batch(-1, 599, 1000)))

	resent := append(append(values[:400:400], values[300:400]...), values[400:]...)
	f = newFeeder(t, p, resent)
	f.stream = Stream{Topic: [16]byte{2}, Partition: 7}
	mustAccept(t, again.Apply(f.batch(-1, int64(len(resent)-1), 2000)))
	if again.Stats().Repeated == 0 {
		t.Fatal("nothing was repeated: the test shows nothing")
	}
	if straight.Hash() != again.Hash() {
		t.Errorf("hash %x, want %x", again.Hash(), straight.Hash())
	}
	if straight.Fingerprint() == again.Fingerprint() {
		t.Error("equal fingerprints of different marks")
	}
	f = newFeeder(t, p, values)
	f.stream = Stream{Topic: [16]byte{3}}
	f.noIDs = true
	mustAccept(t, straight.Apply(f.batch(-1, 0, 3000)))
	if straight.Hash() == again.Hash() {
		t.Error("one more event did not change the hash")
	}
}
