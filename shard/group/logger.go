package group

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// logger hands Raft's warnings and errors to slog. A cluster that has lost a node warns several times a second for each group, so the same words
// of the same group are written once in logEvery.
type logger struct {
	hclog.Logger // swallows the rest
	to           *slog.Logger

	mu     sync.Mutex
	silent bool // while Raft starts
	last   map[string]time.Time
	held   map[string]int
}

const logEvery = 10 * time.Second

func newLogger(to *slog.Logger, id uint32) *logger {
	return &logger{Logger: hclog.NewNullLogger(), to: to.With("group", id), last: map[string]time.Time{}, held: map[string]int{}}
}

func (l *logger) Warn(msg string, args ...any)  { l.write(slog.LevelWarn, msg, args) }
func (l *logger) Error(msg string, args ...any) { l.write(slog.LevelError, msg, args) }
func (l *logger) IsWarn() bool                  { return true }
func (l *logger) IsError() bool                 { return true }

// With keeps no arguments: Raft adds none to a warning that matters.
func (l *logger) With(...any) hclog.Logger       { return l }
func (l *logger) Named(string) hclog.Logger      { return l }
func (l *logger) GetLevel() hclog.Level          { return hclog.Warn }
func (l *logger) ResetNamed(string) hclog.Logger { return l }

func (l *logger) write(level slog.Level, msg string, args []any) {
	l.mu.Lock()
	now := time.Now()
	if l.silent || now.Sub(l.last[msg]) < logEvery {
		l.held[msg]++
		l.mu.Unlock()
		return
	}
	held := l.held[msg]
	l.last[msg] = now
	delete(l.held, msg)
	l.mu.Unlock()
	words := make([]any, 0, len(args)+2)
	for i, a := range args {
		if i%2 == 1 {
			a = fmt.Sprint(a) // not a pointer to what Raft goes on changing
		}
		words = append(words, a)
	}
	if held > 0 {
		words = append(words, "repeated", held)
	}
	l.to.Log(context.Background(), level, "raft: "+msg, words...)
}

func (l *logger) quiet(silent bool) {
	l.mu.Lock()
	l.silent = silent
	l.mu.Unlock()
}
