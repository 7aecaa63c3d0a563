//go:build !linux

package resp

import "net"

// loop does not exist here: every connection has a goroutine.
type loop struct{ clients int }

func (l *loop) end() {}

func (s *Server) openLoops() error { return nil }

func (s *Server) intoLoop(net.Conn) bool { return false }
