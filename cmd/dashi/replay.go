package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dashi/node/status"
	"dashi/pipeline/event"
	"dashi/pipeline/kafka"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

// replayOptions are the flags of replay.
type replayOptions struct {
	mapping, topic   string
	dead             string
	recipes, brokers []string
	rate             float64
	pace             float64
	limit            int64
	restart          bool
	quiet            bool
	clock            string
}

func replayCommand() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay FILE --map MAPPING",
		Short: "Send the rows of a CSV or JSONL file to Kafka as events",
		Long: `Send the rows of a CSV or JSONL file, gzipped or not, to Kafka as events. The mapping is one of a recipe: by
default of the cookbook of the running node, otherwise of the files that --recipes names.

A replay that was interrupted goes on after the last row that Kafka has acknowledged when the same command is given again.
One that has ended begins anew, and its rows count once more, unless the mapping has a message_id and the shards still remember it.
Rows that cannot be mapped go to the dead topic; rows without an identifier are counted, if the mapping says so.

With --clock event the node lives through the history: each profile's clock follows its events, so that who entered or left
an audience in between did so at that instant, and at the end all profiles are brought to the time of the last event.
The node must have an empty data directory, or have been told so before.`,
		Example: "  dashi replay online_retail.csv.gz --map online_retail\n" +
			"  dashi replay clicks.jsonl --map clicks --recipes my.yml --kafka 127.0.0.1:9092 --rate 1000",
		GroupID: "recipes",
		Args:    arguments,
	}
	f := c.Flags()
	f.StringVar(&o.mapping, "map", "", "mapping that turns rows into events (required)")
	f.StringSliceVar(&o.recipes, "recipes", nil, "recipe files or directories that hold the mapping, instead of the node's cookbook")
	f.StringSliceVar(&o.brokers, "kafka", nil, "Kafka brokers, host:port (default: those of the running node)")
	f.StringVar(&o.topic, "topic", "", "topic (default: the node's first input, or dashi.events)")
	f.Float64Var(&o.rate, "rate", 0, "events a second; 0 for as fast as Kafka takes them")
	f.Float64Var(&o.pace, "pace", 0, "follow event time, so many times as fast: 3600 plays an hour in a second")
	f.Int64Var(&o.limit, "limit", 0, "stop after so many rows; 0 for all")
	f.BoolVar(&o.restart, "restart", false, "begin with the first row, even if an earlier replay was interrupted")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress bar")
	f.StringVar(&o.clock, "clock", "wall", "what time follows: wall, or event, the times of the events")
	_ = c.MarkFlagRequired("map")
	cl := addClientFlags(c)
	c.GroupID = "recipes"
	c.RunE = func(c *cobra.Command, args []string) error { return replay(c, cl, args[0], o) }
	return c
}

// replayTarget asks the node for what the flags leave open.
func replayTarget(ctx context.Context, cl *client, o *replayOptions) ([]recipe.Source, error) {
	o.dead = "dashi.dead"
	if len(o.brokers) == 0 || o.topic == "" {
		var st status.Status
		if err := cl.fetch(ctx, "/v1/status", &st); err == nil {
			if len(o.brokers) == 0 {
				o.brokers = st.Kafka.Brokers
			}
			o.dead = st.Kafka.Dead
			if o.topic == "" && len(st.Kafka.Inputs) > 0 {
				o.topic = st.Kafka.Inputs[0]
			}
		} else if len(o.brokers) == 0 {
			return nil, fmt.Errorf("%w\n(or name the brokers with --kafka)", err)
		}
	}
	if o.topic == "" {
		o.topic = "dashi.events"
	}
	if len(o.recipes) > 0 {
		return readRecipes(ctx, o.recipes)
	}
	sources, err := cl.cookbook(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w\n(or name the recipe files with --recipes)", err)
	}
	return sources, nil
}

// cookbook are the recipes in force on the node.
func (c *client) cookbook(ctx context.Context) ([]recipe.Source, error) {
	var answer struct {
		Sources []struct{ Name, Text string }
	}
	if err := c.fetch(ctx, "/v1/cookbook", &answer); err != nil {
		return nil, err
	}
	var sources []recipe.Source
	for _, s := range answer.Sources {
		sources = append(sources, recipe.Source{Name: s.Name, Text: []byte(s.Text)})
	}
	return sources, nil
}

// replayMapping finds out where the rows go, and compiles the mapping by which they are read.
func replayMapping(c *cobra.Command, cl *client, o *replayOptions) (*recipe.Mapping, error) {
	sources, err := replayTarget(c.Context(), cl, o)
	if err != nil {
		return nil, err
	}
	program, err := compiled(c, sources)
	if err != nil {
		return nil, err
	}
	m := program.Mappings[o.mapping]
	if m == nil {
		return nil, noMapping(program, o.mapping)
	}
	return m, nil
}

