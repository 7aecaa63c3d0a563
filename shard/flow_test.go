package shard

import (
	"fmt"
	"testing"
)

const flowRecipe = `
recipe: flow
attributes:
  orders: {kind: count, on: Order Completed, window: 24h}
audiences:
  buyers: orders > 0
  keen: orders > 1
activations:
  thank: {on: {enter: buyers}}
  paced: {on: {exit: buyers}, delay: 1m}
`

// Who comes and goes is counted in the hour in which it happens, by time alone too; replicas and snapshots agree, and two weeks are kept.
func TestFlows(t *testing.T) {
	const people, start = 5, int64(1_772_352_000_000) // 2026-03-01T08:00:00Z
	sources := readInline("flow.yml", flowRecipe)
	var values [][]byte
	for round := range 3 {
		for i := range people {
			values = append(values, fmt.Appendf(nil, `{"type":"track","event":"Order Completed","userId":"u%d","timestamp":"2026-03-01T0%d:00:00Z","messageId":"%d-%d"}`, i, 8+round/2, round, i))
		}
	}
	s := newShard(t, testSettings(), sources)
	f := newFeeder(t, compile(t, sources), values)
	check := func(what, want string) {
		t.Helper()
		got := ""
		s.EachHour(func(at int64, audiences []Flow, sent []uint32) {
			got += fmt.Sprintf("%d%v%v ", (at-start)/hourMillis, audiences, sent)
		})
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
		s = restoreCopy(t, s)
		if err := s.Check(); err != nil {
			t.Error(err)
		}
	}
	mustAccept(t, s.Apply(f.batch(-1, people-1, start)))
	check("all come", "0[{5 0 5} {0 0 0}][5 0] ")
	mustAccept(t, s.Apply(f.batch(people-1, people+1, start+1)))
	mustAccept(t, s.Apply(f.batch(people+1, people+3, start+hourMillis)))
	check("four come again", "0[{5 0 5} {2 0 2}][5 0] 1[{0 0 0} {2 0 4}][0 0] ")
	overlap := make([]int64, 2)
	if s.Overlaps(1, overlap); overlap[0] != 4 || overlap[1] != 4 {
		t.Errorf("overlaps %v", overlap)
	}
	for hours := int64(2); hours < 30; hours++ {
		mustAccept(t, s.Apply(AppendTick(nil, start+hours*hourMillis)))
	}
	check("all go by themselves", "0[{5 0 5} {2 0 2}][5 0] 1[{0 0 0} {2 0 4}][0 0] 24[{0 5 0} {0 4 0}][0 5] ")
	mustAccept(t, s.Apply(AppendCookbook(nil, start+30*hourMillis, readInline("flow.yml", flowRecipe+"  more: {on: {enter: keen}}\n"))))
	check("another cookbook", "0[{5 0 5} {2 0 2}][5 0 0] 1[{0 0 0} {2 0 4}][0 0 0] 24[{0 5 0} {0 4 0}][0 5 0] ")
	if h := s.flowsAt(start - (FlowHours-24)*hourMillis); h != nil {
		t.Errorf("an hour is kept that is two weeks older than the newest: %+v", h)
	}
	if s.flowsAt(start+(FlowHours+1)*hourMillis) == nil || len(s.flows) != 2 || s.flows[0].at != start+24*hourMillis {
		t.Errorf("%d hours are kept", len(s.flows))
	}
}
