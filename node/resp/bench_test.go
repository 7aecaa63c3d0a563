package resp

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// BenchmarkHandle is one look-up without the kernel: parse, find, write into the buffer.
func BenchmarkHandle(b *testing.B) {
	node := newFake(12)
	node.full("email", "ada@example.com", 0, 2)
	for _, command := range []string{"HGETALL|email:ada@example.com", "SISMEMBER|audience:vip|email:ada@example.com", "PING"} {
		name, _, _ := strings.Cut(command, "|")
		for _, depth := range []int{1, 16} {
			b.Run(fmt.Sprintf("command=%s/pipeline=%d", name, depth), func(b *testing.B) {
				s := newTestSession(node, "")
				in := []byte(strings.Repeat(wire(strings.Split(command, "|")...), depth))
				out := make([]byte, 0, 64<<10)
				b.ReportAllocs()
				for b.Loop() {
					s.Handle(in, out)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*depth), "ns/command")
			})
		}
	}
}

// BenchmarkPeers puts redis-server and this server side by side: 50 connections, a profile of 12 fields. The load comes
// from another process on the same machine, so the figures are for comparison only. redis-benchmark reads every reply
// field by field in one thread, which at -P 16 costs as much as answering, so it is the limit there; load=bytes only counts the bytes of the
// answers. -benchtime=1x is three rounds of each, interleaved, so that other work on the machine hits both.
func BenchmarkPeers(b *testing.B) {
	for _, name := range []string{"redis-server", "redis-cli", "redis-benchmark"} {
		if _, err := exec.LookPath(name); err != nil {
			b.Skipf("%s is not installed: %v", name, err)
		}
	}
	node := newFake(12)
	node.full("email", "ada@example.com", 0, 2)
	_, addr := start(b, 0, node, "", Limits{})
	_, own, _ := net.SplitHostPort(addr)
	peer, pid := startRedis(b, node)
	loads := map[string]func(b *testing.B, port string, depth int, command []string) float64{"redis-benchmark": rate, "bytes": byteRate}
	for _, load := range []string{"bytes", "redis-benchmark"} {
		for _, depth := range []int{1, 16} {
			for _, command := range []string{"HGETALL email:ada@example.com", "SISMEMBER audience:vip email:ada@example.com"} {
				words := strings.Fields(command)
				b.Run(fmt.Sprintf("load=%s/command=%s/pipeline=%d", load, words[0], depth), func(b *testing.B) {
					var ours, theirs, ourCPU, theirCPU float64
					const rounds = 3
					for range b.N {
						for range rounds {
							before := cpuOf(b, pid)
							theirs += loads[load](b, peer, depth, words)
							theirCPU += cpuOf(b, pid) - before
							before = cpuOf(b, os.Getpid())
							ours += loads[load](b, own, depth, words)
							ourCPU += cpuOf(b, os.Getpid()) - before
						}
					}
					n := float64(b.N * rounds)
					b.ReportMetric(ours/n, "ours/s")
					b.ReportMetric(theirs/n, "redis/s")
					b.ReportMetric(ours/theirs, "ratio")
					b.ReportMetric(1e6*ourCPU/n/float64(requests(depth)), "ours-cpu-us")
					b.ReportMetric(1e6*theirCPU/n/float64(requests(depth)), "redis-cpu-us")
					b.ReportMetric(0, "ns/op") // says nothing here
				})
			}
		}
	}
}

// startRedis runs redis-server with the same profile in it and returns its port and process.
func startRedis(b *testing.B, node *fake) (port string, pid int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	l.Close()
	server := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", b.TempDir())
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Process.Kill(); server.Wait() })
	until(b, "redis-server", func() bool {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	args := []string{"-p", port, "HSET", "email:ada@example.com"}
	v := node.profiles["email"]["ada@example.com"]
	for i := range v.Fields() {
		value, _ := v.AppendField(nil, i)
		args = append(args, v.FieldName(i), string(value))
	}
	for _, a := range [][]string{args, {"-p", port, "SADD", "audience:vip", "email:ada@example.com"}} {
		if out, err := exec.Command("redis-cli", a...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	return port, server.Process.Pid
}

var rateLine = regexp.MustCompile(`([0-9.]+) requests per second`)

const clients = 50

func requests(depth int) int {
	if depth == 1 {
		return 80_000
	}
	return 800_000
}

// rate has redis-benchmark make the load.
func rate(b *testing.B, port string, depth int, command []string) float64 {
	args := append([]string{"-p", port, "-c", strconv.Itoa(clients), "-n", strconv.Itoa(requests(depth)), "-P", strconv.Itoa(depth), "-q"}, command...)
	out, err := exec.Command("redis-benchmark", args...).CombinedOutput()
	m := rateLine.FindSubmatch(out)
	if err != nil || m == nil {
		b.Fatalf("%v: %s", err, out)
	}
	v, _ := strconv.ParseFloat(string(m[1]), 64)
	return v
}

// byteRate has this test binary, run again, make the load: see makeLoad.
func byteRate(b *testing.B, port string, depth int, command []string) float64 {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), loadVariable+"="+strings.Join(append([]string{port, strconv.Itoa(depth)}, command...), " "))
	out, err := c.CombinedOutput()
	v, err2 := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil || err2 != nil {
		b.Fatalf("%v %v: %s", err, err2, out)
	}
	return v
}

// loadVariable, when set, turns the test binary into a load generator: PORT DEPTH COMMAND...
const loadVariable = "DASHI_RESP_LOAD"

// makeLoad sends the same pipeline over and over on every connection and reads as many bytes as its answer has.
func makeLoad(what string) (perSecond float64, err error) {
	f := strings.Fields(what)
	depth, err := strconv.Atoi(f[1])
	if err != nil {
		return 0, err
	}
	request := []byte(strings.Repeat(wire(f[2:]...), depth))
	batches := requests(depth) / depth / clients
	var group errgroup.Group
	begin := time.Now()
	for range clients {
		group.Go(func() error {
			c, err := net.Dial("tcp", "127.0.0.1:"+f[0])
			if err != nil {
				return err
			}
			defer c.Close()
			// The length of the answer: everything up to that of an ECHO behind it.
			end := "learned"
			if _, err := c.Write(slices.Concat(request, []byte(wire("ECHO", end)))); err != nil {
				return err
			}
			buf := make([]byte, 64<<10)
			have := 0
			for !strings.HasSuffix(string(buf[:have]), bulk(end)) {
				n, err := c.Read(buf[have:])
				if err != nil {
					return err
				}
				have += n
			}
			answer := buf[:have-len(bulk(end))]
			for range batches {
				if _, err := c.Write(request); err != nil {
					return err
				}
				if _, err := io.ReadFull(c, answer); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	return float64(batches*depth*clients) / time.Since(begin).Seconds(), err
}

// cpuOf is the processor time of a process so far, in seconds: fields 14 and 15 of /proc/PID/stat, in hundredths.
func cpuOf(b *testing.B, pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}
