package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// What the broker warns of reaches the operator, but for slow transactions.
func TestBrokerLog(t *testing.T) {
	var out bytes.Buffer
	l := brokerLogger{slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	l.Logf(kfake.LogLevelInfo, "hello")
	l.Logf(kfake.LogLevelWarn, "txn: EndTxn slow pid=%d", 7)
	if out.Len() > 0 {
		t.Errorf("logged %q", out.String())
	}
	l.Logf(kfake.LogLevelWarn, "persist batch %s: %v", "events", "no space")
	if !strings.Contains(out.String(), "level=WARN") || !strings.Contains(out.String(), "kafka broker: persist batch events: no space") {
		t.Errorf("logged %q", out.String())
	}
}
