package features

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
	"dashi/shard"
)

// every makes a row of each profile at each step of time, and labels it by what happens within the horizon after.
type every struct {
	step, horizon int64
	name          string // of the event that makes a label true
	rows          []*waiting
	of            map[string][]*waiting // by the profile's id at their instant
}

// waiting is a row whose horizon has not passed.
type waiting struct {
	row Row
	yes bool
}

// Every asks for rows of everybody at each multiple of step since 1970, as soon as there is somebody and for as long as the
// events reach a horizon further. The label is true when an event of that name comes for the person at the instant or
// within less than the horizon after it, and false otherwise. Both are milliseconds above 0. Call it before the first Add.
func (r *Replay) Every(step, horizon int64, name string) {
	r.every = &every{step: step, horizon: horizon, name: name, of: map[string][]*waiting{}}
}

var errShort = errors.New("the history is too short: make rows more often (--every), or let their label look less far ahead (--within)")

func (r *Replay) runEvery(ctx context.Context, fn func(*Row) error) error {
	e := r.every
	if len(r.events) == 0 {
		return errShort
	}
	last := r.events[len(r.events)-1].time
	at := (r.events[0].time/e.step + 1) * e.step
	if at+e.horizon > last {
		return errShort
	}
	for i := range r.events {
		for ; at <= r.events[i].time && at+e.horizon <= last; at += e.step {
			r.moveTo(at)
			if err := errors.Join(r.emit(at, fn), r.everybody(at), ctx.Err()); err != nil {
				return err
			}
		}
		if err := r.live(i); err != nil {
			return err
		}
		if r.events[i].counts {
			r.mark()
		}
	}
	return r.emit(math.MaxInt64, fn)
}

// everybody makes the rows of an instant.
func (r *Replay) everybody(at int64) error {
	all := func(*expr.Env) expr.Truth { return expr.True }
	r.shard.Scan(all, 0, math.MaxUint32, &r.view, func(v *shard.View) bool {
		r.fill(at)
		row := r.row
		row.Who, row.Cells = string(v.AppendID(nil)), slices.Clone(row.Cells)
		w := &waiting{row: row}
		r.every.rows = append(r.every.rows, w)
		r.every.of[row.Who] = append(r.every.of[row.Who], w)
		return len(r.every.rows) <= MostLabels
	})
	if len(r.every.rows) > MostLabels {
		return fmt.Errorf("more than %d rows wait for their labels: take longer steps, or a shorter horizon", MostLabels)
	}
	return nil
}

// mark makes the labels true of those rows that the event just lived through is about: of its person, as far as is known by now.
func (r *Replay) mark() {
	r.flush()
	id := r.event.Identifiers[0]
	name := []byte(r.program.Schema.Namespaces[id.Namespace].Name)
	if !r.shard.Lookup(name, id.Value, identity.Hash(string(name), id.Value), &r.view) {
		return
	}
	var key []byte
	for _, id := range r.view.Identifiers {
		key = append(append(append(key[:0], id.Namespace...), ':'), id.Value...)
		for _, w := range r.every.of[string(key)] {
			w.yes = w.yes || r.event.Time < w.row.At+r.every.horizon
		}
	}
}

// emit hands out the rows whose horizon has passed by an instant.
func (r *Replay) emit(by int64, fn func(*Row) error) error {
	e := r.every
	for len(e.rows) > 0 && e.rows[0].row.At <= by-e.horizon {
		w := e.rows[0]
		w.row.Label = strconv.FormatBool(w.yes)
		if w.yes {
			r.summary.Positive++
		}
		if left := e.of[w.row.Who][1:]; len(left) > 0 {
			e.of[w.row.Who] = left
		} else {
			delete(e.of, w.row.Who)
		}
		if err := fn(&w.row); err != nil {
			return err
		}
		e.rows = e.rows[1:]
	}
	return nil
}
