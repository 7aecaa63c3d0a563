package kafka

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A warning that goes on is logged again after againEvery, then after twice as long each time, up to againSeldom: brokers that are away make each client
// warn several times a second, and the tenth line tells nobody more than the first.
const (
	againEvery  = 10 * time.Second
	againSeldom = time.Minute
)

// againMost bounds the different warnings that are remembered; beyond it they are logged as they come.
const againMost = 256

// Collapse makes a logger that logs a warning or an error at once when it is new, and then counts its repeats: after ten seconds it logs the last of them
// with how many there were (again=80 in=10s), and while it goes on, after a minute each. Two lines are the same if message, address, topic and group are;
// their other attributes may differ. Clients of one process should share one such logger. Lines below a warning pass.
func Collapse(log *slog.Logger) *slog.Logger {
	return slog.New(again{next: log.Handler(), seen: &seenLines{lines: map[line]*repeats{}}})
}

// again is the handler of Collapse.
type again struct {
	next slog.Handler
	seen *seenLines
}

// line is what tells one warning from another.
type line struct {
	level                       slog.Level
	message, addr, topic, group string
}

// repeats counts how often a line has come since it was last logged.
type repeats struct {
	count int
	in    time.Duration // after which they are logged
	last  slog.Record
	to    slog.Handler
}

type seenLines struct {
	mu    sync.Mutex
	lines map[line]*repeats
}

func (a again) Enabled(ctx context.Context, l slog.Level) bool { return a.next.Enabled(ctx, l) }

func (a again) WithAttrs(attrs []slog.Attr) slog.Handler {
	return again{a.next.WithAttrs(attrs), a.seen}
}

func (a again) WithGroup(name string) slog.Handler { return again{a.next.WithGroup(name), a.seen} }

func (a again) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn || !a.seen.count(lineOf(r), r, a.next) {
		return a.next.Handle(ctx, r)
	}
	return nil
}

func lineOf(r slog.Record) line {
	l := line{level: r.Level, message: r.Message}
	r.Attrs(func(at slog.Attr) bool {
		switch at.Key {
		case "addr":
			l.addr = at.Value.String()
		case "topic", "stream":
			l.topic = at.Value.String()
		case "group":
			l.group = at.Value.String()
		}
		return true
	})
	return l
}

// count counts a line that was logged a moment ago, and says whether it was.
func (s *seenLines) count(l line, r slog.Record, to slog.Handler) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen := s.lines[l]; seen != nil {
		seen.count++
		seen.last, seen.to = r.Clone(), to
		return true
	}
	if len(s.lines) < againMost {
		s.watch(l, againEvery)
	}
	return false
}

// watch begins to count the repeats of a line that has been logged now. mu is held.
func (s *seenLines) watch(l line, in time.Duration) {
	s.lines[l] = &repeats{in: in}
	time.AfterFunc(in, func() { s.tell(l) })
}

// tell logs how often a line has come again. A line that has not is forgotten, so that the next one is logged at once.
func (s *seenLines) tell(l line) {
	s.mu.Lock()
	seen := s.lines[l]
	if seen.count == 0 {
		delete(s.lines, l)
		s.mu.Unlock()
		return
	}
	s.watch(l, min(2*seen.in, againSeldom))
	s.mu.Unlock()
	seen.last.AddAttrs(slog.Int("again", seen.count), slog.Duration("in", seen.in))
	_ = seen.to.Handle(context.Background(), seen.last) // nobody is there to hear of it
}
