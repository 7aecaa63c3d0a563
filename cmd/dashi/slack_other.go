//go:build !linux

package main

// giveSlack does nothing: only Linux lets a process say how exact its timers need to be.
func giveSlack() {}
