// Package process starts the programs that are measured, each in its own temporary directory on free ports of the loopback,
// and ends them by their own process id.
//
// It knows dashi and redis-server from outside only: flags, ports, HTTP. What a child uses is read from /proc; where
// there is none, Usage says so and the figure is left out.
//
// What the caller does, in order: Start or StartDashi or StartRedis, then Stop, always. A child that ends by itself makes
// Exited return; its last lines of output are in the error.
//
// Invariants:
//
//	I1  No child outlives its context: it is told to stop (SIGTERM), and killed after StopLimit.
//	I2  A signal goes to the process id of a child that has not been waited for, so never to another process.
//
// Ownership: a Child's methods are safe for concurrent use.
package process
