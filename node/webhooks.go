package node

import (
	"fmt"
	"slices"
	"time"

	"dashi/node/settings"
	"dashi/node/status"
	"dashi/pipeline/webhook"

	"github.com/prometheus/client_golang/prometheus"
)

// openWebhooks makes the endpoints. They begin to read when the node has started.
func (n *Node) openWebhooks() error {
	for i := range n.settings.Webhooks {
		w := &n.settings.Webhooks[i]
		settings := w.Sink()
		var err error
		if settings.Secrets, err = w.ReadSecrets(); err != nil {
			return err
		}
		from := webhook.From{Kafka: n.kafka.settings, Topic: n.settings.Kafka.Activations, Cluster: n.settings.Cluster, Oldest: w.From == "oldest"}
		if n.gossip != nil { // see openKafka
			from.InstanceID, from.SessionTimeout = n.identity.member(), sessionTimeout
		}
		sink, err := webhook.Open(settings, from, n.kafka.dead)
		if err != nil {
			return err
		}
		n.webhooks = append(n.webhooks, sink)
	}
	return nil
}

// webhook is the endpoint of that name; nil when this node has none.
func (n *Node) webhook(name string) *webhook.Sink {
	i := slices.IndexFunc(n.settings.Webhooks, func(w settings.Webhook) bool { return w.Name == name })
	if i < 0 {
		return nil
	}
	return n.webhooks[i]
}

// webhookStatus says how the endpoints are, and which of them choose a name that the cookbook does not have: they would wait for it for ever.
func (n *Node) webhookStatus(st *status.Status) {
	st.Webhooks = []webhook.Status{}
	for i, w := range n.webhooks {
		s := w.Status()
		st.Webhooks = append(st.Webhooks, s)
		if s.Trouble != "" {
			st.Trouble = append(st.Trouble, fmt.Sprintf("webhook %s takes nothing %s", s.Name, s.Trouble))
		}
		if text := status.LostTrouble(s.Lost, s.LostAt, time.Now()); text != "" {
			st.Trouble = append(st.Trouble, fmt.Sprintf("webhook %s: %s", s.Name, text))
		}
		for _, name := range n.unknownNames(&n.settings.Webhooks[i]) {
			st.Trouble = append(st.Trouble, fmt.Sprintf("webhook %s chooses %q, which the cookbook in force does not have", s.Name, name))
		}
	}
}

// unknownNames are the names that an endpoint chooses and the cookbook does not have.
func (n *Node) unknownNames(w *settings.Webhook) (unknown []string) {
	if len(w.Audiences)+len(w.Activations) == 0 {
		return nil
	}
	program := n.cookbook.Load()
	audiences, activations := map[string]bool{}, map[string]bool{"merged": true, "unmerged": true, "erased": true}
	for _, a := range program.AllAudiences() {
		audiences[a.Name], activations[a.Name] = true, true
	}
	for i := range program.Activations {
		activations[program.Activations[i].Name] = true
	}
	if program.Accounts != nil {
		for i := range program.Accounts.Program.Activations {
			activations[program.Accounts.Program.Activations[i].Name] = true
		}
	}
	for _, name := range w.Audiences {
		if !audiences[name] {
			unknown = append(unknown, name)
		}
	}
	for _, name := range w.Activations {
		if !activations[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

func (c *collector) collectWebhooks(put func(prometheus.ValueType, string, float64, ...string)) {
	for _, w := range c.n.webhooks {
		s := w.Status()
		put(prometheus.CounterValue, "dashi_webhook_activations_total", float64(s.Sent), s.Name, "taken")
		put(prometheus.CounterValue, "dashi_webhook_activations_total", float64(s.Dead), s.Name, "dead")
		put(prometheus.CounterValue, "dashi_webhook_requests_total", float64(s.Requests), s.Name)
		put(prometheus.CounterValue, "dashi_webhook_retries_total", float64(s.Retries), s.Name)
		put(prometheus.CounterValue, "dashi_webhook_request_seconds_total", s.Seconds, s.Name)
		put(prometheus.CounterValue, "dashi_webhook_lost_total", float64(s.Lost), s.Name)
		put(prometheus.GaugeValue, "dashi_webhook_lag_records", float64(s.Lag), s.Name)
		put(prometheus.GaugeValue, "dashi_webhook_waiting", float64(s.Waiting), s.Name)
		put(prometheus.GaugeValue, "dashi_webhook_failing", float64(bit(s.Trouble != "")), s.Name)
	}
}
