// Package gobench runs Go benchmarks of this module and reads what `go test -bench` prints.
//
// It is not benchstat: a figure is the median of the runs, and all runs are kept beside it.
package gobench
