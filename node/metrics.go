package node

import (
	"cmp"
	"net/http"
	"runtime"
	"slices"
	"strconv"

	"dashi/node/httpapi"
	"dashi/node/status"
	"dashi/pipeline/activation"
	"dashi/pipeline/recipe"
	"dashi/ring/gossip"
	"dashi/shard"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// collector gives Prometheus what the node's parts have counted. It keeps nothing.
type collector struct {
	n    *Node
	desc map[string]*prometheus.Desc
}

// help says what each metric is. Counters end in _total; the unit is in the name.
var help = []struct {
	name, help string
	labels     []string
}{
	{"dashi_build_info", "Always 1: which dashi it is, and which Go built it.", []string{"version", "go_version"}},
	{"dashi_events_applied_total", "Events applied to profiles since the data directory was made.", nil},
	{"dashi_events_repeated_total", "Events dropped because their message id had been seen.", nil},
	{"dashi_events_consumed_total", "Records read from Kafka since the start.", nil},
	{"dashi_events_consumed_bytes_total", "Bytes of records read from Kafka since the start.", nil},
	{"dashi_events_rejected_total", "Records sent to the dead topic, by reason.", []string{"reason"}},
	{"dashi_events_lost_total", "Records that Kafka deleted before they were read.", nil},
	{"dashi_events_resent_total", "Times a stream was read again from the shards' marks.", nil},
	{"dashi_intake_held_seconds_total", "Time for which a limit kept events out.", nil},
	{"dashi_event_latency_seconds", "From fetched to applied.", nil},
	{"dashi_profiles", "Profiles held.", []string{"shard"}},
	{"dashi_profile_bytes", "Memory of profiles.", []string{"shard"}},
	{"dashi_accounts", "Accounts held.", []string{"shard"}},
	{"dashi_account_events_total", "Events told to accounts.", nil},
	{"dashi_account_people_total", "Times that an account was told what it counts of a person.", nil},
	{"dashi_account_passed_over_total", "People whom an account does not count, by cap.", []string{"cap"}},
	{"dashi_pointers", "Identifiers that belong to a profile in another place.", []string{"shard"}},
	{"dashi_messages_bytes", "Messages for other shards that have not arrived.", []string{"shard"}},
	{"dashi_messages_parked", "Messages that wait for a component that is on its way.", []string{"shard"}},
	{"dashi_messages_sent_total", "Messages between shards.", nil},
	{"dashi_events_forwarded_total", "Events passed on to the shard where their strongest identifier lies.", nil},
	{"dashi_merges_total", "Profiles that took others in.", nil},
	{"dashi_unmerges_total", "Profiles that came out of others.", nil},
	{"dashi_junk_identifiers_total", "Identifiers that were seen with too many people and are nobody's.", nil},
	{"dashi_updates_too_large_total", "Updates and merges of attributes left out because the profile is as large as may be.", nil},
	{"dashi_links_passed_over_total", "Links that a cap kept from being looked at, by cap.", []string{"cap"}},
	{"dashi_outbox_entries", "Activations that Kafka has not acknowledged.", []string{"shard"}},
	{"dashi_outbox_bytes", "Memory of the outbox.", []string{"shard"}},
	{"dashi_recent_ids", "Message ids remembered.", []string{"shard"}},
	{"dashi_recent_window_seconds", "How far back every message id is remembered.", []string{"shard"}},
	{"dashi_profiles_expired_total", "Profiles that went because nothing was heard of them, since the data directory was made.", nil},
	{"dashi_profiles_erased_total", "Profiles that were erased, since the data directory was made.", nil},
	{"dashi_events_buried_total", "Events and links passed over because they are older than an erasure, since the data directory was made.", nil},
	{"dashi_timers", "Profiles that wake at an instant.", []string{"shard"}},
	{"dashi_timers_late_seconds", "By how much the first timer that is due is late.", []string{"shard"}},
	{"dashi_timers_fired_total", "Profiles that have woken, since the data directory was made.", nil},
	{"dashi_numbers_out_of_range_total", "Numbers too large for exact sums, which changed nothing.", nil},
	{"dashi_activations_made_total", "Activations put into the outboxes.", nil},
	{"dashi_activations_withheld_total", "Activations that a missing consent stopped.", nil},
	{"dashi_activations_suppressed_total", "Activations that were triggered and did not leave, by reason.", []string{"reason"}},
	{"dashi_activations_shortened_total", "Activations that left without their attributes because they would have been too long.", nil},
	{"dashi_activations_published_total", "Activations acknowledged by Kafka since the start.", nil},
	{"dashi_webhook_activations_total", "Activations that a webhook took (taken), or that went to the dead topic in place of it (dead), by this node since its start.", []string{"webhook", "result"}},
	{"dashi_webhook_requests_total", "Requests to a webhook by this node since its start.", []string{"webhook"}},
	{"dashi_webhook_retries_total", "Requests to a webhook that failed and are tried again, by this node since its start.", []string{"webhook"}},
	{"dashi_webhook_request_seconds_total", "Time that requests to a webhook took, together.", []string{"webhook"}},
	{"dashi_webhook_lag_records", "Records of the topic of activations that a webhook is behind, over all nodes.", []string{"webhook"}},
	{"dashi_webhook_waiting", "Activations for a webhook in the memory of this node.", []string{"webhook"}},
	{"dashi_webhook_failing", "1 while a webhook has taken nothing for some seconds, for all that was tried.", []string{"webhook"}},
	{"dashi_webhook_lost_total", "Records that Kafka deleted before they were read for a webhook.", []string{"webhook"}},
	{"dashi_http_events_total", "Events taken over HTTP and acknowledged by Kafka.", nil},
	{"dashi_http_lookups_total", "Profiles asked for over HTTP.", nil},
	{"dashi_http_refused_total", "HTTP bodies of events that were refused.", nil},
	{"dashi_http_pushed_back_total", "HTTP bodies of events answered with 429.", nil},
	{"dashi_http_slow_streams_total", "Activation streams that were ended because their reader was too slow.", nil},
	{"dashi_resp_commands_total", "RESP commands answered.", nil},
	{"dashi_resp_failures_total", "RESP commands answered with an error.", nil},
	{"dashi_resp_lookups_total", "Look-ups of profiles over RESP, by result.", []string{"result"}},
	{"dashi_resp_connections", "RESP connections open.", nil},
	{"dashi_resp_refused_total", "RESP connections refused because there were too many.", nil},
	{"dashi_audience_size", "Profiles in an audience.", []string{"audience"}},
	{"dashi_goal_people", "People or accounts, in all shards, that an activation with a goal was shown to (exposed), and that came to the goal in time (converted): of those who got it, and of the control group.", []string{"of", "activation", "group", "result"}},
	{"dashi_nodes", "Nodes of the cluster, by state as this node sees it.", []string{"state"}},
	{"dashi_shard_leads", "1 when this node leads the shard.", []string{"shard"}},
	{"dashi_shard_behind_entries", "Entries that the replica on this node is known to be behind its leader.", []string{"shard"}},
	{"dashi_directory_epoch", "Changes that the directory has committed.", nil},
	{"dashi_moves", "Replicas on their way to another node.", nil},
	{"dashi_raft_campaigns_total", "Elections that this node stood in because a leader was found dead.", nil},
	{"dashi_disk_stalled_seconds", "How long the disk has not answered, or has been full, at the moment; 0 while it takes what is written.", nil},
	{"dashi_disk_stalls_total", "Times that this node went mute because its disk did not answer.", nil},
	{"dashi_log_entries_total", "Entries written to the log of this node since its start.", nil},
	{"dashi_log_entry_bytes_total", "Bytes of these entries.", nil},
	{"dashi_log_writes_total", "Writes to the log since the start: one takes what has gathered.", nil},
	{"dashi_log_write_seconds_total", "Time that these took, together.", nil},
	{"dashi_log_syncs_total", "Times that the log was made durable since the start.", nil},
	{"dashi_log_sync_seconds_total", "Time that these took, together.", nil},
	{"dashi_log_disk_bytes", "Size of the log on disk.", nil},
	{"dashi_snapshots_total", "Snapshots of shards written or received since the start.", nil},
	{"dashi_snapshot_bytes_total", "Bytes of these snapshots.", nil},
	{"dashi_snapshot_failures_total", "Snapshots that could not be written: until one can, the log grows.", nil},
	{"dashi_peers_lost_total", "Times that this node found another one dead.", nil},
	{"dashi_peer_refusals_total", "Requests of other nodes that found a queue full, or a shard that is not here.", nil},
	{"dashi_starved_total", "Times that this node was not scheduled for so long that it could not judge others: the machine has too little processor.", nil},
	{"dashi_stream_read_offset", "Next offset to read.", []string{"topic", "partition"}},
	{"dashi_stream_applied_offset", "Every shard has everything below this offset.", []string{"topic", "partition"}},
	{"dashi_stream_lag_records", "Records of an input partition that this node reads, up to the end that Kafka told within the last 5 s, that not every shard has applied.", []string{"topic", "partition"}},
}

func newCollector(n *Node) *collector {
	c := &collector{n: n, desc: map[string]*prometheus.Desc{}}
	for _, h := range help {
		c.desc[h.name] = prometheus.NewDesc(h.name, h.help, h.labels, nil)
	}
	return c
}

// Describe and Collect make it a prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, h := range help {
		out <- c.desc[h.name]
	}
}

