package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"dashi/node/status"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

// fetch decodes the JSON answer to a GET, whatever the output format is.
func (c *client) fetch(ctx context.Context, path string, into any) error {
	return c.fetchBy(ctx, "GET", path, into)
}

// fetchBy is fetch with another method.
func (c *client) fetchBy(ctx context.Context, method, path string, into any) error {
	rc, err := c.open(ctx, method, path, nil)
	if err != nil {
		return err
	}
	defer rc.Close()
	if err := json.NewDecoder(rc).Decode(into); err != nil {
		return fmt.Errorf("cannot read the answer of %s: %w", c.addr, err)
	}
	return nil
}

func statusCommand() *cobra.Command {
	var idle, hashes, ready bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how a node is",
		Long: `Show how a node is. With --wait-idle it answers only when everything that was in Kafka at the call has been applied,
and all activations that came of it have been sent. With --ready it only says whether the node answers look-ups, and fails when it does not: for
probes, since it needs no key.`,
		Example: "  dashi status\n  dashi status --wait-idle --timeout 1m -o json",
		Args:    arguments,
	}
	c.Flags().BoolVar(&idle, "wait-idle", false, "wait until everything that is in Kafka now has been applied and sent")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long --wait-idle waits")
	c.Flags().BoolVar(&hashes, "hashes", false, "also the state hash of every shard, which reads every profile")
	c.Flags().BoolVar(&ready, "ready", false, "only whether it answers look-ups")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if ready && (idle || hashes) {
			return errors.New("--ready asks for nothing else: leave out --wait-idle and --hashes")
		}
		if ready {
			return cl.ready(c.Context())
		}
		path := "/v1/status?timeout=" + timeout.String()
		if idle {
			path += "&wait=idle"
		}
		if hashes {
			path += "&hashes=true"
		}
		var st status.Status
		printed, err := cl.call(c.Context(), "GET", path, nil, &st)
		if err != nil || printed {
			return withHint(err, "timeout", "wait longer with --timeout, or see what is behind: dashi status without --wait-idle")
		}
		printStatus(cl.out, &st)
		return nil
	}
	return c
}

// ready says whether the node answers look-ups. Nobody needs a key for that.
func (c *client) ready(ctx context.Context) error {
	var answer struct {
		HeldBack string `json:"held_back"`
	}
	printed, err := c.call(ctx, "GET", "/readyz", nil, &answer)
	if err != nil || printed {
		return err
	}
	if answer.HeldBack != "" {
		fmt.Fprintf(c.out, "ready; events are held back: %s\n", plain(answer.HeldBack))
		return nil
	}
	fmt.Fprintln(c.out, "ready")
	return nil
}

