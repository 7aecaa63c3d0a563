package kafka

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// lines is what is logged without the times, one line each; all writes come from one goroutine at a time.
func lines(b *bytes.Buffer) []string {
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// Brokers that were down made each client log several lines a second, for as long as they were.
func TestWarningsThatGoOnAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		shared := Collapse(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime})))
		one, two := logger{shared}, logger{shared}
		for i := range 80 { // 20 s, of two clients
			one.Log(kgo.LogLevelWarn, "no broker", "addr", "a:1", "err", errors.New("refused"))
			two.Log(kgo.LogLevelWarn, "no broker", "addr", "a:1", "err", errors.New("refused"))
			if i == 4 {
				two.Log(kgo.LogLevelWarn, "no broker", "addr", "b:2", "err", errors.New("refused")) // another broker
				two.Log(kgo.LogLevelInfo, "metadata")
				two.Log(kgo.LogLevelInfo, "metadata")
			}
			<-time.After(249 * time.Millisecond) // in the bubble's time; never at the instant of a timer
			synctest.Wait()
		}
		<-time.After(time.Minute)
		synctest.Wait()
		one.Log(kgo.LogLevelWarn, "no broker", "addr", "a:1", "err", errors.New("refused")) // all was well for a while
		want := []string{
			`level=WARN msg="kafka: no broker" addr=a:1 err=refused`,
			`level=WARN msg="kafka: no broker" addr=b:2 err=refused`,
			`level=DEBUG msg="kafka: metadata"`,
			`level=DEBUG msg="kafka: metadata"`,
			`level=WARN msg="kafka: no broker" addr=a:1 err=refused again=81 in=10s`,
			`level=WARN msg="kafka: no broker" addr=a:1 err=refused again=78 in=20s`,
			`level=WARN msg="kafka: no broker" addr=a:1 err=refused`,
		}
		if got := lines(&out); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		<-time.After(time.Minute) // the last timer ends
	})
}
