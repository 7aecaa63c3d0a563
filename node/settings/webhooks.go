package settings

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"dashi/pipeline/keyfile"
	"dashi/pipeline/webhook"
)

// Webhook are those of one endpoint that activations are posted to.
type Webhook struct {
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
		in := w.Sink()
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
		switch given := slices.DeleteFunc([]string{w.Secret, w.SecretEnv, w.SecretFile}, func(s string) bool { return s == "" }); {
		case len(given) != 1:
			bad(errors.New("secret, secret_env, secret_file: set one of them"))
		case w.Secret != "":
			if _, err := webhook.ParseSecrets(w.Secret); err != nil {
				bad(fmt.Errorf("secret: %w", err))
			}
		}
	}
	return errs
}

// Sink is the settings of the endpoint without its secrets.
func (w *Webhook) Sink() webhook.Settings {
	return webhook.Settings{
		Name: w.Name, URL: w.URL, Audiences: w.Audiences, Activations: w.Activations, Header: w.Header,
		Batch: w.Batch, Timeout: w.Timeout, RetryFirst: w.RetryFirst, RetryMost: w.RetryMost, GiveUp: w.GiveUp,
	}
}

// ReadSecrets reads the secrets from where they are.
func (w *Webhook) ReadSecrets() ([]webhook.Secret, error) {
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
