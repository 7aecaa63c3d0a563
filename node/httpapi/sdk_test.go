package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dashi/node/npmtest"
)

// The SDKs as they are published.
var packages = []string{"@segment/analytics-node@3", "@rudderstack/rudder-sdk-node@3", "cloudevents@10"}

func runNode(t *testing.T, modules, script string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if out, err := npmtest.Command(ctx, modules, script, args...).CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "done\n") {
		t.Fatalf("node %s: %v\n%s", script, err, out)
	}
}

// message is what the tests look at of what went to Kafka.
type message struct {
	Type, Event, MessageID, UserID, AnonymousID, Timestamp, ReceivedAt string
	Properties                                                         struct {
		Total float64
		Note  string
	}
}

func decode(t *testing.T, m Message) (v message) {
	t.Helper()
	if err := json.Unmarshal(m.Value, &v); err != nil || m.Reason != "" {
		t.Errorf("%v %s", err, m.Value)
	}
	return v
}

// Both SDKs send six events; the first answer is a 429, and nothing may be lost or doubled by it.
func TestSDKs(t *testing.T) {
	modules := npmtest.Install(t, packages...)
	for _, script := range []string{"segment.cjs", "rudder.cjs"} {
		t.Run(script, func(t *testing.T) {
			b := newFake()
			a := New(Settings{WriteKeys: []string{"key1"}}, b, nil, nil)
			var requests atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) == 1 {
					a.pushBack(w, ErrBusy)
					return
				}
				a.ServeHTTP(w, r)
			}))
			defer s.Close()
			runNode(t, modules, script, s.URL, "key1")
			var kinds []string
			ids := map[string]bool{}
			for _, m := range b.take() {
				v := decode(t, m)
				kinds = append(kinds, v.Type)
				ids[v.MessageID] = true
				if v.MessageID == "" || v.ReceivedAt == "" || v.Timestamp == "" {
					t.Errorf("%s", m.Value)
				}
				if want := v.UserID + map[bool]string{true: v.AnonymousID}[v.UserID == ""]; string(m.Key) != want || want == "" {
					t.Errorf("key %q, want %q", m.Key, want)
				}
				if v.Type == "track" && (v.Event != "Order Completed" || v.Properties.Total != 12.5 || v.Properties.Note != `é "x"`) {
					t.Errorf("%s", m.Value)
				}
			}
			slices.Sort(kinds)
			if fmt.Sprint(kinds) != "[alias group identify page screen track]" || len(ids) != 6 {
				t.Errorf("%v, %d ids", kinds, len(ids))
			}
		})
	}
}

func TestCloudEventsSDK(t *testing.T) {
	modules := npmtest.Install(t, packages...)
	b := newFake()
	s := httptest.NewServer(New(Settings{}, b, nil, nil))
	defer s.Close()
	runNode(t, modules, "cloudevents.cjs", s.URL)
	messages := b.take()
	if len(messages) != 2 {
		t.Fatalf("%d messages", len(messages))
	}
	for i, m := range messages {
		v := decode(t, m)
		if v.Type != "track" || v.Event != "Order Completed" || v.MessageID != fmt.Sprint(i+1) || v.UserID != "u1" || v.Timestamp != "2026-01-02T03:04:05.678Z" ||
			v.Properties.Total != 12.5 || !bytes.Contains(m.Value, []byte(`"source":"/shop"`)) {
			t.Errorf("%s", m.Value)
		}
	}
}
