package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"dashi/node/settings"
	"dashi/pipeline/kafka"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// restartAfter is how long a node that died stays dead: long enough to see the others take over.
const restartAfter = 5 * time.Second

// mostNodes is the most nodes that are worth a try on one machine, mostFounders the most that can found a cluster: the others join it.
const (
	mostNodes    = 16
	mostFounders = 5
)

// portStep lies between the ports of one node and the next.
const portStep = 100

// trial is a cluster of processes on this machine.
type trial struct {
	nodes    int
	replicas int
	data     string
	listen   string // of the embedded Kafka
	brokers  []string
	recipes  []string
	demo     float64
	people   int
	shards   int
	level    string
	out      io.Writer
	log      *slog.Logger
}

func clusterCommand() *cobra.Command {
	var t trial
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Run three nodes on this machine, with demo traffic, to see what a cluster does",
		Long: `Run three nodes on this machine, each a process of its own, with an embedded Kafka beside them and demo traffic. Kill one, and see
that nothing is lost: it is started again after some seconds. The settings files that it writes are a start for real ones.

Ports: node 1 has those of dashi dev (HTTP 7070, RESP 6380, nodes 7071, gossip 7072), each further node has them 100 higher.`,
		Example: "  dashi cluster\n  dashi cluster --nodes 7\n  dashi cluster --brokers kafka-1:9092 --demo 2000",
		GroupID: "run",
		Args:    arguments,
	}
	f := c.Flags()
	f.IntVar(&t.nodes, "nodes", 3, fmt.Sprintf("how many nodes, 1 to %d; the first %d found the cluster, the others join it", mostNodes, mostFounders))
	f.IntVar(&t.replicas, "replicas", 3, "copies of each shard, 1 to 5, fixed when the data directory is made")
	f.StringVar(&t.data, "data", filepath.Join("data", "cluster"), "directory for everything that is kept")
	f.StringVar(&t.listen, "kafka", "127.0.0.1:19092", "address of the embedded Kafka")
	f.StringSliceVar(&t.brokers, "brokers", nil, "brokers of a real Kafka, host:port, in place of the embedded one")
	f.StringSliceVar(&t.recipes, "recipes", nil, "recipe files or directories (default: the recipes in this binary)")
	f.Float64Var(&t.demo, "demo", 200, "events a second of demo traffic; 0 for silence")
	f.IntVar(&t.people, "people", 20_000, "people in the demo")
	f.IntVar(&t.shards, "shards", 16, "shards, fixed when the data directory is made")
	f.StringVar(&t.level, "log", "info", "debug, info, warn or error")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if t.nodes < 1 || t.nodes > mostNodes {
			return fmt.Errorf("%s: 1 to %d", say.Count(t.nodes, "node"), mostNodes)
		}
		if err := checkDemo(t.demo, t.people); err != nil {
			return err
		}
		if t.log, err = newLog(c.ErrOrStderr(), "warn"); err != nil {
			return err
		}
		t.out = c.OutOrStdout()
		return t.run(c.Context())
	}
	return c
}

// run starts everything and waits until ctx is done.
func (t *trial) run(ctx context.Context) (err error) {
	if err := os.MkdirAll(t.data, 0o755); err != nil {
		return fmt.Errorf("cannot make data directory: %w", err)
	}
	if t.recipes, err = t.recipeFiles(); err != nil {
		return err
	}
	if len(t.brokers) == 0 {
		broker, err := kafka.OpenBroker(kafka.BrokerSettings{Addr: t.listen, Dir: filepath.Join(t.data, "kafka"), Log: t.log})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, broker.Close()) }()
		t.brokers = []string{broker.Addr()}
	}
	inner, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	failed := make(chan error, t.nodes+1)
	for i := range t.nodes {
		s := t.settings(i)
		path, err := writeSettings(s)
		if err != nil {
			return err
		}
		running.Go(func() {
			if i < mostFounders || t.awaitNode(inner) { // one that is to join must find a cluster, or it would try to found one with others
				failed <- t.keep(inner, i, s, path)
			}
		})
	}
	t.greet()
	running.Go(func() {
		if !t.awaitNode(inner) {
			return
		}
		err := playDemo(inner, kafka.Settings{Brokers: t.brokers, ClientID: "dashi-demo", Compression: "none", Log: kafka.Collapse(t.log)}, t.demo, t.people)
		if err != nil && inner.Err() == nil {
			failed <- err
		}
	})
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// awaitNode waits until the first node answers: then the topics are there.
func (t *trial) awaitNode(ctx context.Context) bool {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.settings(0).HTTP.Listen+"/readyz", nil)
		if err != nil {
			return false
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// recipeFiles are files that the nodes can read: those that were named, or the ones in the binary written out.
func (t *trial) recipeFiles() ([]string, error) {
	var files []string
	for _, path := range t.recipes {
		full, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		files = append(files, full)
	}
	if len(files) > 0 {
		return files, nil
	}
	sources, err := builtInRecipes()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(t.data, "recipes")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot write recipes: %w", err)
	}
	for _, s := range sources {
		path := filepath.Join(dir, filepath.Base(s.Name))
		if err := os.WriteFile(path, s.Text, 0o644); err != nil {
			return nil, fmt.Errorf("cannot write recipes: %w", err)
		}
		files = append(files, path)
	}
	return files, nil
}

