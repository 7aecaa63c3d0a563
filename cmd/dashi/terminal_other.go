//go:build !linux

package main

import "os"

func terminalLines(*os.File) int { return 24 }

// readKeys knows no keys here: Ctrl-C ends what reads them.
func readKeys(func(key byte)) (restore func()) { return func() {} }
