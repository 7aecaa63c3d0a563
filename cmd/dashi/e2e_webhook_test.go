package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const webhookRecipe = `
recipe: visits
attributes:
  visits: {kind: count, on: Visit}
audiences:
  regulars: {when: 'visits >= 2'}
activations:
  seen: {on: {event: Visit}}
`

const webhookSecret = "whsec_TWFueSBhIG1pY2tsZSBtYWtlcyBhIG11Y2tsZQ=="

// receiver is an endpoint as its owner would write it: it checks the signature, and takes each activation once by its id.
type receiver struct {
	t      *testing.T
	mu     sync.Mutex
	fails  int // requests still to be answered with 503
	all    map[string]string
	last   map[string]int // sequence, by profile
	repeat int
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender was killed in the middle: what is not whole was not sent
	}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(webhookSecret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp"), body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); req.Header.Get("webhook-signature") != want {
		r.t.Errorf("signature %q, want %q", req.Header.Get("webhook-signature"), want)
	}
	var m struct {
		Data []struct {
			ID, Profile string
			Sequence    int
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		r.t.Errorf("%v: %s", err, body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fails > 0 {
		r.fails--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	for _, a := range m.Data {
		if r.all[a.ID] != "" {
			r.repeat++
			continue
		}
		if a.Sequence != r.last[a.Profile]+1 {
			r.t.Errorf("%s: sequence %d after %d", a.Profile, a.Sequence, r.last[a.Profile])
		}
		r.all[a.ID], r.last[a.Profile] = a.Profile, a.Sequence
	}
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

func newReceiver(t *testing.T) *receiver {
	return &receiver{t: t, all: map[string]string{}, last: map[string]int{}}
}

// serveAt serves until the test ends.
func serveAt(t *testing.T, addr string, h http.Handler) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
}

// Two endpoints, of which one fails at times and the other is not there until the end, and a node that is killed in between: each has every activation,
// in order, and the one that is dead holds nobody up.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	good, late := newReceiver(t), newReceiver(t)
	goodAddr, lateAddr := freeAddr(t), freeAddr(t)
	serveAt(t, goodAddr, good)
	recipe := filepath.Join(t.TempDir(), "visits.yml")
	if err := os.WriteFile(recipe, []byte(webhookRecipe), 0o644); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, "--demo", "0", "--shards", "4", "--recipes", recipe, "--webhook", "http://"+goodAddr+"/hook", "--webhook", "http://"+lateAddr+"/hook?key=private")
	n.env = append(n.env, "DASHI_WEBHOOK_SECRET="+webhookSecret)
	n.start()
	eventually(t, wait, "both endpoints have begun", func() error {
		if text := n.ask(http.StatusOK, "GET", "/v1/status", ""); strings.Count(text, `"partitions":8`) != 2 {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
	sent := 0
	for round := range 4 {
		good.mu.Lock()
		good.fails = 3
		good.mu.Unlock()
		var batch []string
		for i := range 100 {
			batch = append(batch, fmt.Sprintf(`{"type":"track","event":"Visit","messageId":"r%d-%d","userId":"u%d"}`, round, i, i))
		}
		n.ask(http.StatusOK, "POST", "/v1/batch", `{"batch":[`+strings.Join(batch, ",")+`]}`)
		sent += len(batch)
		if round < 3 {
			n.kill()
			n.start()
		}
	}
	want := sent + 100 // each visit is seen, each visitor becomes a regular
	eventually(t, wait, "the endpoint that is there has all", func() error {
		if got := good.count(); got != want {
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	})
	if st := n.idle(); st.Activations.Made != uint64(want) || st.Activations.Waiting != 0 {
		t.Errorf("%+v, want %d", st.Activations, want)
	}
	eventually(t, wait, "the status tells of the dead one", func() error {
		text := n.must("status")
		if !strings.Contains(text, "webhook dev-2 takes nothing for") || !strings.Contains(text, "dev-1 to http://"+goodAddr+"/hook: 0 behind") || strings.Contains(text, "private") {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
	serveAt(t, lateAddr, late)
	eventually(t, 2*wait, "the other has all", func() error {
		if got := late.count(); got != want {
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	})
	t.Logf("%d and %d activations came twice", good.repeat, late.repeat)
	eventually(t, wait, "the metrics say so", func() error { // an answer is counted when it has come back
		metrics := n.ask(http.StatusOK, "GET", "/metrics", "")
		for _, line := range []string{`dashi_webhook_activations_total{result="taken",webhook="dev-2"} ` + fmt.Sprint(want), `dashi_webhook_lag_records{webhook="dev-1"} 0`} {
			if !strings.Contains(metrics, line) {
				return fmt.Errorf("they lack %s", line)
			}
		}
		return nil
	})
	n.interrupt()
}
