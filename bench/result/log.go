package result

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Log appends the figures of one run to the file of the month, each as soon as it is there: a run that is broken off
// loses nothing.
type Log struct {
	dir     string
	commit  string
	machine Machine
	quick   bool
	now     func() time.Time
	figures []Figure
}

// NewLog writes into dir, which is made when the first figure comes.
func NewLog(dir, commit string, machine Machine, quick bool, now func() time.Time) *Log {
	return &Log{dir: dir, commit: commit, machine: machine, quick: quick, now: now}
}

// Add completes a figure and appends its line.
func (l *Log) Add(f Figure) error {
	f.Time = l.now().UTC().Truncate(time.Second)
	f.Commit, f.Machine, f.Quick = l.commit, l.machine, l.quick
	if f.Target != nil {
		met := f.Target.Met(f.Value)
		f.Met = &met
	}
	if f.Settings == nil {
		f.Settings = Settings{}
	}
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false) // targets begin with < and >
	if err := e.Encode(f); err != nil {
		return fmt.Errorf("cannot write figure %q of workload %q: %w", f.Metric, f.Workload, err)
	}
	l.figures = append(l.figures, f)
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return fmt.Errorf("cannot make results directory: %w", err)
	}
	path := filepath.Join(l.dir, f.Time.Format("2006-01")+".jsonl")
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot open results: %w", err)
	}
	_, err = file.Write(line.Bytes())
	if e := file.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("cannot write results %q: %w", path, err)
	}
	return nil
}

// Figures are those of this run, in order.
func (l *Log) Figures() []Figure { return l.figures }
