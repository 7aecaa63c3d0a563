package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"dashi/bench/shop"
	"dashi/deploy"
	"dashi/node"
	"dashi/node/settings"
	"dashi/pipeline/kafka"
	"dashi/pipeline/recipe"

	"github.com/spf13/cobra"
)

func serveCommand() *cobra.Command {
	var path, level string
	var only, forget bool
	c := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run a node against a Kafka cluster",
		Long: `Run a node against a Kafka cluster. deploy/dashi.yml is a settings file with every setting, its default and what it is for.
While Kafka is away, a topic is missing or the Kafka user lacks a right, the node answers look-ups, waits, and says so (dashi status, the log); partitions that are
added to an input topic are read within seconds.
A node by itself takes recipes that are others than at its last start; if something would be forgotten by that it does not start, unless with --forget.
The nodes of a cluster take others from dashi apply only.`,
		Example: "  dashi serve --config /etc/dashi/dashi.yml\n  dashi serve --config /etc/dashi/dashi.yml --check",
		GroupID: "run",
		Args:    arguments,
	}
	c.Flags().StringVar(&path, "config", "", "settings file (required)")
	c.Flags().StringVar(&level, "log", "info", "debug, info, warn or error")
	c.Flags().BoolVar(&only, "check", false, "read the settings, and the recipes and secrets that they name, say what is wrong with them, and end")
	c.Flags().BoolVar(&forget, "forget", false, forgetUsage)
	_ = c.MarkFlagRequired("config")
	c.PreRun = func(*cobra.Command, []string) {
		if !only {
			giveSlack()
		}
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		log, err := newLog(c.ErrOrStderr(), level)
		if err != nil {
			return err
		}
		ctx := c.Context()
		var s settings.Settings
		file := openSettingsFile(path, &s, log)
		s, err = await(ctx, "reading settings", func() (settings.Settings, error) { return settings.Read(path) })
		if err != nil {
			return err
		}
		if only {
			notes, err := await(ctx, "reading what the settings name", s.CheckMachine)
			if err != nil {
				return err
			}
			for _, note := range notes {
				fmt.Fprintf(c.OutOrStdout(), "%s: note: %s\n", path, note)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: the settings can be used\n", path)
			return nil
		}
		o := node.Options{Version: version, Log: log, Forget: forget}
		if len(s.Recipes) > 0 {
			if o.Recipes, err = readRecipes(ctx, s.Recipes); err != nil {
				return err
			}
		}
		return run(ctx, &s, o, func(n *node.Node) {
			log.Info("serving", "http", n.HTTPAddr(), "resp", n.RESPAddr(), "kafka", n.KafkaSettings().Brokers)
		}, file.follow)
	}
	return c
}

