package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"dashi/node/httpapi"
	"dashi/node/status"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

func topCommand() *cobra.Command {
	var once bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "top",
		Short: "Show what a node or cluster is doing, live",
		Long: `Show what a node or cluster is doing, live: events, look-ups and activations a second, how fresh profiles are, who leads which shards, and who
enters and leaves audiences. Rates are those since the last look; the first ones come after half a second. q or Ctrl-C ends it.

Where the output is no terminal, one look follows another as plain text; with -o json each is a line.`,
		Example: "  dashi top\n  dashi top --once\n  dashi top -o json --every 10s | jq .events_per_second",
		Args:    arguments,
	}
	c.Flags().BoolVar(&once, "once", false, "print one look and end, after --every: the rates are of that time")
	c.Flags().DurationVar(&every, "every", 2*time.Second, "time between looks")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if every < 100*time.Millisecond {
			return fmt.Errorf("--every %s is too often: at least 100ms", every)
		}
		return (&top{client: cl, every: every, once: once}).run(c.Context())
	}
	return c
}

// top looks at a node again and again.
type top struct {
	*client
	every time.Duration
	once  bool
}

// look is what a node and its cluster said at an instant.
type look struct {
	at        time.Time
	status    status.Status
	audiences []httpapi.Audience
	lookups   map[string]uint64 // by node, of those that answered
}

// topView is what is shown: the JSON of -o json.
type topView struct {
	At                   time.Time     `json:"at"`
	Over                 float64       `json:"rates_over_seconds"` // since the last look
	Cluster              string        `json:"cluster"`
	Node                 string        `json:"node"` // that was asked
	Ready                bool          `json:"ready"`
	Trouble              []string      `json:"trouble"`
	EventsPerSecond      float64       `json:"events_per_second"` // applied, in the whole cluster
	ActivationsPerSecond float64       `json:"activations_per_second"`
	LookupsPerSecond     float64       `json:"lookups_per_second"`
	LookupsOf            int           `json:"lookups_of_nodes"` // that could be asked
	P50                  float64       `json:"p50_ms"`           // from fetched to applied, on the node that was asked
	P99                  float64       `json:"p99_ms"`
	Waiting              uint64        `json:"activations_waiting"`
	Profiles             int           `json:"profiles"`
	Bytes                int64         `json:"profile_bytes"`
	Limit                int64         `json:"profile_bytes_limit"`
	Shards               int           `json:"shards"`
	Leaderless           int           `json:"shards_without_leader"`
	Behind               uint64        `json:"entries_behind"` // of the replica that is farthest behind
	Moves                int           `json:"moves"`
	Nodes                []topNode     `json:"nodes"`
	Audiences            []topAudience `json:"audiences"`
	Webhooks             []topWebhook  `json:"webhooks"`
	uptime               string
}

type topNode struct {
	ID               string   `json:"id"`
	State            string   `json:"state"`
	Replicas         int      `json:"replicas"`
	Leads            int      `json:"leads"`
	LookupsPerSecond *float64 `json:"lookups_per_second"` // null: it could not be asked
}

type topAudience struct {
	Name             string  `json:"name"`
	Of               string  `json:"of,omitempty"`
	Size             int64   `json:"size"`
	EnteredPerSecond float64 `json:"entered_per_second"`
	LeftPerSecond    float64 `json:"left_per_second"`
}

type topWebhook struct {
	Name    string `json:"name"`
	Lag     int64  `json:"lag"`
	Trouble string `json:"trouble,omitempty"`
}

func (t *top) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	before, err := t.look(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	s := screen{}
	if !t.once && !t.json() {
		s = openScreen(t.out, stop)
	}
	defer s.close()
	s.draw(func(w io.Writer, _ int) { fmt.Fprintln(w, "looking ...") })
	tick := time.NewTicker(t.first())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := t.look(ctx)
		switch {
		case err != nil && (ctx.Err() != nil || !s.live()):
			return ended(ctx, err)
		case err != nil: // the node may come back
			s.draw(func(w io.Writer, _ int) { fmt.Fprintf(w, "%s  %v\n", time.Now().Format(time.TimeOnly), err) })
			continue
		}
		tick.Reset(t.every)
		v := view(before, now)
		before = now
		if t.json() {
			if err := say.WriteJSON(t.out, v); err != nil {
				return err
			}
		} else if s.live() {
			s.draw(v.print)
		} else {
			v.print(t.out, 0)
			if !t.once {
				fmt.Fprintln(t.out)
			}
		}
		if t.once {
			return nil
		}
	}
}

// firstLook is how long after the beginning the rates are shown for the first time: nobody waits a minute to see whether anything comes.
const firstLook = 500 * time.Millisecond

func (t *top) first() time.Duration {
	if t.once {
		return t.every
	}
	return min(t.every, firstLook)
}

// ended is the error of something that was interrupted: none when the user did it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// peerPatience is how long another node may take to say how many look-ups it has answered.
const peerPatience = time.Second

