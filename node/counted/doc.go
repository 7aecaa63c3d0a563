// Package counted is what shards have counted of audiences (audience.go) and of activations (activation.go): how a shard is read, how what all shards say is
// added up hour by hour, and how sure a difference between those who got an activation and those who did not is (interval.go).
//
// It asks nobody: node fetches what each shard says, as the JSON of Flows and Sent, from wherever the shard is.
package counted
