package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"dashi/pipeline/say"
)

// How often a long replay draws its progress and saves its bookmark.
const (
	drawInterval = 200 * time.Millisecond
	saveInterval = time.Second
	barWidth     = 30
)

// bar draws the progress bar, if a person is watching, and keeps the bookmark now and then.
func (r *replayer) bar(last bool) {
	now := time.Now()
	if !last && now.Sub(r.saved) > saveInterval {
		r.saved = now
		if err := r.save(false); err != nil {
			fmt.Fprintln(r.out, "dashi:", err)
		}
	}
	if r.o.quiet || !isTerminal(r.out) || !last && now.Sub(r.drawn) < drawInterval {
		return
	}
	r.drawn = now
	share := 0.0
	if r.in.size > 0 {
		share = min(float64(r.in.read.Load())/float64(r.in.size), 1)
	}
	r.mu.Lock()
	rows, events := r.mark.Rows, r.mark.Events
	r.mu.Unlock()
	elapsed := now.Sub(r.started)
	left := "-"
	if share > 0.01 {
		left = say.Span(time.Duration(float64(elapsed) * (1 - share) / share).Round(time.Second))
	}
	filled := int(share * barWidth)
	fmt.Fprintf(r.out, "\r[%s%s] %3.0f%%  %s  %.0f events/s  %s left   ",
		strings.Repeat("=", filled), strings.Repeat(" ", barWidth-filled), 100*share, say.Count(rows, "row"), float64(events)/max(elapsed.Seconds(), 1e-3), left)
	if last {
		fmt.Fprintln(r.out)
	}
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// replayReport is what replay prints with -o json.
type replayReport struct {
	Rows      int64   `json:"rows"`
	Events    int64   `json:"events"`
	Anonymous int64   `json:"anonymous"`
	Bad       int64   `json:"bad"`
	Seconds   float64 `json:"seconds"`
}

func (r *replayer) report() replayReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return replayReport{r.mark.Rows, r.mark.Events, r.mark.Anonymous, r.mark.Bad, time.Since(r.started).Seconds()}
}

func (r *replayer) summary() string {
	p := r.report()
	text := fmt.Sprintf("%s: %s acknowledged by Kafka, %s without identifier, %s in the dead topic; %.1f s",
		say.Count(p.Rows, "row"), say.Count(p.Events, "event"), say.Count(p.Anonymous, "row"), say.Count(p.Bad, "bad row"), p.Seconds)
	if p.Bad > 0 {
		text += "\ndashi dead --reason bad_row shows what is wrong"
	}
	return text
}