// look asks the node, and the others for their look-ups.
func (t *top) look(ctx context.Context) (*look, error) {
	l := &look{lookups: map[string]uint64{}}
	if err := t.fetch(ctx, "/v1/status", &l.status); err != nil {
		return nil, err
	}
	l.at = time.Now()
	var list struct{ Audiences []httpapi.Audience }
	if err := t.fetch(ctx, "/v1/audiences?moved=true", &list); err != nil {
		return nil, err
	}
	l.audiences = list.Audiences
	l.lookups[l.status.Node] = l.status.Lookups.HTTP + l.status.Lookups.RESP
	ctx, cancel := context.WithTimeout(ctx, peerPatience)
	defer cancel()
	scheme, _, _ := strings.Cut(t.addr, "://") // they have the settings of this one
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, n := range l.status.Nodes {
		if n.Self || n.HTTP == "" || n.State != "alive" {
			continue
		}
		asking.Go(func() {
			other := client{addr: scheme + "://" + n.HTTP, key: t.key}
			var st status.Status
			if other.fetch(ctx, "/v1/status", &st) == nil && st.Node == n.ID {
				mu.Lock()
				l.lookups[n.ID] = st.Lookups.HTTP + st.Lookups.RESP
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	return l, nil
}

// view is what has happened between two looks.
func view(a, b *look) *topView {
	seconds := b.at.Sub(a.at).Seconds()
	rate := func(before, now uint64) float64 { // a counter that went down was reset by a restart
		if now < before || seconds <= 0 {
			return 0
		}
		return float64(now-before) / seconds
	}
	st := &b.status
	v := &topView{
		At: b.at.UTC().Truncate(time.Millisecond), Over: math.Round(seconds*1000) / 1000, Cluster: st.Cluster, Node: st.Node, Ready: st.Ready, Trouble: st.Trouble, uptime: st.Uptime,
		EventsPerSecond: rate(a.status.Events.Applied, st.Events.Applied), ActivationsPerSecond: rate(a.status.Activations.Made, st.Activations.Made),
		P50: st.Latency.P50, P99: st.Latency.P99, Waiting: st.Activations.Waiting,
		Profiles: st.Profiles, Bytes: st.Memory.Profiles, Limit: st.Memory.Limit, Shards: len(st.Shards), Moves: len(st.Directory.Moves),
		Nodes: []topNode{}, Audiences: []topAudience{}, Webhooks: []topWebhook{},
	}
	for _, s := range st.Shards {
		if s.Leader == "" {
			v.Leaderless++
		}
		for _, r := range s.Replicas {
			v.Behind = max(v.Behind, r.Lag)
		}
	}
	for _, n := range st.Nodes {
		tn := topNode{ID: n.ID, State: n.State, Replicas: n.Replicas, Leads: n.Leads}
		before, had := a.lookups[n.ID]
		if now, has := b.lookups[n.ID]; had && has {
			r := rate(before, now)
			tn.LookupsPerSecond = &r
			v.LookupsPerSecond += r
			v.LookupsOf++
		}
		v.Nodes = append(v.Nodes, tn)
	}
	before := map[string]httpapi.Moved{}
	for _, au := range a.audiences {
		if au.Moved != nil {
			before[au.Name] = *au.Moved
		}
	}
	for _, au := range b.audiences {
		ta := topAudience{Name: au.Name, Of: au.Of, Size: au.Size}
		if was, ok := before[au.Name]; ok && au.Moved != nil {
			ta.EnteredPerSecond = rate(uint64(was.Entered), uint64(au.Moved.Entered))
			ta.LeftPerSecond = rate(uint64(was.Left), uint64(au.Moved.Left))
		}
		v.Audiences = append(v.Audiences, ta)
	}
	slices.SortStableFunc(v.Audiences, func(a, b topAudience) int { return cmp.Compare(b.Size, a.Size) })
	for _, w := range st.Webhooks {
		v.Webhooks = append(v.Webhooks, topWebhook{w.Name, w.Lag, w.Trouble})
	}
	return v
}

// print writes the view in at most so many lines; 0: in as many as it takes.
func (v *topView) print(out io.Writer, lines int) {
	var b strings.Builder
	state := "ready"
	if !v.Ready {
		state = "not ready"
	}
	fmt.Fprintf(&b, "dashi %s  %s  node %s, %s, up %s\n", v.At.Local().Format(time.TimeOnly), v.Cluster, v.Node, state, v.uptime)
	for _, t := range v.Trouble {
		fmt.Fprintf(&b, "trouble  %s\n", plain(t))
	}
	fmt.Fprintf(&b, "events %.0f/s  fresh in p50 %.2f ms, p99 %.2f ms  look-ups %.0f/s%s  activations %.1f/s, %d waiting\n",
		v.EventsPerSecond, v.P50, v.P99, v.LookupsPerSecond, v.askedOf(), v.ActivationsPerSecond, v.Waiting)
	fmt.Fprintf(&b, "profiles %d in %d of %d MiB  shards %d, %d without a leader, replicas at most %s behind, %d moving\n",
		v.Profiles, v.Bytes>>20, v.Limit>>20, v.Shards, v.Leaderless, say.Count(v.Behind, "entry"), v.Moves)
	for _, w := range v.Webhooks {
		fmt.Fprintf(&b, "webhook %s  %d behind  %s\n", w.Name, w.Lag, plain(w.Trouble))
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nNODE\tSTATE\tLEADS\tREPLICAS\tLOOK-UPS/S")
	for _, n := range v.Nodes {
		lookups := "?"
		if n.LookupsPerSecond != nil {
			lookups = fmt.Sprintf("%.0f", *n.LookupsPerSecond)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", n.ID, n.State, n.Leads, n.Replicas, lookups)
	}
	fmt.Fprintln(w, "\nAUDIENCE\tSIZE\tENTER/S\tLEAVE/S")
	for _, a := range v.Audiences {
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%.1f\n", a.Name, a.Size, a.EnteredPerSecond, a.LeftPerSecond)
	}
	w.Flush()
	text := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	if lines > 1 && len(text) > lines {
		more := len(text) - lines + 1
		text = append(text[:lines-1], "and "+say.Count(more, "more line"))
	}
	fmt.Fprintln(out, strings.Join(text, "\n"))
}

// askedOf says whose look-ups are counted, when not all nodes could be asked.
func (v *topView) askedOf() string {
	if v.LookupsOf == len(v.Nodes) {
		return ""
	}
	return fmt.Sprintf(" (of %d of %d nodes)", v.LookupsOf, len(v.Nodes))
}
