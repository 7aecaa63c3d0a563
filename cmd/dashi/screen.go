package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// screen is a terminal that is drawn on again and again. The zero screen is no terminal, and draws nothing.
type screen struct {
	file    *os.File
	restore func()
}

// Control sequences of terminals (ECMA-48, and the private modes of xterm that all others have).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // another screen, without a cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	toTop       = "\x1b[H"
	eraseLine   = "\x1b[K"
	eraseBelow  = "\x1b[J"
	noWrap      = "\x1b[?7l" // long lines end at the edge
	wrap        = "\x1b[?7h"
)

// openScreen takes over the terminal that out is, if it is one. quit is called when q or Ctrl-C is pressed.
func openScreen(out io.Writer, quit func()) screen {
	f, ok := out.(*os.File)
	if !ok || !isTerminal(f) {
		return screen{}
	}
	restore := readKeys(func(key byte) {
		if key == 'q' || key == 'Q' || key == 3 || key == 4 { // 3 is Ctrl-C, 4 Ctrl-D
			quit()
		}
	})
	fmt.Fprint(f, enterScreen+noWrap)
	return screen{file: f, restore: restore}
}

func (s *screen) live() bool { return s.file != nil }

// draw shows what fn writes; lines is how many there is room for.
func (s *screen) draw(fn func(w io.Writer, lines int)) {
	if s.file == nil {
		return
	}
	var text bytes.Buffer
	fn(&text, terminalLines(s.file)-1)
	b := append([]byte(toTop), bytes.ReplaceAll(text.Bytes(), []byte("\n"), []byte(eraseLine+"\r\n"))...)
	_, _ = s.file.Write(append(b, eraseBelow...))
}

// close gives the terminal back as it was.
func (s *screen) close() {
	if s.file == nil {
		return
	}
	fmt.Fprint(s.file, wrap+leaveScreen)
	s.restore()
}
