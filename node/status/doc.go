// Package status is what GET /v1/status answers: the tree that clients decode (status.go), what the report of a shard adds to it (report.go), and the
// sentences about what a person should look at (trouble.go).
//
// It asks nobody and has no Node: node gathers what is in it. A Status belongs to whoever asked; a MoveWatch is safe for concurrent use.
package status