// Collect reads the node's present state.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	put := func(kind prometheus.ValueType, name string, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(c.desc[name], kind, v, labels...)
	}
	counter := func(name string, v uint64, labels ...string) {
		put(prometheus.CounterValue, name, float64(v), labels...)
	}
	gauge := func(name string, v float64, labels ...string) { put(prometheus.GaugeValue, name, v, labels...) }

	n := c.n
	gauge("dashi_build_info", 1, n.version, runtime.Version())
	k := &n.intake.counts
	counter("dashi_events_consumed_total", k.events.Load())
	counter("dashi_events_consumed_bytes_total", k.bytes.Load())
	for reason, v := range k.rejected.all() {
		counter("dashi_events_rejected_total", v, reason)
	}
	counter("dashi_events_lost_total", n.metrics.Lost.Load())
	counter("dashi_events_resent_total", k.resent.Load())
	put(prometheus.CounterValue, "dashi_intake_held_seconds_total", float64(k.held.Load())/1e9)
	counter("dashi_activations_published_total", n.metrics.Published.Load())
	count, sum, buckets := n.metrics.Latency.Prometheus()
	out <- prometheus.MustNewConstHistogram(c.desc["dashi_event_latency_seconds"], count, sum, buckets)
	c.collectShards(counter, gauge)
	c.collectCluster(put, counter, gauge)
	c.collectDoors(counter, gauge)
	c.collectWebhooks(put)
	if all, err := (httpBackend{n}).Audiences(n.running); err == nil { // else there is no such number now
		for i := range all {
			gauge("dashi_audience_size", float64(all[i].Size), all[i].Name)
		}
	}
	c.collectGoals(gauge)
	st := &status.Status{}
	n.streamStatus(st)
	for _, s := range st.Kafka.Streams {
		gauge("dashi_stream_read_offset", float64(s.Read), s.Topic, strconv.Itoa(int(s.Partition)))
		gauge("dashi_stream_applied_offset", float64(s.Applied), s.Topic, strconv.Itoa(int(s.Partition)))
		if s.Lag != nil {
			gauge("dashi_stream_lag_records", float64(*s.Lag), s.Topic, strconv.Itoa(int(s.Partition)))
		}
	}
}