// noMapping says which mappings there are in place of one that is not.
func noMapping(p *recipe.Program, name string) error {
	names := sortedKeys(p.Mappings)
	if len(names) == 0 {
		return fmt.Errorf("no mapping %s in the cookbook, which has none", say.Quote(name))
	}
	return fmt.Errorf("no mapping %s in the cookbook; there are: %s", say.Quote(name), strings.Join(names, ", "))
}

// check says which flag cannot be meant.
func (o *replayOptions) check() error {
	switch {
	case o.limit < 0:
		return fmt.Errorf("--limit %d: how many rows, 0 for all", o.limit)
	case o.rate < 0:
		return fmt.Errorf("--rate %v: events a second, 0 for as fast as it goes", o.rate)
	case o.pace < 0:
		return fmt.Errorf("--pace %v: how many times as fast as in the events' own time, 0 for as fast as it goes", o.pace)
	case o.clock != "wall" && o.clock != "event":
		return fmt.Errorf("unknown clock %q: wall or event", o.clock)
	}
	return nil
}

func replay(c *cobra.Command, cl *client, path string, o replayOptions) error {
	ctx := c.Context()
	if err := o.check(); err != nil {
		return err
	}
	if o.clock == "event" {
		if err := cl.followEvents(ctx); err != nil {
			return err
		}
	}
	m, err := replayMapping(c, cl, &o)
	if err != nil {
		return err
	}
	in, err := openRows(ctx, path, m.Format, m.Delimiter, m.Columns)
	if err != nil {
		return byMapping(err, m)
	}
	defer in.Close()
	mark := &bookmark{}
	if !in.pipe {
		if mark, err = newBookmark(path, o); err != nil {
			return err
		}
	}
	binding, err := m.Bind(in.columns)
	if err != nil {
		return fmt.Errorf("mapping %q does not fit %q: %w", o.mapping, path, err)
	}
	r := &replayer{o: o, in: in, binding: binding, out: c.ErrOrStderr(), mark: mark}
	if err := r.open(ctx); err != nil {
		return err
	}
	defer r.close()
	err = r.run(ctx)
	r.bar(true)
	if saveErr := r.save(err == nil); err == nil {
		err = saveErr
	}
	if err == nil && o.clock == "event" {
		err = cl.endOfHistory(ctx)
	}
	if cl.json() {
		_ = say.WriteJSON(cl.out, r.report())
	} else {
		fmt.Fprintln(cl.out, r.summary())
	}
	if err != nil && ctx.Err() != nil && in.pipe {
		return fmt.Errorf("interrupted after row %d", r.mark.Rows)
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("interrupted after row %d: give the same command again to go on", r.mark.Rows)
	}
	return err
}

// followEvents makes the node's clock follow event times.
func (c *client) followEvents(ctx context.Context) error {
	rc, err := c.open(ctx, "PUT", "/v1/clock", map[string]string{"follows": "event"})
	if err != nil {
		return err
	}
	return rc.Close()
}

// endOfHistory waits until all that is in Kafka has been applied, and then moves every profile's clock to the latest event time of all.
func (c *client) endOfHistory(ctx context.Context) error {
	rc, err := c.open(ctx, "GET", "/v1/status?wait=idle&timeout=10m", nil)
	if err != nil {
		return fmt.Errorf("cannot wait for the end of the replay: %w", err)
	}
	if err := errors.Join(rc.Close(), c.followEvents(ctx)); err != nil {
		return err
	}
	if rc, err = c.open(ctx, "GET", "/v1/status?wait=idle&timeout=10m", nil); err != nil {
		return fmt.Errorf("cannot wait for the timers at the end of the replay: %w", err)
	}
	return rc.Close()
}

// replayer is one run of replay.
type replayer struct {
	o        replayOptions
	in       *rows
	binding  *recipe.Binding
	producer *kafka.Producer
	dead     *kafka.DeadLetters
	out      io.Writer
	mark     *bookmark
	started  time.Time
	first    int64 // event time of the first row sent, for --pace
	told     int   // bad rows that were shown: see tellBad

	mu     sync.Mutex
	acked  map[int64]bool // rows beyond mark.Rows that are done
	failed error
	sent   int64
	drawn  time.Time
	saved  time.Time
}