func devCommand() *cobra.Command {
	var (
		data, http, resp, broker, level string
		clock                           string
		recipes, hosts                  []string
		demo                            float64
		people, shards                  int
		debug, forget                   bool
		webhooks                        []string
		webhookSecret                   string
	)
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run one node with an embedded Kafka and demo traffic",
		Long: `Run one node with an embedded Kafka and demo traffic: everything that dashi is, in one process. The data directory
keeps the profiles, the log and the broker's topics: stop it, start it again, and it goes on. With other recipes than at the
last start it switches to them; if something would be forgotten by that it does not start, unless with --forget.`,
		Example: "  dashi dev\n  dashi dev --demo 0 --recipes my-recipes/\n  dashi dev --data /tmp/try --demo 5000",
		GroupID: "run",
		Args:    arguments,
	}
	f := c.Flags()
	f.StringVar(&data, "data", "data", "directory for everything that is kept")
	f.StringVar(&http, "http", defaultHTTP, "address of HTTP and the console")
	f.StringSliceVar(&hosts, "http-host", nil, "name that HTTP is asked by, of a proxy in front for one, beside localhost (may be repeated; *: any)")
	f.StringVar(&resp, "resp", "127.0.0.1:6380", "address for Redis clients")
	f.StringVar(&broker, "kafka", "127.0.0.1:19092", "address of the embedded Kafka")
	f.StringSliceVar(&recipes, "recipes", nil, "recipe files or directories (default: the recipes in this binary)")
	f.BoolVar(&forget, "forget", false, forgetUsage)
	f.Float64Var(&demo, "demo", 200, "events a second of demo traffic; 0 for silence")
	f.IntVar(&people, "people", 20_000, "people in the demo")
	f.BoolVar(&debug, "debug", false, "serve the profiles of the Go runtime at /debug/pprof/")
	f.IntVar(&shards, "shards", 16, "shards, fixed when the data directory is made")
	f.StringArrayVar(&webhooks, "webhook", nil, "also post activations to this address (may be repeated; all settings: dashi serve)")
	f.StringVar(&webhookSecret, "webhook-secret", "", "signs what is posted (default from DASHI_WEBHOOK_SECRET, else one that is no secret)")
	f.StringVar(&clock, "clock", "wall", "what time follows: wall, or event, the times of the events")
	f.StringVar(&level, "log", "warn", "debug, info, warn or error")
	c.PreRun = func(*cobra.Command, []string) { giveSlack() }
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkDemo(demo, people); err != nil {
			return err
		}
		log, err := newLog(c.ErrOrStderr(), level)
		if err != nil {
			return err
		}
		s := settings.Default()
		s.Data, s.HTTP.Listen, s.RESP.Listen, s.Kafka.Embedded.Listen = data, http, resp, broker
		s.Recipes, s.Shards, s.HTTP.Debug, s.Clock, s.HTTP.Hosts = recipes, shards, debug, clock, hosts
		webhookSecret = cmp.Or(webhookSecret, os.Getenv("DASHI_WEBHOOK_SECRET"), devSecret)
		for i, url := range webhooks {
			s.Webhooks = append(s.Webhooks, settings.Webhook{Name: fmt.Sprintf("dev-%d", i+1), URL: url, Secret: webhookSecret})
		}
		o := node.Options{Version: version, Log: log, Forget: forget}
		if len(recipes) == 0 {
			o.Recipes, err = builtInRecipes()
		} else {
			o.Recipes, err = readRecipes(c.Context(), recipes)
		}
		if err != nil {
			return err
		}
		out := c.OutOrStdout()
		fmt.Fprintf(out, "dashi %s: opening %s\n", version, data)
		return run(c.Context(), &s, o, func(n *node.Node) {
			for i, url := range webhooks {
				fmt.Fprintf(out, "\n  webhook   dev-%d to %s", i+1, url)
			}
			greet(out, n.HTTPAddr(), n.RESPAddr(), n.KafkaSettings().Brokers[0], demo)
		}, func(ctx context.Context, n *node.Node) error {
			return playDemo(ctx, n.KafkaSettings(), demo, people)
		})
	}
	return c
}

// checkDemo says what is wrong with the flags of the demo traffic.
func checkDemo(rate float64, people int) error {
	switch {
	case !(rate >= 0 && rate <= 1e6):
		return fmt.Errorf("--demo %v: 0 to 1000000 events a second", rate)
	case people < 1:
		return fmt.Errorf("--people %d: at least 1", people)
	}
	return nil
}

// defaultHTTP is where a node answers, and where clients ask, unless they are told otherwise.
const defaultHTTP = "127.0.0.1:7070"
const forgetUsage = "take other recipes than at the last start although attributes, accounts or purposes of consent lose what they know"

// devSecret signs what dashi dev posts, unless it is told another: it is no secret.
const devSecret = "whsec_ZGFzaGkgZGV2OiB0aGlzIGlzIG5vIHNlY3JldCE="

func newLog(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("unknown log level %q: debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})), nil
}

// run opens a node and waits until it is told to stop. side, if not nil, runs beside it, and may change s for the next opening.
func run(ctx context.Context, s *settings.Settings, o node.Options, opened func(*node.Node), side func(context.Context, *node.Node) error) error {
	makeRoom(&o)
	for {
		err := runOnce(ctx, *s, o, opened, side)
		if !errors.Is(err, node.ErrReopen) {
			return err
		}
		o.Log.Warn("opening again", "why", err)
	}
}

func runOnce(ctx context.Context, s settings.Settings, o node.Options, opened func(*node.Node), side func(context.Context, *node.Node) error) error {
	n, err := node.Open(ctx, s, o)
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: make room on the disk of %q and start again; nothing is lost, but delete nothing in that directory (a log begins with 64 MiB)", err, s.Data)
	}
	if err != nil {
		return err
	}
	opened(n)
	inner, stop := context.WithCancel(ctx)
	var tended sync.WaitGroup
	if o.Appliers > 0 {
		tended.Go(func() { tendThreads(inner, o.Appliers, n.Pressure) })
	}
	sideDone := make(chan error, 1)
	go func() {
		if side == nil {
			sideDone <- nil
			return
		}
		sideDone <- side(inner, n)
	}()
	err = n.Wait(ctx)
	if errors.Is(err, node.ErrDrained) {
		o.Log.Warn("this node has been drained: it holds nothing, and ends; start it again and it comes back")
		err = nil
	}
	stop()
	tended.Wait()
	if sideErr := <-sideDone; err == nil && sideErr != nil && !errors.Is(sideErr, context.Canceled) {
		err = sideErr
	}
	o.Log.Info("closing")
	return errors.Join(err, n.Close())
}