func printStatus(out io.Writer, st *status.Status) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	state := "ready"
	if !st.Ready {
		state = "not ready"
	}
	fmt.Fprintf(w, "node\t%s of %s, %s, up %s\n", st.Node, st.Cluster, state, st.Uptime)
	for _, t := range st.Trouble {
		if t != st.Recovery { // what a node waits for while it starts is both
			fmt.Fprintf(w, "trouble\t%s\n", t)
		}
	}
	if st.Recovery != "" {
		fmt.Fprintf(w, "recovery\t%s\n", st.Recovery)
	}
	if st.Cookbook.Version == 0 {
		fmt.Fprintln(w, "cookbook\tnone yet")
	} else {
		fmt.Fprintf(w, "cookbook\tversion %d, %s: %s, %s\n", st.Cookbook.Version, st.Cookbook.Hash,
			say.Count(st.Cookbook.Attributes, "attribute"), say.Count(st.Cookbook.Audiences, "audience"))
	}
	if s := st.Cookbook.Switching; s != nil {
		fmt.Fprintf(w, "switching\tto version %d: %d of %d shards hold events back, %d have it\n", s.Version, s.Held, s.Shards, s.Switched)
	}
	now := "no event yet"
	if !st.Clock.Now.IsZero() {
		now = st.Clock.Now.Format(time.RFC3339)
	}
	if follows := map[string]string{"wall": ", the time of day", "event": ", the times of events"}[st.Clock.Follows]; follows != "" { // empty while the node starts
		fmt.Fprintf(w, "clock\t%s%s\n", now, follows)
	}
	fmt.Fprintf(w, "timers\t%d pending in %d MiB, %d fired, %.1f s late\n", st.Clock.Timers, st.Clock.TimerBytes>>20, st.Clock.Woken, st.Clock.Late)
	fmt.Fprintf(w, "profiles\t%d in %d MiB of %d MiB, %d expired, %d erased\n", st.Profiles, st.Memory.Profiles>>20, st.Memory.Limit>>20, st.Expired, st.Erased)
	if st.Accounts > 0 {
		fmt.Fprintf(w, "accounts\t%d\n", st.Accounts)
	}
	fmt.Fprintf(w, "events\t%d applied (%.0f/s), %d repeated\n", st.Events.Applied, st.Events.PerSecond, st.Events.Repeated)
	for _, reason := range sortedKeys(st.Events.Rejected) {
		fmt.Fprintf(w, "rejected\t%d %s\n", st.Events.Rejected[reason], reason)
	}
	if len(st.Events.Rejected) > 0 {
		fmt.Fprintln(w, "\tby this node since its start; dashi dead shows them")
	}
	fmt.Fprintf(w, "latency\tp50 %.2f ms, p99 %.2f ms from fetched to applied\n", st.Latency.P50, st.Latency.P99)
	fmt.Fprintf(w, "activations\t%d made, %d withheld for consent, %d waiting; %d published by this node since its start\n",
		st.Activations.Made, st.Activations.Withheld, st.Activations.Waiting, st.Activations.Published)
	for _, reason := range sortedKeys(st.Activations.Suppressed) {
		fmt.Fprintf(w, "suppressed\t%d %s\n", st.Activations.Suppressed[reason], reason)
	}
	for _, h := range st.Webhooks {
		fmt.Fprintf(w, "webhook\t%s to %s: %d behind; by this node %d taken, %d waiting, %s tried again, %d to the dead topic\n",
			h.Name, h.URL, h.Lag, h.Sent, h.Waiting, say.Count(h.Retries, "request"), h.Dead)
	}
	fmt.Fprintf(w, "log\t%s, %d MiB", st.Log.Durability, st.Log.Bytes>>20)
	if st.Log.Stalls > 0 {
		fmt.Fprintf(w, "; the disk took more than 2 s for an operation %s since the start", say.Count(st.Log.Stalls, "time"))
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w)
	printTables(w, st)
	w.Flush()
}

// printTables prints the streams, the nodes, the moves and the shards.
func printTables(w io.Writer, st *status.Status) {
	fmt.Fprintln(w, "TOPIC\tPARTITION\tREAD\tAPPLIED\tDURABLE\tLAG")
	for _, s := range st.Kafka.Streams {
		lag := "" // Kafka has not said it yet
		if s.Lag != nil {
			lag = strconv.FormatInt(*s.Lag, 10)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\n", s.Topic, s.Partition, s.Read, s.Applied, s.Durable, lag)
	}
	if len(st.Nodes) > 1 {
		fmt.Fprintf(w, "\ndirectory\tepoch %d, led by %s, cookbook version %d\n\n", st.Directory.Epoch, st.Directory.Leader, st.Directory.Cookbook)
		fmt.Fprintln(w, "NODE\tSTATE\tZONE\tREPLICAS\tLEADS\tHTTP\tNODE ADDRESS")
		for _, n := range st.Nodes {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", n.ID, n.State, n.Zone, n.Replicas, n.Leads, n.HTTP, n.Node)
		}
	}
	for _, m := range st.Directory.Moves {
		fmt.Fprintf(w, "moving\tshard %d: %s for %s, %s since %s\n", m.Shard, cmp.Or(m.Add, "nobody"), cmp.Or(m.Remove, "nobody"), m.Step, m.Since.Format(time.TimeOnly))
	}
	hashed := slices.ContainsFunc(st.Shards, func(s status.Shard) bool { return s.Hash != "" })
	row := func(hash, format string, a ...any) {
		if hashed {
			format += "\t" + hash
		}
		fmt.Fprintf(w, format+"\n", a...)
	}
	row("HASH", "\nSHARD\tPROFILES\tEVENTS\tKIB\tOUTBOX\tLEADER\tREPLICAS (ENTRIES BEHIND)")
	for _, s := range st.Shards {
		row(s.Hash, "%d\t%d\t%d\t%d\t%d\t%s\t%s", s.ID, s.Profiles, s.Events, s.Bytes>>10, s.OutboxEntries, s.Leader, replicaText(s.Replicas))
	}
}

// replicaText is a line of replicas: n1 n2(3) n3(silent).
func replicaText(replicas []status.Replica) string {
	var words []string
	for _, r := range replicas {
		word := r.Node
		switch {
		case r.Silent:
			word += "(silent)"
		case r.Lag > 0:
			word += fmt.Sprintf("(%d)", r.Lag)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
