// Package result is what a benchmark leaves behind: figures with their targets, one JSON line each in
// bench/results/YYYY-MM.jsonl, and a table for people.
//
// It judges nothing but "met or not", and it leaves no figure out: a target that was missed is printed as such.
//
// A line:
//
//	{"time":"2026-03-01T12:00:00Z","commit":"c26d162","machine":{"cpu":"AMD EPYC","cores":2,"go":"go1.26.8"},
//	 "workload":"drain","metric":"dashi","value":312000,"unit":"events/s","target":">= 300000","met":true,
//	 "settings":{"events":5000000}}
//
// target and met are null where there is no target. "quick":true marks a run of smaller sizes, which is not comparable.
// A commit that ends in -dirty had changes beside those of bench/results.
//
// Ownership: a Log belongs to one goroutine.
package result
