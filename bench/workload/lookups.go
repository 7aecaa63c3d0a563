package workload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"dashi/bench/order"
	"dashi/bench/process"
	"dashi/bench/redisbench"
	"dashi/bench/result"
	"dashi/bench/stat"

	"github.com/redis/go-redis/v9"
)

// question is one command at one depth of pipelining.
type question struct {
	command  []string
	pipeline int
	requests [2]int // full, quick
	target   float64
}

// audienceAsked has about half of the people, so SISMEMBER answers yes and no.
const audienceAsked = "audience:big_spenders"

const (
	connections = 50
	rounds      = 3
)

func questions() []question {
	hgetall := []string{"HGETALL", "user_id:u__rand_int__"}
	sismember := []string{"SISMEMBER", audienceAsked, "user_id:u__rand_int__"}
	return []question{
		{hgetall, 1, [2]int{200_000, 10_000}, 0.75},
		{hgetall, 16, [2]int{1_000_000, 50_000}, 1.2},
		{sismember, 1, [2]int{200_000, 10_000}, 0.75},
		{sismember, 16, [2]int{1_500_000, 50_000}, 1.2},
	}
}

// lookups asks dashi and redis-server the same questions about the same data, by turns, so that what else happens on the
// machine meets both.
func lookups(ctx context.Context, e *Env) (err error) {
	tool, err := process.Find("redis-benchmark")
	if err != nil {
		return err
	}
	r, err := process.StartRedis(ctx, e.Temp)
	if err != nil {
		return err
	}
	defer stop(r, &err)
	d, err := e.start(ctx, e.twelve(), e.dir("data"))
	if err != nil {
		return err
	}
	defer stop(d, &err)
	people := e.size(100_000, 10_000)
	e.Say("giving %d people an order each, then all of it to redis-server", people)
	if err := populate(ctx, d, people); err != nil {
		return err
	}
	encoding, err := copyProfiles(ctx, d.RESP, r.Addr, people)
	if err != nil {
		return err
	}
	st, err := d.Status(ctx)
	if err != nil {
		return err
	}
	settings := result.Settings{"people": people, "connections": connections, "rounds": rounds, "version": st.Version,
		"redis": version(ctx, r.Addr), "redis_encoding": encoding, "cookbook": e.twelve().name}
	for _, q := range questions() {
		e.Say("%s -P %d", q.command[0], q.pipeline)
		if err := e.ask(ctx, tool, d, r, q, people, settings); err != nil {
			return err
		}
	}
	return nil
}

// populate gives everybody one order and waits until all of them are applied.
func populate(ctx context.Context, d *process.Dashi, people int) error {
	orders := order.Settings{Seed: 3, Prefix: "first", People: people, Shapes: order.MaxShapes, InTurn: true}
	if err := fill(ctx, []string{d.Kafka}, orders, people); err != nil {
		return err
	}
	st, err := d.WaitIdle(ctx, time.Minute)
	if err != nil {
		return err
	}
	if st.Profiles != people {
		return fmt.Errorf("%d profiles, want %d", st.Profiles, people)
	}
	return mustCount(st, int64(people))
}

// copyProfiles reads every profile from dashi and writes it to Redis: 12 fields of a hash, and the members of one set. It
// says how Redis keeps the hashes.
func copyProfiles(ctx context.Context, from, to string, people int) (encoding string, err error) {
	source := redis.NewClient(&redis.Options{Addr: from})
	defer source.Close()
	target := redis.NewClient(&redis.Options{Addr: to})
	defer target.Close()
	const step = 500
	members := 0
	for first := 0; first < people; first += step {
		count := min(step, people-first)
		hashes, answers := make([]*redis.MapStringStringCmd, count), make([]*redis.BoolCmd, count)
		_, err := source.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range count {
				hashes[i] = p.HGetAll(ctx, user(first+i))
				answers[i] = p.SIsMember(ctx, audienceAsked, user(first+i))
			}
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("cannot read profiles from dashi: %w", err)
		}
		_, err = target.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range count {
				if fields := hashes[i].Val(); len(fields) != 12 {
					return fmt.Errorf("%s has %d fields, want 12: %v", user(first+i), len(fields), fields)
				}
				p.HSet(ctx, user(first+i), hashes[i].Val())
				if answers[i].Val() {
					members++
					p.SAdd(ctx, audienceAsked, user(first+i))
				}
			}
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("cannot write profiles to redis-server: %w", err)
		}
	}
	if members < people/10 || members > people-people/10 {
		return "", fmt.Errorf("%d of %d people are in %s: want some in and some out", members, people, audienceAsked)
	}
	return target.ObjectEncoding(ctx, user(0)).Val(), compare(ctx, source, target, people)
}

