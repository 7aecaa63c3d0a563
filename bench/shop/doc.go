// Package shop makes believable shop traffic as Segment-spec JSON messages: visits, searches, carts,
// orders, logins on several devices, consent choices, and purchases at the till that arrive hours late.
//
// It is a seeded simulation: the same seed and the same clock give the same messages. It sends nothing itself; the
// demo and the load benchmarks do. One Shop belongs to one goroutine.
package shop