// collectDoors gives what the HTTP and RESP servers have counted.
func (c *collector) collectDoors(counter func(string, uint64, ...string), gauge func(string, float64, ...string)) {
	h := &c.n.metrics.HTTP
	counter("dashi_http_events_total", h.Get(httpapi.EventsIn))
	counter("dashi_http_lookups_total", h.Get(httpapi.Lookups))
	counter("dashi_http_refused_total", h.Get(httpapi.Refused))
	counter("dashi_http_pushed_back_total", h.Get(httpapi.PushedBack))
	counter("dashi_http_slow_streams_total", h.Get(httpapi.SlowStreams))
	if c.n.doors.resp == nil {
		return
	}
	r := c.n.doors.resp.Stats()
	counter("dashi_resp_commands_total", r.Commands)
	counter("dashi_resp_failures_total", r.Failures)
	counter("dashi_resp_lookups_total", r.Hits, "hit")
	counter("dashi_resp_lookups_total", r.Misses, "miss")
	counter("dashi_resp_refused_total", r.Refused)
	gauge("dashi_resp_connections", float64(r.Connections))
}

// collectShards gives what the replicas here have counted: some of it by shard, the rest added up.
func (c *collector) collectShards(counter func(string, uint64, ...string), gauge func(string, float64, ...string)) {
	var sum shard.Counters
	var sent uint64
	for _, h := range c.n.shards {
		if h.group.Load() == nil {
			continue // others have it
		}
		h.mu.RLock()
		s := h.shard.Stats()
		h.mu.RUnlock()
		sum.Add(&s.Counters)
		sent += s.Sent
		label := strconv.Itoa(int(h.id))
		gauge("dashi_profiles", float64(s.Profiles), label)
		gauge("dashi_profile_bytes", float64(s.Bytes), label)
		gauge("dashi_accounts", float64(s.Accounts), label)
		gauge("dashi_pointers", float64(s.Pointers), label)
		gauge("dashi_messages_bytes", float64(s.PeerBytes), label)
		gauge("dashi_messages_parked", float64(s.Parked), label)
		gauge("dashi_outbox_entries", float64(s.OutboxEntries), label)
		gauge("dashi_outbox_bytes", float64(s.OutboxBytes), label)
		gauge("dashi_recent_ids", float64(s.RecentIDs), label)
		gauge("dashi_timers", float64(s.Timers), label)
		gauge("dashi_timers_late_seconds", float64(s.Late)/1000, label)
		window := float64(c.n.settings.Limits.RecentTime.Seconds())
		if s.RecentSince > 0 {
			window = min(window, float64(s.Now-s.RecentSince)/1000)
		}
		gauge("dashi_recent_window_seconds", window, label)
	}
	counter("dashi_messages_sent_total", sent)
	counter("dashi_account_events_total", sum.AccountEvents)
	counter("dashi_account_people_total", sum.People)
	counter("dashi_account_passed_over_total", sum.PeopleOver, "people")
	counter("dashi_account_passed_over_total", sum.AccountsOver, "accounts")
	counter("dashi_events_forwarded_total", sum.Forwarded)
	counter("dashi_merges_total", sum.Merges)
	counter("dashi_unmerges_total", sum.Unmerges)
	counter("dashi_junk_identifiers_total", sum.Junk)
	counter("dashi_updates_too_large_total", sum.TooLarge)
	counter("dashi_links_passed_over_total", sum.Saturated, "junk_identifier")
	counter("dashi_links_passed_over_total", sum.ComponentFull, "component")
	counter("dashi_links_passed_over_total", sum.LinksOver, "event")
	counter("dashi_events_applied_total", sum.Events)
	counter("dashi_events_repeated_total", sum.Repeated)
	for i, n := range sum.Suppressed {
		counter("dashi_activations_suppressed_total", n, activation.Reason(i+1).String())
	}
	counter("dashi_timers_fired_total", sum.Woken)
	counter("dashi_profiles_expired_total", sum.Expired)
	counter("dashi_profiles_erased_total", sum.Erased)
	counter("dashi_events_buried_total", sum.Buried)
	counter("dashi_activations_made_total", sum.Activations)
	counter("dashi_activations_withheld_total", sum.Withheld)
	counter("dashi_activations_shortened_total", sum.Shortened)
	counter("dashi_numbers_out_of_range_total", sum.OutOfRange)
}

