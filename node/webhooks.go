package node

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"dashi/pipeline/keyfile"
	"dashi/pipeline/webhook"

	"github.com/prometheus/client_golang/prometheus"
)

// WebhookSettings are those of one endpoint that activations are posted to.
type WebhookSettings struct {
	Name string `yaml:"name"`
	URL  string `yaml:"url"`
	// One of these three: the secret, the name of an environment variable with it, or of a file.
	Secret     string `yaml:"secret"`
	SecretEnv  string `yaml:"secret_env"`
	SecretFile string `yaml:"secret_file"`
	// Audiences and Activations choose what is posted; both empty: everything.
	Audiences   []string          `yaml:"audiences"`
	Activations []string          `yaml:"activations"`
	Header      map[string]string `yaml:"header"`
	// From is where an endpoint begins that has taken nothing yet: now, which is also what empty means, or oldest.
	From       string        `yaml:"from"`
	Batch      int           `yaml:"batch"`
	Timeout    time.Duration `yaml:"timeout"`
	RetryFirst time.Duration `yaml:"retry_first"`
	RetryMost  time.Duration `yaml:"retry_most"`
	GiveUp     time.Duration `yaml:"give_up"`
}

// maxWebhooks bounds the endpoints: each is a Kafka client of its own.
const maxWebhooks = 64

// checkWebhooks says what is wrong with the endpoints, but does not look at secrets in files and in the environment, which only the node's machine has.
func (s *Settings) checkWebhooks() (errs []error) {
	if len(s.Webhooks) > maxWebhooks {
		errs = append(errs, fmt.Errorf("webhooks: %d of them, at most %d", len(s.Webhooks), maxWebhooks))
	}
	used := map[string]int{}
	for i := range s.Webhooks {
		w := &s.Webhooks[i]
		bad := func(err error) { errs = append(errs, fmt.Errorf("webhooks[%d].%w", i, err)) }
		in := w.sink()
		for _, err := range in.Check() {
			bad(err)
		}
		if first, twice := used[w.Name]; twice {
			bad(fmt.Errorf("name: %q is webhooks[%d] already", w.Name, first))
		}
		used[w.Name] = i
		if w.From != "" && w.From != "now" && w.From != "oldest" {
			bad(fmt.Errorf("from: %q is neither now nor oldest", w.From))
		}
		switch given := bit(w.Secret != "") + bit(w.SecretEnv != "") + bit(w.SecretFile != ""); {
		case given != 1:
			bad(errors.New("secret, secret_env, secret_file: set one of them"))
		case w.Secret != "":
			if _, err := webhook.ParseSecrets(w.Secret); err != nil {
				bad(fmt.Errorf("secret: %w", err))
			}
		}
	}
	return errs
}

// sink is the settings of the endpoint without its secrets.
func (w *WebhookSettings) sink() webhook.Settings {
	return webhook.Settings{
		Name: w.Name, URL: w.URL, Audiences: w.Audiences, Activations: w.Activations, Header: w.Header,
		Batch: w.Batch, Timeout: w.Timeout, RetryFirst: w.RetryFirst, RetryMost: w.RetryMost, GiveUp: w.GiveUp,
	}
}

// secrets reads them from where they are.
func (w *WebhookSettings) secrets() ([]webhook.Secret, error) {
	text, where := w.Secret, "secret"
	switch {
	case w.SecretEnv != "":
		text, where = os.Getenv(w.SecretEnv), "secret_env "+w.SecretEnv
	case w.SecretFile != "":
		b, err := keyfile.Read(w.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the secret of webhook %q: %w", w.Name, err)
		}
		text, where = string(b), "secret_file "+w.SecretFile
	}
	all, err := webhook.ParseSecrets(text)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s of webhook %q: %w", where, w.Name, err)
	}
	return all, nil
}

// openWebhooks makes the endpoints. They begin to read when the node has started.
func (n *Node) openWebhooks() error {
	for i := range n.settings.Webhooks {
		w := &n.settings.Webhooks[i]
		settings := w.sink()
		var err error
		if settings.Secrets, err = w.secrets(); err != nil {
			return err
		}
		from := webhook.From{Kafka: n.kafka, Topic: n.settings.Kafka.Activations, Cluster: n.settings.Cluster, Oldest: w.From == "oldest"}
		if n.gossip != nil { // see openKafka
			from.InstanceID, from.SessionTimeout = n.identity.member(), sessionTimeout
		}
		sink, err := webhook.Open(settings, from, n.dead)
		if err != nil {
			return err
		}
		n.webhooks = append(n.webhooks, sink)
	}
	return nil
}

// webhook is the endpoint of that name; nil when this node has none.
func (n *Node) webhook(name string) *webhook.Sink {
	i := slices.IndexFunc(n.settings.Webhooks, func(w WebhookSettings) bool { return w.Name == name })
	if i < 0 {
		return nil
	}
	return n.webhooks[i]
}

// WebhookStatus is one endpoint.
type WebhookStatus = webhook.Status

// webhookStatus says how the endpoints are, and which of them choose a name that the cookbook does not have: they would wait for it for ever.
func (n *Node) webhookStatus(st *Status) {
	st.Webhooks = []WebhookStatus{}
	for i, w := range n.webhooks {
		s := w.Status()
		st.Webhooks = append(st.Webhooks, s)
		if s.Trouble != "" {
			st.Trouble = append(st.Trouble, fmt.Sprintf("webhook %s takes nothing %s", s.Name, s.Trouble))
		}
		if text := lostTrouble(s.Lost, s.LostAt, time.Now()); text != "" {
			st.Trouble = append(st.Trouble, fmt.Sprintf("webhook %s: %s", s.Name, text))
		}
		for _, name := range n.unknownNames(&n.settings.Webhooks[i]) {
			st.Trouble = append(st.Trouble, fmt.Sprintf("webhook %s chooses %q, which the cookbook in force does not have", s.Name, name))
		}
	}
}

// unknownNames are the names that an endpoint chooses and the cookbook does not have.
func (n *Node) unknownNames(w *WebhookSettings) (unknown []string) {
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
