package sim

import "dashi/shard"

// switchOver does a step of the way to the next cookbook, or a part of it.
func (w *World) switchOver() {
	if w.change.Version == 0 || w.percent(w.settings.Crash) { // whoever does it has died, and another one begins
		w.change = shard.Switch{Version: 2}
	}
	var reports []*shard.Report
	hold := func(limits []shard.Limit) {
		reports = reports[:0]
		for i := range w.shards {
			reports = append(reports, w.apply(i, shard.AppendHold(nil, int64(w.steps), 2, limits)).Report)
			for range w.random.IntN(3) {
				w.deliver()
			}
		}
	}
	hold(nil)
	step, limits := w.change.Next(reports, func(shard.Stream) bool { return true })
	if step == shard.ToHold {
		hold(limits)
		step, _ = w.change.Next(reports, func(shard.Stream) bool { return true })
	}
	if step != shard.ToTry && step != shard.ToSwitch {
		return
	}
	for _, try := range []bool{true, false} {
		for i := range w.shards {
			if try && step == shard.ToSwitch || !try && w.percent(10) {
				continue
			}
			if r := w.apply(i, shard.AppendSwitch(nil, int64(w.steps), 2, try, w.settings.Next.Sources)); r.Outcome != shard.Accepted {
				w.fail("shard %d does not switch (try: %v): %s %s", i, try, r.Outcome, r.Detail)
			}
		}
	}
}