// builtInRecipes are those of deploy/recipes, as they were when the binary was built.
func builtInRecipes() ([]recipe.Source, error) {
	files, err := deploy.Recipes()
	if err != nil {
		return nil, err
	}
	var sources []recipe.Source
	for _, f := range files {
		sources = append(sources, recipe.Source{Name: f.Name, Text: f.Text})
	}
	return sources, nil
}

// greet says what can be done with a node that listens at these addresses. RESP may be empty: it is off.
func greet(out io.Writer, http, resp, kafka string, demo float64) {
	http, resp = reached(http), reached(resp)
	who := "user_id:u0"
	if demo == 0 {
		who = "user_id:" + nobodyYet
	}
	fmt.Fprintf(out, `
  console   http://%s
  look-ups  http://%s/v1/profiles/%s
`, http, http, who)
	if resp != "" {
		fmt.Fprintf(out, "            redis://%s  (HGETALL %s)\n", resp, who)
	}
	fmt.Fprintf(out, "  kafka     %s\n\n", kafka)
	if demo > 0 {
		fmt.Fprintf(out, "  demo traffic at %.0f events a second. In another terminal:\n\n", demo)
	} else {
		fmt.Fprint(out, "  no demo traffic. In another terminal:\n\n")
	}
	if http != defaultHTTP {
		fmt.Fprintf(out, "    export DASHI_ADDR=http://%s\n", http)
	}
	if demo == 0 {
		firstOrder(out, http)
		fmt.Fprint(out, "    dashi replay FILE --map MAPPING      the rows of a file\n")
	}
	fmt.Fprintf(out, `    dashi audiences          who is in what (make run builds bin/dashi)
    dashi get %s     one person
    dashi tail               activations as they leave
    dashi status             how the node is
    dashi top                what it is doing, live

  Ctrl-C stops it.
`, who)
}

// nobodyYet is whom firstOrder makes.
const nobodyYet = "u7"

// firstOrder says how to give a node without demo traffic an event.
func firstOrder(out io.Writer, http string) {
	fmt.Fprintf(out, "    curl -u any: -d '{\"userId\":\"%s\",\"event\":\"Order Completed\",\"properties\":{\"total\":99}}' http://%s/v1/track\n", nobodyYet, http)
}

// reached is an address at which this machine reaches what listens at addr, which may stand for all addresses of the machine: [::] is none to go to.
func reached(addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
			return net.JoinHostPort("127.0.0.1", port)
		}
	}
	return addr
}

// demoPatience is how long the end of the demo waits for Kafka.
const demoPatience = 2 * time.Second

// playDemo sends shop traffic to the input topic, as any producer would. In its first seconds it sends what
// some minutes would bring, so that there is something to see at once.
func playDemo(ctx context.Context, settings kafka.Settings, rate float64, people int) error {
	if rate <= 0 {
		return nil
	}
	settings.ClientID = "dashi-demo"
	producer, err := kafka.NewProducer(kafka.ProducerSettings{Settings: settings, Topic: "dashi.events", Linger: 5 * time.Millisecond})
	if err != nil {
		return err
	}
	defer producer.Close()
	// What is on its way when the node is told to stop still arrives, unless Kafka is stuck.
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(demoPatience, giveUp) })()
	town := shop.New(uint64(os.Getpid())^uint64(time.Now().UnixNano()), people)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	start, sent := time.Now(), 0
	head := min(rate*60, 20_000)
	for {
		now := time.Now()
		due := int(now.Sub(start).Seconds()*rate + head*min(now.Sub(start).Seconds()/5, 1))
		for ; sent < due && ctx.Err() == nil; sent++ {
			m := town.Next(now)
			err := producer.Send(sending, "", kafka.Message{Key: append([]byte(nil), m.Key...), Value: append([]byte(nil), m.Value...)}, nil)
			if err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return producer.Flush(sending)
		case <-tick.C:
		}
	}
}