// open opens what the rows go to. After an error nothing is open.
func (r *replayer) open(ctx context.Context) (err error) {
	settings := kafka.Settings{Brokers: r.o.brokers, ClientID: "dashi-replay"}
	if r.producer, err = kafka.NewProducer(kafka.ProducerSettings{Settings: settings, Topic: r.o.topic, Linger: 5 * time.Millisecond, Timeout: time.Minute}); err != nil {
		return err
	}
	if r.dead, err = kafka.NewDeadLetters(settings, r.o.dead); err != nil {
		r.producer.Close()
		return err
	}
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := kafka.Ping(limited, settings); err != nil {
		r.close()
		return err
	}
	return nil
}

func (r *replayer) close() {
	r.dead.Close()
	r.producer.Close()
}

// run sends row after row. It returns when everything that was sent has been acknowledged.
func (r *replayer) run(ctx context.Context) error {
	r.started, r.acked = time.Now(), map[int64]bool{}
	skip := r.mark.Rows
	if skip > 0 {
		fmt.Fprintf(r.out, "going on after row %d (--restart begins again)\n", skip)
	}
	for n := int64(1); r.o.limit == 0 || n <= r.o.limit; n++ {
		row, line, err := r.in.Next()
		if err == io.EOF {
			break
		}
		if n <= skip {
			continue
		}
		if err := r.row(ctx, n, line, row, err); err != nil {
			r.producer.Flush(context.WithoutCancel(ctx))
			return err
		}
		r.bar(false)
	}
	if err := r.producer.Flush(ctx); err != nil {
		return err
	}
	if err := r.dead.Flush(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// row sends row n, or says why not.
func (r *replayer) row(ctx context.Context, n, line int64, row []string, err error) error {
	var bad *badRow
	if err != nil && !errors.As(err, &bad) {
		return fmt.Errorf("cannot read %q after line %d: %w", r.in.file.Name(), line, err)
	}
	var value, key []byte
	var millis int64
	if err == nil {
		value, key, millis, err = r.binding.AppendEvent(nil, row)
	}
	if errors.Is(err, recipe.ErrAnonymous) {
		r.done(n, func(b *bookmark) { b.Anonymous++ }, nil)
		return nil
	}
	if err != nil {
		return r.bury(ctx, n, line, r.in.text(), err)
	}
	if err := r.wait(ctx, millis); err != nil {
		return err
	}
	r.mu.Lock()
	r.sent++
	failed := r.failed
	r.mu.Unlock()
	if failed != nil {
		return failed
	}
	key = append([]byte(nil), key...) // the producer reads it later, the binding writes over it with the next row
	err = r.producer.Send(ctx, "", kafka.Message{Key: key, Value: value}, func(err error) {
		r.done(n, func(b *bookmark) { b.Events++ }, err)
	})
	if errors.Is(err, kafka.ErrTooLarge) {
		return r.bury(ctx, n, line, value, err)
	}
	return err
}

// tellBad is how many bad rows are shown as they come; the rest are only in the dead topic.
const tellBad = 3

// bury sends row n to the dead topic, with why.
func (r *replayer) bury(ctx context.Context, n, line int64, text []byte, why error) error {
	if r.told++; r.told <= tellBad {
		fmt.Fprintf(r.out, "line %d: %v\n", line, why)
	}
	letter := kafka.DeadLetter{Reason: string(event.BadRow), Detail: fmt.Sprintf("%s line %d: %v", filepath.Base(r.in.file.Name()), line, why), Value: text}
	if err := r.dead.Put(ctx, letter); err != nil {
		return err
	}
	r.done(n, func(b *bookmark) { b.Bad++ }, nil)
	return nil
}

// wait keeps to --rate or --pace.
func (r *replayer) wait(ctx context.Context, millis int64) error {
	var due time.Time
	switch {
	case r.o.rate > 0:
		due = r.started.Add(time.Duration(float64(r.sent) / r.o.rate * float64(time.Second)))
	case r.o.pace > 0:
		if r.first == 0 {
			r.first = millis
		}
		due = r.started.Add(time.Duration(float64(millis-r.first) / r.o.pace * float64(time.Millisecond)))
	default:
		return ctx.Err()
	}
	if left := time.Until(due); left > time.Millisecond {
		select {
		case <-time.After(left):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// done counts row n and moves the bookmark over all rows that are done. It runs on the producer's goroutines too.
func (r *replayer) done(n int64, count func(*bookmark), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if r.failed == nil {
			r.failed = err
		}
		return
	}
	count(r.mark)
	r.acked[n] = true
	for r.acked[r.mark.Rows+1] {
		r.mark.Rows++
		delete(r.acked, r.mark.Rows)
	}
}