// settings are the settings of node i.
func (t *trial) settings(i int) settings.Settings {
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i*portStep)) }
	s := settings.Default()
	s.Data, s.Shards, s.Replicas, s.Recipes = filepath.Join(t.data, fmt.Sprintf("n%d", i+1)), t.shards, t.replicas, t.recipes
	s.HTTP.Listen, s.RESP.Listen = at(7070), at(6380)
	s.Kafka.Brokers = t.brokers
	s.Node.ID = fmt.Sprintf("n%d", i+1)
	s.Node.Listen, s.Gossip.Listen = at(7071), at(7072)
	s.Gossip.Expect = min(t.nodes, mostFounders)
	for k := range t.nodes {
		if k != i {
			s.Gossip.Join = append(s.Gossip.Join, net.JoinHostPort("127.0.0.1", strconv.Itoa(7072+k*portStep)))
		}
	}
	return s
}

// writeSettings writes the settings of a node into its data directory.
func writeSettings(s settings.Settings) (path string, err error) {
	if err := s.Check(); err != nil {
		return "", err
	}
	path = filepath.Join(s.Data, "dashi.yml")
	text, err := yaml.Marshal(s)
	if err == nil {
		err = os.MkdirAll(s.Data, 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("cannot write settings of node %s: %w", s.Node.ID, err)
	}
	return path, nil
}

// keep runs node i until ctx is done, and starts it again when it died.
func (t *trial) keep(ctx context.Context, i int, s settings.Settings, path string) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.Data, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	for ctx.Err() == nil {
		c := exec.CommandContext(ctx, binary, "serve", "--config", path, "--log", t.level)
		c.Stdout, c.Stderr = log, log
		c.Env = append(os.Environ(), shareOfProcessors(t.nodes)...)
		c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
		c.WaitDelay = 20 * time.Second
		c.SysProcAttr = endWithParent
		if err := c.Start(); err != nil {
			return fmt.Errorf("cannot start node %d: %w", i+1, err)
		}
		fmt.Fprintf(t.out, "  n%d  console http://%s  redis://%s  pid %d\n", i+1, s.HTTP.Listen, s.RESP.Listen, c.Process.Pid)
		err := c.Wait()
		if ctx.Err() != nil {
			return nil
		}
		how := "ended well"
		if err != nil {
			how = fmt.Sprintf("ended (%v)", err)
		}
		fmt.Fprintf(t.out, "  n%d  %s; its log is %s; it starts again in %s\n", i+1, how, log.Name(), restartAfter)
		select {
		case <-ctx.Done():
		case <-time.After(restartAfter):
		}
	}
	return nil
}

// shareOfProcessors is what the environment of one of so many nodes on this machine has more than ours. If each had as many threads as there are processors, they
// would take them from each other: twice the processor time an event.
func shareOfProcessors(nodes int) []string {
	if os.Getenv("GOMAXPROCS") != "" {
		return nil
	}
	return []string{fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.NumCPU()/nodes))}
}

func (t *trial) greet() {
	last := 7070 + 100*(t.nodes-1)
	fmt.Fprintf(t.out, "\n  %s, kafka %s, %.0f events a second. In another terminal:\n\n", say.Count(t.nodes, "node"), t.brokers[0], t.demo)
	who := "u0"
	if t.demo == 0 {
		who = nobodyYet
		firstOrder(t.out, defaultHTTP)
	}
	fmt.Fprintf(t.out, `    dashi status                                          who leads what, how far the replicas are
    dashi get user_id:%s --addr 127.0.0.1:%d            any node answers
    curl -i '127.0.0.1:%d/v1/profiles/user_id:%s?read=linearizable'
    kill -9 PID                                           the pid of one of the nodes: the others go on, it comes back

  Ctrl-C stops all of them.

`, who, min(7170, last), last, who)
}