// compare asks both about some people: what is measured must be the same question with the same answer.
func compare(ctx context.Context, a, b *redis.Client, people int) error {
	for i := 0; i < people; i += max(1, people/97) {
		x, errX := a.HGetAll(ctx, user(i)).Result()
		y, errY := b.HGetAll(ctx, user(i)).Result()
		p, errP := a.SIsMember(ctx, audienceAsked, user(i)).Result()
		q, errQ := b.SIsMember(ctx, audienceAsked, user(i)).Result()
		if err := errors.Join(errX, errY, errP, errQ); err != nil {
			return fmt.Errorf("cannot compare answers: %w", err)
		}
		if !maps.Equal(x, y) || p != q {
			return fmt.Errorf("%s: dashi answers %v, %v; redis-server %v, %v", user(i), x, p, y, q)
		}
	}
	return nil
}

func user(i int) string { return "user_id:" + string(order.AppendUser(nil, i)) }

// version of a redis-server; empty when it does not say.
func version(ctx context.Context, addr string) string {
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer c.Close()
	info, _ := c.Info(ctx, "server").Result()
	_, rest, _ := strings.Cut(info, "redis_version:")
	v, _, _ := strings.Cut(rest, "\r\n")
	return v
}

// side is one of the two servers and what was measured of it.
type side struct {
	child       interface{ Usage() (process.Usage, error) }
	addr        string
	rates, cpus []float64
	p50s, p99s  []float64
}

// ask runs one question, A B A B A B, after a short run each to warm up.
func (e *Env) ask(ctx context.Context, tool string, d *process.Dashi, r *process.Redis, q question, people int, common result.Settings) error {
	sides := []*side{{child: d, addr: d.RESP}, {child: r, addr: r.Addr}}
	n := e.size(q.requests[0], q.requests[1])
	for round := range rounds + 1 {
		for _, s := range sides {
			request := redisbench.Request{Addr: s.addr, Connections: connections, Pipeline: q.pipeline, Requests: n, Keys: people, Command: q.command}
			if round == 0 {
				request.Requests = n / 10
			}
			if err := s.run(ctx, tool, request, round > 0); err != nil {
				return err
			}
		}
	}
	ours, theirs := sides[0], sides[1]
	settings := maps.Clone(common)
	maps.Copy(settings, result.Settings{"command": strings.Join(q.command, " "), "pipeline": q.pipeline, "requests": n,
		"dashi_runs": ours.rates, "redis_runs": theirs.rates, "dashi_cpu_us": stat.Median(ours.cpus), "redis_cpu_us": stat.Median(theirs.cpus),
		"dashi_p50_ms": stat.Median(ours.p50s), "redis_p50_ms": stat.Median(theirs.p50s),
		"dashi_p99_ms": stat.Median(ours.p99s), "redis_p99_ms": stat.Median(theirs.p99s)})
	name := fmt.Sprintf("%s -P %d, ", q.command[0], q.pipeline)
	a, b := stat.Median(ours.rates), stat.Median(theirs.rates)
	for _, f := range []result.Figure{
		{Metric: name + "dashi to redis-server", Value: a / b, Unit: "x", Target: result.AtLeast(q.target)},
		{Metric: name + "dashi", Value: a, Unit: "/s"},
		{Metric: name + "redis-server", Value: b, Unit: "/s"},
	} {
		f.Settings = settings
		if err := e.Report(f); err != nil {
			return err
		}
	}
	return nil
}

func (s *side) run(ctx context.Context, tool string, request redisbench.Request, counts bool) error {
	before, err := s.child.Usage()
	if err != nil {
		return err
	}
	measured, err := redisbench.Run(ctx, tool, request)
	if err != nil || !counts {
		return err
	}
	after, err := s.child.Usage()
	if err != nil {
		return err
	}
	s.rates = append(s.rates, measured.PerSecond)
	s.p50s, s.p99s = append(s.p50s, measured.P50), append(s.p99s, measured.P99)
	s.cpus = append(s.cpus, cpuPerEvent(before, after, float64(request.Requests)))
	return nil
}
