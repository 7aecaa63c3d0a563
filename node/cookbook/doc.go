// Package cookbook is what a node does with recipes before and beside the shards: it reads their files (files.go), compiles them once for all who ask
// (compile.go), indexes the names of the program in force (cookbook.go), and makes the decoders that read records under it (decode.go).
//
// It decides nothing: which cookbook comes into force, and when, is the node's and the directory's. What recipes mean is pipeline/recipe's.
//
// A Cookbook and the programs of a Compiler are shared and never written to; a Compiler is safe for concurrent use. A Format, and the decoders that it
// makes, belong to one goroutine.
package cookbook
