package resp

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// go-redis, unmodified, with both protocols, with and without a password.
func TestGoRedis(t *testing.T) { bothWays(t, testGoRedis) }

func testGoRedis(t *testing.T, w way) {
	for _, password := range []string{"", "s3cret"} {
		for _, protocol := range []int{2, 3} {
			t.Run(fmt.Sprintf("protocol=%d,password=%v", protocol, password != ""), func(t *testing.T) {
				b := shop()
				_, addr := start(t, w, b, password, Limits{})
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				c := redis.NewClient(&redis.Options{Addr: addr, Password: password, Protocol: protocol, ClientName: "dashi-test"})
				defer c.Close()
				lookUp(ctx, t, c)
				pipelineWith(ctx, t, c)
				subscribeWith(ctx, t, c, b)
			})
		}
	}
}

func lookUp(ctx context.Context, t *testing.T, c *redis.Client) {
	f := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v (%v), want %v", what, got, err, want)
		}
	}
	pong, err := c.Ping(ctx).Result()
	f("PING", pong, err, "PONG")
	all, err := c.HGetAll(ctx, "user_id:bob").Result()
	f("HGETALL", all, err, map[string]string{"f0": "3.25", "f3": "0"})
	all, err = c.HGetAll(ctx, "user_id:nobody").Result()
	f("HGETALL of nobody", all, err, map[string]string{})
	one, err := c.HGet(ctx, "user_id:bob", "f0").Float64()
	f("HGET", one, err, 3.25)
	if _, err := c.HGet(ctx, "user_id:bob", "f1").Result(); err != redis.Nil {
		t.Errorf("HGET of nothing: %v", err)
	}
	some, err := c.HMGet(ctx, "user_id:bob", "f0", "f1").Result()
	f("HMGET", some, err, []any{"3.25", nil})
	n, err := c.Exists(ctx, "user_id:bob", "user_id:nobody").Result()
	f("EXISTS", n, err, 1)
	in, err := c.SIsMember(ctx, "audience:vip", "email:ada@example.com").Result()
	f("SISMEMBER", in, err, true)
	each, err := c.SMIsMember(ctx, "audience:vip", "email:ada@example.com", "user_id:bob").Result()
	f("SMISMEMBER", each, err, []bool{true, false})
	names, err := c.SMembers(ctx, "audiences:email:ada@example.com").Result()
	slices.Sort(names)
	f("SMEMBERS", names, err, []string{"new:comers", "vip"})
	size, err := c.SCard(ctx, "audience:vip").Result()
	f("SCARD", size, err, 2)
	kind, err := c.Type(ctx, "user_id:bob").Result()
	f("TYPE", kind, err, "hash")
	left, err := c.TTL(ctx, "user_id:bob").Result()
	f("TTL", left, err, time.Duration(-1))
	left, err = c.PTTL(ctx, "user_id:nobody").Result()
	f("PTTL of nobody", left, err, time.Duration(-2))
	name, err := c.ClientGetName(ctx).Result()
	f("CLIENT GETNAME", name, err, "dashi-test")
	commands, err := c.Command(ctx).Result()
	f("COMMAND", len(commands), err, len(commandList()))
	if err := c.Set(ctx, "user_id:bob", "x", 0).Err(); err == nil || !redis.IsReadOnlyError(err) {
		t.Errorf("SET: %v", err)
	}
	if _, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, "a:b"); return nil }); err == nil {
		t.Error("MULTI succeeded")
	}
}

func pipelineWith(ctx context.Context, t *testing.T, c *redis.Client) {
	var got []*redis.MapStringStringCmd
	if _, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for range 500 {
			got = append(got, p.HGetAll(ctx, "email:ada@example.com"))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, g := range got {
		if len(g.Val()) != 4 {
			t.Fatalf("%v", g.Val())
		}
	}
}

func subscribeWith(ctx context.Context, t *testing.T, c *redis.Client, b *fake) {
	sub := c.Subscribe(ctx, "activations.vip")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	b.publish("1", "lapsed", "no")
	b.publish("2", "vip", `{"id":"2"}`)
	if err := sub.Ping(ctx, "there?"); err != nil {
		t.Error(err)
	}
	m, err := sub.ReceiveMessage(ctx)
	if err != nil || m.Channel != "activations.vip" || m.Payload != `{"id":"2"}` {
		t.Errorf("%v %v", m, err)
	}
}