// collectCluster gives what concerns the other nodes, and the log that this one shares with them.
func (c *collector) collectCluster(put func(prometheus.ValueType, string, float64, ...string), counter func(string, uint64, ...string), gauge func(string, float64, ...string)) {
	n := c.n
	states := map[string]int{}
	for _, m := range n.directory.State().Members {
		if g, ok := n.gossiped(m.ID); ok {
			states[string(g.State)]++
		} else if m.ID == n.identity.Node {
			states[string(gossip.Alive)]++
		}
	}
	for _, state := range []gossip.State{gossip.Alive, gossip.Failed, gossip.Left} {
		gauge("dashi_nodes", float64(states[string(state)]), string(state))
	}
	for _, h := range n.shards {
		if h.group.Load() == nil {
			continue
		}
		gauge("dashi_shard_leads", float64(bit(h.leads())), strconv.Itoa(int(h.id)))
		gauge("dashi_shard_behind_entries", float64(n.behind(h)), strconv.Itoa(int(h.id)))
	}
	gauge("dashi_directory_epoch", float64(n.directory.State().Epoch))
	gauge("dashi_moves", float64(len(n.directory.State().Moves)))
	s := n.host.Stats()
	counter("dashi_raft_campaigns_total", s.Campaigns)
	gauge("dashi_disk_stalled_seconds", n.host.Stalled().Seconds())
	counter("dashi_disk_stalls_total", s.Stalls)
	counter("dashi_snapshots_total", s.Snapshots)
	counter("dashi_snapshot_bytes_total", s.SnapshotBytes)
	counter("dashi_snapshot_failures_total", s.SnapshotFailures)
	counter("dashi_log_entries_total", s.Log.Records)
	counter("dashi_log_entry_bytes_total", s.Log.Bytes)
	counter("dashi_log_writes_total", s.Log.Writes)
	put(prometheus.CounterValue, "dashi_log_write_seconds_total", s.Log.WriteTotal.Seconds())
	counter("dashi_log_syncs_total", s.Log.Syncs)
	put(prometheus.CounterValue, "dashi_log_sync_seconds_total", s.Log.SyncTotal.Seconds())
	gauge("dashi_log_disk_bytes", float64(s.Log.DiskBytes))
	t := n.transport.Stats()
	counter("dashi_peers_lost_total", t.Downs)
	counter("dashi_peer_refusals_total", t.Rejected)
	counter("dashi_starved_total", t.Starved)
}

// collectGoals gives what has become of activations with a goal.
func (c *collector) collectGoals(gauge func(string, float64, ...string)) {
	hasGoal := func(a recipe.Activation) bool { return a.Goal() != nil }
	if p := c.n.cookbook.Load(); !slices.ContainsFunc(p.Activations, hasGoal) && (p.Accounts == nil || !slices.ContainsFunc(p.Accounts.Program.Activations, hasGoal)) {
		return // no other node need be asked
	}
	all, err := (httpBackend{c.n}).Activations(c.n.running, "")
	if err != nil { // there are no such numbers now
		return
	}
	for i := range all {
		a := &all[i]
		if a.Goal == nil {
			continue
		}
		for group, side := range map[string]httpapi.GoalSide{"treated": a.Goal.Treated, "control": a.Goal.Control} {
			gauge("dashi_goal_people", float64(side.Exposed), cmp.Or(a.Of, "people"), a.Activation, group, "exposed")
			gauge("dashi_goal_people", float64(side.Converted), cmp.Or(a.Of, "people"), a.Activation, group, "converted")
		}
	}
}

// metricsHandler serves /metrics: dashi's own and those of the Go runtime and the process.
func (n *Node) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(n), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}
