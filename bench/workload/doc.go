// Package workload has the benchmarks of dashi: each starts what it measures, measures it over public protocols, and reports
// figures with their targets.
//
// It decides nothing about what happens with a figure (bench/result does) and holds no load of its own (bench/load). A
// figure that could not be measured is an error, never a zero.
//
// What the caller does, in order: All, then for each Run with an Env that has an empty directory of its own.
//
// Invariants:
//
//	I1  When Run returns, every process that it started has ended.
//	I2  Run writes below Env.Temp only, and returns within Workload.Limit, give or take process.StopLimit.
//	I3  An event that was sent and did not count (lost, repeated, rejected) makes the workload fail: a figure of a run
//	    that lost something is worth nothing.
//
// Ownership: workloads run one at a time, for they share the machine.
package workload
