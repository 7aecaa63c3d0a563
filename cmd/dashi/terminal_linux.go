package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminalLines is how many lines there are; 24 when it does not say.
func terminalLines(f *os.File) int {
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Row > 1 {
		return int(size.Row)
	}
	return 24
}

// readKeys calls fn for every key, as it is pressed, until the process ends; restore makes the terminal wait for lines again. Where the input is no terminal there are no keys.
func readKeys(fn func(key byte)) (restore func()) {
	in := int(os.Stdin.Fd())
	was, err := unix.IoctlGetTermios(in, unix.TCGETS)
	if err != nil {
		return func() {}
	}
	raw := *was
	raw.Lflag &^= unix.ICANON | unix.ECHO // ISIG stays: Ctrl-C and Ctrl-Z do what they do everywhere
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(in, unix.TCSETS, &raw); err != nil {
		return func() {}
	}
	go func() {
		var b [1]byte
		for {
			if n, err := os.Stdin.Read(b[:]); err != nil || n == 0 {
				return
			}
			fn(b[0])
		}
	}()
	return func() { _ = unix.IoctlSetTermios(in, unix.TCSETS, was) }
}
