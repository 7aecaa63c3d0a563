package console

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// fakeNode answers like a node whose shop is busy: everything moves with the time since start.
type fakeNode struct {
	start   time.Time
	trouble []string
	lost    atomic.Bool // there was a power loss
}

// hostile is what a person may have typed into a form (I2).
const hostile = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`

type object = map[string]any

func (f *fakeNode) seconds() float64 { return time.Since(f.start).Seconds() }

// History begins 240 seconds before start.
func (f *fakeNode) History(after time.Time) []byte {
	list := []object{}
	for i := -240; i <= int(f.seconds()); i++ {
		x := float64(i)
		at := f.start.Add(time.Duration(i) * time.Second).UTC().Truncate(time.Millisecond)
		if !at.After(after) {
			continue
		}
		noise := math.Abs(math.Mod(math.Sin(x*12.9898)*43758.5453, 1))
		list = append(list, object{"at": at, "events": 8400 + 1900*math.Sin(x/31) + 700*noise, "activations": 310 + 60*math.Sin(x/17),
			"p50_ms": 0.62 + 0.1*noise, "p99_ms": 2.1 + 1.4*noise*noise + 0.5*math.Sin(x/23), "profiles": 148_200 + 12*i})
	}
	b, _ := json.Marshal(list)
	return b
}

func (f *fakeNode) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", Handler(f))
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) { json.NewEncoder(w).Encode(f.status()) })
	mux.HandleFunc("GET /v1/audiences", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(object{"audiences": f.audiences()})
	})
	mux.HandleFunc("GET /v1/audiences/{name}/members", func(w http.ResponseWriter, r *http.Request) {
		for i := range 20 {
			fmt.Fprintf(w, "{\"id\":\"user_id:u%d\",\"since\":%q}\n", 7+31*i, f.start.Add(-time.Duration(i*i)*time.Minute).UTC().Format(time.RFC3339))
		}
		fmt.Fprintln(w, `{"cursor":"0-21"}`)
	})
	mux.HandleFunc("GET /v1/audiences/{name}/stats", func(w http.ResponseWriter, r *http.Request) {
		hours := []object{}
		for i := range 48 {
			hours = append(hours, object{"at": f.start.Add(time.Duration(i-48) * time.Hour).UTC().Format(time.RFC3339), "entered": 40 + i, "left": 30, "size": 60_000 + 500*i})
		}
		json.NewEncoder(w).Encode(object{"audience": r.PathValue("name"), "size": 83_500, "hours": hours,
			"overlap":     []object{{"audience": "cart_abandoners", "size": 30_000, "both": 21_000}, {"audience": hostile, "size": 9, "both": 3}},
			"activations": []object{{"activation": "welcome_back", "on": "enter", "sent": 812, "hours": []object{}}}})
	})
	mux.HandleFunc("GET /v1/activations", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(object{"activations": f.activations()})
	})
	mux.HandleFunc("GET /v1/activations/{name}/stats", func(w http.ResponseWriter, r *http.Request) {
		for _, a := range f.activations() {
			if a["activation"] == r.PathValue("name") {
				hours := []object{}
				for i := range 30 {
					hours = append(hours, object{"at": f.start.Add(time.Duration(i-30) * time.Hour).UTC().Format(time.RFC3339), "sent": 20 + i*i%17})
				}
				a["hours"] = hours
				json.NewEncoder(w).Encode(a)
			}
		}
	})
	mux.HandleFunc("GET /v1/profiles/{id...}", f.profile)
	mux.HandleFunc("GET /v1/activations/stream", f.stream)
	return mux
}

func (f *fakeNode) status() object {
	s := f.seconds()
	var shards, streams []object
	for i := range 8 {
		index := 61_000 + 311*i + int(40*s)
		shards = append(shards, object{"id": i, "profiles": 18_500 + 97*i, "bytes": 31_000_000 + 55_000*i, "events": 4_100_000 + 8000*i + int(1000*s),
			"outbox_entries": i % 3 * 14, "outbox_bytes": i % 3 * 5200, "index": index, "durable": index - i%4})
		offset := 5_000_000 + 9001*i + int(1000*s)
		streams = append(streams, object{"topic": "dashi.events", "partition": i, "read": offset, "applied": offset - 3*i, "durable": offset - 90 - 3*i})
		if i > 0 { // of the first Kafka has not said it yet
			streams[i]["lag"] = 1200 * i
		}
	}
	recovery, loss := "read 8 snapshots and 61,204 entries in 1.4 s", object(nil)
	if f.lost.Load() {
		recovery, loss = "recovered from power loss at 2026-03-01T10:00:00Z: shard 3 had lost the majority; all shards went on from what was left", object{"lost": []int{3}}
	}
	return object{
		"cluster": "corner-shop", "version": "0.1.0", "uptime": (3*time.Hour + 12*time.Minute + time.Duration(s)*time.Second).String(),
		"ready": len(f.trouble) == 0, "trouble": f.trouble, "recovery": recovery, "power_loss": loss,
		"cookbook":    object{"hash": "9c41e0b27d5583af", "recipes": []string{"shop"}, "attributes": 31, "audiences": 9},
		"events":      object{"applied": 33_120_411 + int(8400*s), "repeated": 1204, "rejected": object{"malformed": 12, "no_identifier": 3, "too_deep": 0}, "per_second": 8400 + 1900*math.Sin(s/31)},
		"profiles":    148_200 + int(12*s),
		"memory":      object{"profiles": 251_658_240 + int(9000*s), "limit": int64(8) << 30, "recent": 29_000_000, "heap": 611_000_000},
		"latency":     object{"p50_ms": 0.64, "p99_ms": 3.18},
		"activations": object{"made": 1_204_551 + int(310*s), "withheld": 8123, "published": 1_204_500, "waiting": int(20 + 15*math.Sin(s))},
		"kafka":       object{"brokers": []string{"127.0.0.1:19092"}, "inputs": []string{"dashi.events"}, "embedded": true, "streams": streams},
		"shards":      shards, "log": object{"durability": "replicated", "bytes": 412_000_000},
	}
}

func (f *fakeNode) audiences() (list []object) {
	s := f.seconds()
	for i, a := range [][2]string{
		{"active_today", "Did anything in the last 24 hours."},
		{"cart_abandoners", "Put something into a cart, and has not ordered for an hour."},
		{"big_spenders", "Spent more than 1,000 over all channels."},
		{"lapsing", "Ordered more than twice, and not in the last 30 days."},
		{"new_this_week", "First seen in the last seven days."},
		{"store_and_web", "Bought in a store and on the web."},
		{"likes_outdoor", "Looks at outdoor goods most of all."},
		{"may_be_mailed", "Gave an address and consents to mail."},
		{"nobody_yet", hostile},
	} {
		size := int(72_000/math.Pow(1.9, float64(i)) + s*float64(7-2*i))
		if i == 8 {
			size = 0
		}
		list = append(list, object{"name": a[0], "description": a[1], "size": size})
	}
	return list
}

// activations: one that pays, one of which that cannot be said yet, and some without a goal.
func (f *fakeNode) activations() []object {
	rate := func(value, low, high float64) object { return object{"value": value, "low": low, "high": high} }
	goal := func(treated, control, difference object, n, m, heldBack, bought int) object {
		return object{"on": []string{"Order Completed", "Store Purchase"}, "within": "7d", "hold_back": 10, "confidence": 0.95,
			"treated": object{"exposed": n, "converted": m, "rate": treated}, "control": object{"exposed": heldBack, "converted": bought, "rate": control}, "difference": difference}
	}
	return []object{
		{"activation": "remind_cart", "description": "An hour after the last product.", "on": "enter", "about": "cart_abandoners", "sent": 9712, "sent_24h": 731 + int(f.seconds()),
			"entered": 10_811, "left": 9903, "goal": goal(rate(0.1402, 0.1334, 0.1473), rate(0.1011, 0.0834, 0.1221), rate(0.0391, 0.0168, 0.0583), 9712, 1362, 1099, 111)},
		{"activation": "win_back", "description": "", "on": "exit", "about": "active_today", "sent": 540, "sent_24h": 41,
			"goal": goal(rate(0.05, 0.0346, 0.0717), rate(0.0667, 0.0262, 0.1594), rate(-0.0167, -0.1101, 0.0277), 540, 27, 60, 4)},
		{"activation": "update_crm", "description": hostile, "on": "change", "about": "lifetime_value", "sent": 41_203, "sent_24h": 3120},
		{"activation": "call_company", "description": "A person calls.", "on": "enter", "about": "company_stuck", "of": "accounts", "sent": 12, "sent_24h": 0},
	}
}

// explanation: three identifiers are one person, and a tablet that was hers has gone over to somebody else.
func (f *fakeNode) explanation(id string) object {
	ago := func(d time.Duration) string { return f.start.Add(-d).UTC().Format(time.RFC3339) }
	seen := func(identifier, profile string) object {
		return object{"id": identifier, "profile": profile, "first_seen": ago(2000 * time.Hour), "last_seen": ago(time.Hour)}
	}
	link := func(a, b, verdict, rule string) object {
		return object{"a": a, "b": b, "verdict": verdict, "rule": rule, "first_seen": ago(1900 * time.Hour), "last_seen": ago(26 * time.Minute), "message": "5ab0c41d77e91f02"}
	}
	return object{"id": id,
		"identifiers": []object{seen(id, id), seen("user_id:u9", "user_id:u9"), seen("email:ada@example.com", id), seen("anonymous_id:9f1c2e77-43ab-4b1d-8d0e-5a7c1c1e0b44", id),
			seen("anonymous_id:"+hostile, "user_id:u9")},
		"links": []object{link(id, "email:ada@example.com", "joined", "seen in one event"),
			link(id, "anonymous_id:9f1c2e77-43ab-4b1d-8d0e-5a7c1c1e0b44", "joined", "seen in one event; anonymous_id goes with whom it was seen with last"),
			link(id, "anonymous_id:"+hostile, "limit", "user_id is unique, and both profiles have one"),
			link("user_id:u9", "anonymous_id:"+hostile, "joined", "seen in one event; anonymous_id goes with whom it was seen with last")}}
}

func (f *fakeNode) profile(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if id, ok := strings.CutSuffix(id, "/explain"); ok {
		json.NewEncoder(w).Encode(f.explanation(id))
		return
	}
	if id, ok := strings.CutSuffix(id, "/scores"); ok {
		json.NewEncoder(w).Encode(object{"profile": id, "scores": []object{{"score": "likely", "value": 0.8131, "model": "logistic", "unit": "log-odds", "base": -1.52, "factors": []object{
			{"input": "page_views", "value": 118, "adds": 2.31}, {"input": "last_search", "value": hostile, "adds": 1.2}, {"input": "returns", "value": 3, "adds": -0.52},
			{"input": "member", "value": true, "adds": 0.002}, {"input": "income", "value": nil, "adds": 0}}}}})
		return
	}
	if !strings.HasPrefix(id, "user_id:u") {
		w.WriteHeader(http.StatusNotFound)
		json.NewEncoder(w).Encode(object{"error": object{"code": "not_found", "message": fmt.Sprintf("there is no profile %q", id), "hint": "try another"}})
		return
	}
	ago := func(d time.Duration) string { return f.start.Add(-d).UTC().Format(time.RFC3339) }
	views := 118 + int(f.seconds())
	json.NewEncoder(w).Encode(object{
		"id": id,
		"identifiers": []object{
			{"namespace": "user_id", "value": id[len("user_id:"):], "first_seen": ago(2000 * time.Hour), "last_seen": ago(time.Minute)},
			{"namespace": "email", "value": "ada@example.com", "first_seen": ago(1900 * time.Hour), "last_seen": ago(5 * time.Hour)},
			{"namespace": "anonymous_id", "value": "9f1c2e77-43ab-4b1d-8d0e-5a7c1c1e0b44", "first_seen": ago(50 * time.Hour), "last_seen": ago(time.Minute)}},
		"attributes": object{"display_name": hostile, "page_views": views, "lifetime_value": 1834.5, "loyalty_tier": "gold", "cart_abandoner": true, "last_order": ago(73 * time.Hour),
			"viewed": []string{"p-1042", "p-77", "p-5150", "p-9"}, "last_searches": []string{"rain jacket", "tent, 2 persons", "stove"},
			"interest": object{"outdoor": views / 2, "kitchen": 17, "books": 9, "garden": 4, "__proto__": 2}},
		"audiences": object{"active_today": object{"since": ago(19 * time.Hour)}, "big_spenders": object{"since": ago(73 * time.Hour)}, "cart_abandoners": object{"since": ago(26 * time.Minute)}},
		"consent":   object{"email": object{"granted": true, "since": ago(1900 * time.Hour)}, "ads": object{"granted": false, "since": ago(40 * time.Hour)}},
		"version":   views + 204,
	})
}

func (f *fakeNode) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		a := object{"id": fmt.Sprint(i), "profile": fmt.Sprintf("user_id:u%d", i*7919%9973), "at": time.Now().UTC().Format(time.RFC3339Nano), "event_time": time.Now().UTC().Format(time.RFC3339Nano), "sequence": i}
		switch i % 5 {
		case 0, 2:
			a["transition"], a["audience"], a["activation"] = "enter", "cart_abandoners", "cart_abandoners"
		case 1:
			a["transition"], a["audience"], a["activation"] = "exit", "lapsing", "win_back"
		case 3:
			a["transition"], a["attribute"], a["activation"] = "change", "loyalty_tier", "tier_changed"
		case 4:
			a["transition"], a["type"], a["activation"] = "event", "Order Completed", "order_receipt"
		}
		b, _ := json.Marshal(a)
		fmt.Fprintf(w, "id: %d\ndata: %s\n\n", i, b)
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}
