package resp

import (
	"strings"
	"testing"
	"time"
)

func TestSubscribe(t *testing.T) { bothWays(t, testSubscribe) }

func testSubscribe(t *testing.T, w way) {
	b := shop()
	s, addr := start(t, w, b, "", Limits{})
	c := dial(t, addr)
	c.send(wire("SUBSCRIBE", "activations.vip", "activations"))
	c.want("*3\r\n" + bulk("subscribe") + bulk("activations.vip") + ":1\r\n*3\r\n" + bulk("subscribe") + bulk("activations") + ":2\r\n")
	c.send(wire("HGETALL", "user_id:bob"))
	c.want("-ERR Can't execute 'hgetall': only SUBSCRIBE / UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n")
	b.publish("1", "vip", `{"n":1}`)
	b.publish("2", "lapsed", `{"n":2}`)
	c.want("*3\r\n" + bulk("message") + bulk("activations") + bulk(`{"n":1}`) + "*3\r\n" + bulk("message") + bulk("activations.vip") + bulk(`{"n":1}`) +
		"*3\r\n" + bulk("message") + bulk("activations") + bulk(`{"n":2}`))
	c.send(wire("UNSUBSCRIBE", "activations"))
	c.want("*3\r\n" + bulk("unsubscribe") + bulk("activations") + ":1\r\n")
	b.publish("3", "lapsed", `{"n":3}`)
	b.publish("4", "vip", `{"n":4}`)
	c.want("*3\r\n" + bulk("message") + bulk("activations.vip") + bulk(`{"n":4}`))
	// One that is made by an audience is in the channels of both, as in Redis a message is in every channel that it is published to.
	c.send(wire("SUBSCRIBE", "activations.welcome"))
	c.want("*3\r\n" + bulk("subscribe") + bulk("activations.welcome") + ":2\r\n")
	b.publish("5", "welcome of vip", `{"n":5}`)
	b.publish("6", "welcome of lapsed", `{"n":6}`)
	c.want("*3\r\n" + bulk("message") + bulk("activations.vip") + bulk(`{"n":5}`) + "*3\r\n" + bulk("message") + bulk("activations.welcome") + bulk(`{"n":5}`) +
		"*3\r\n" + bulk("message") + bulk("activations.welcome") + bulk(`{"n":6}`))
	c.send(wire("UNSUBSCRIBE", "activations.welcome"))
	c.want("*3\r\n" + bulk("unsubscribe") + bulk("activations.welcome") + ":1\r\n")
	c.send(wire("UNSUBSCRIBE"))
	c.want("*3\r\n" + bulk("unsubscribe") + bulk("activations.vip") + ":0\r\n")
	if n := b.subscribers(); n != 0 {
		t.Errorf("%d subscribers of the node after UNSUBSCRIBE", n)
	}
	c.send(wire("HGET", "user_id:bob", "f0") + wire("UNSUBSCRIBE"))
	c.want(bulk("3.25") + "*3\r\n" + bulk("unsubscribe") + "$-1\r\n:0\r\n")
	if st := s.Stats(); st.Subscribers != 0 || st.Pushed != 5 {
		t.Errorf("%+v", st)
	}
}

// A subscriber to what another cookbook has dropped went on without ever hearing of anything.
func TestSubscriptionToWhatIsDropped(t *testing.T) { bothWays(t, testSubscriptionToWhatIsDropped) }

func testSubscriptionToWhatIsDropped(t *testing.T, w way) {
	b := shop()
	s, addr := start(t, w, b, "", Limits{})
	vip, all, former := dial(t, addr), dial(t, addr), dial(t, addr)
	vip.send(wire("SUBSCRIBE", "activations.vip", "activations.lapsed"))
	vip.want("*3\r\n" + bulk("subscribe") + bulk("activations.vip") + ":1\r\n*3\r\n" + bulk("subscribe") + bulk("activations.lapsed") + ":2\r\n")
	all.send(wire("SUBSCRIBE", "activations"))
	all.want("*3\r\n" + bulk("subscribe") + bulk("activations") + ":1\r\n")
	former.send(wire("SUBSCRIBE", "activations.vip") + wire("UNSUBSCRIBE"))
	former.want("*3\r\n" + bulk("subscribe") + bulk("activations.vip") + ":1\r\n*3\r\n" + bulk("unsubscribe") + bulk("activations.vip") + ":0\r\n")
	s.sweep(time.Now())
	b.publish("1", "vip", "{}")
	vip.want("*3\r\n" + bulk("message") + bulk("activations.vip") + bulk("{}"))
	all.want("*3\r\n" + bulk("message") + bulk("activations") + bulk("{}"))
	gone := "vip"
	b.gone.Store(&gone)
	s.sweep(time.Now())
	vip.want("-ERR the channel activations.vip is gone: nothing leaves under that name any more, since another cookbook is in force\r\n")
	vip.wantEnd()
	b.publish("2", "lapsed", "{}")
	all.want("*3\r\n" + bulk("message") + bulk("activations") + bulk("{}"))
	former.send("PING\r\n")
	former.want("+PONG\r\n")
	until(t, "two connections", func() bool { return s.Stats().Connections == 2 && s.Stats().Subscribers == 1 })
}

func TestSubscribeRESP3(t *testing.T) { bothWays(t, testSubscribeRESP3) }

func testSubscribeRESP3(t *testing.T, w way) {
	b := shop()
	_, addr := start(t, w, b, "", Limits{})
	c := dial(t, addr)
	c.send(wire("HELLO", "3"))
	hello, _ := c.r.Peek(4)
	if string(hello) != "%7\r\n" {
		t.Fatalf("HELLO: %q", hello)
	}
	c.send(wire("SUBSCRIBE", "activations") + wire("HGET", "user_id:bob", "f1"))
	until(t, "a subscriber", func() bool { return b.subscribers() == 1 })
	b.publish("1", "vip", "{}")
	rest, err := c.r.ReadString('>')
	if err != nil {
		t.Fatal(err, rest)
	}
	c.want("3\r\n" + bulk("subscribe") + bulk("activations") + ":1\r\n_\r\n>3\r\n" + bulk("message") + bulk("activations") + bulk("{}"))
	c.Close()
	until(t, "the subscription to end", func() bool { return b.subscribers() == 0 })
}

// I7: a subscriber that does not read is disconnected, and publishing goes on meanwhile.
func TestSlowSubscriber(t *testing.T) { bothWays(t, testSlowSubscriber) }

func testSlowSubscriber(t *testing.T, w way) {
	b := shop()
	s, addr := start(t, w, b, "", Limits{Queue: 8})
	c := dial(t, addr)
	c.send(wire("SUBSCRIBE", "activations"))
	until(t, "a subscriber", func() bool { return b.subscribers() == 1 })
	payload := strings.Repeat("x", 64<<10)
	until(t, "the slow one to be dropped", func() bool {
		for range 100 {
			b.publish("1", "vip", payload)
		}
		return s.Stats().SlowSubscribers == 1
	})
	until(t, "its end", func() bool { return b.subscribers() == 0 && s.Stats().Connections == 0 })
	if s.Stats().Subscribers != 0 {
		t.Errorf("%+v", s.Stats())
	}
}
