package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Keys and passwords are put in force when the settings file changes, while the node runs: who has one that is gone is let in no more, a connection that came in by
// it ends, and no file opens a door that had keys.
func TestKeysChange(t *testing.T) {
	n := newNode(t)
	n.config = filepath.Join(t.TempDir(), "dashi.yml")
	recipe := filepath.Join(t.TempDir(), "visits.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	write := func(reader, admin, writer, password string, more map[string]any) {
		t.Helper()
		list := func(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) }
		settings := map[string]any{"data": n.data, "recipes": []string{recipe}, "shards": 2, "kafka": map[string]any{"embedded": map[string]any{"listen": n.kafka}},
			"http": map[string]any{"listen": n.http, "read_keys": list(reader), "admin_keys": list(admin), "write_keys": list(writer)},
			"resp": map[string]any{"listen": n.resp, "passwords": list(password)}}
		for name, v := range more {
			settings[name] = v
		}
		text, err := json.Marshal(settings)
		check(t, err)
		check(t, os.WriteFile(n.config+".new", text, 0o600))
		check(t, os.Rename(n.config+".new", n.config))
	}
	write("reader one 0123456,reader two 0123456", "admin one 01234567", "web one", "sesame one,sesame two", nil)
	n.process = launch(t, n.env, "serve", "--config", n.config)
	n.ready()
	let := func(method, path, key, body string) int {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+n.http+path, strings.NewReader(body))
		check(t, err)
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(req)
		check(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	f := func(method, path, key string, want int) {
		t.Helper()
		if got := let(method, path, key, `{"userId":"ada","event":"Visit"}`); got != want {
			t.Errorf("%s %s with %q: %d, want %d", method, path, key, got, want)
		}
	}
	said := func(pieces ...string) {
		t.Helper()
		eventually(t, wait, "it is said", func() error {
			for _, p := range pieces {
				if !strings.Contains(n.stderr.String(), p) {
					return fmt.Errorf("no %q in %s", p, n.stderr.String())
				}
			}
			return nil
		})
	}
	open := func(password string) *redis.Client {
		c := redis.NewClient(&redis.Options{Addr: n.resp, Password: password, MaxRetries: -1, PoolSize: 1})
		t.Cleanup(func() { c.Close() })
		return c
	}
	stays := open("sesame two")
	check(t, stays.Ping(t.Context()).Err())
	listener, err := net.Dial("tcp", n.resp)
	check(t, err)
	defer listener.Close()
	_, err = io.WriteString(listener, "AUTH \"sesame one\"\r\nSUBSCRIBE activations\r\n")
	check(t, err)
	answer := make([]byte, len("+OK\r\n*3\r\n"))
	if _, err := io.ReadFull(listener, answer); err != nil || string(answer) != "+OK\r\n*3\r\n" {
		t.Fatalf("%q %v", answer, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*wait)
	defer cancel()
	tail := func(key string) *bufio.Scanner {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+n.http+"/v1/activations/stream", nil)
		check(t, err)
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(req)
		check(t, err)
		t.Cleanup(func() { resp.Body.Close() })
		lines := bufio.NewScanner(resp.Body)
		if !lines.Scan() || lines.Text() != "retry: 1000" {
			t.Fatalf("%s %q %v", resp.Status, lines.Text(), lines.Err())
		}
		return lines
	}
	ends, goesOn := tail("reader one 0123456"), tail("reader two 0123456")
	f("GET", "/v1/status", "reader one 0123456", 200)
	f("POST", "/v1/track", "web one", 200)

	write("reader two 0123456,reader three 01234", "admin two 01234567", "web one,web two", "sesame two,sesame three", nil)
	said("other keys are in force", "http.read_keys: 1 added, 1 gone; http.admin_keys: 1 added, 1 gone; http.write_keys: 1 added; resp passwords: 1 added, 1 gone")
	f("GET", "/v1/status", "reader one 0123456", 401)
	f("GET", "/v1/status", "reader two 0123456", 200)
	f("GET", "/v1/status", "reader three 01234", 200)
	f("DELETE", "/v1/profiles/user_id:eve", "admin one 01234567", 401)
	f("DELETE", "/v1/profiles/user_id:eve", "admin two 01234567", 200)
	f("POST", "/v1/track", "web two", 200)
	f("POST", "/v1/track", "admin one 01234567", 401)
	check(t, stays.Ping(t.Context()).Err())
	if err := open("sesame one").Ping(t.Context()).Err(); err == nil {
		t.Error("a password that is gone lets in")
	}
	check(t, open("sesame three").Ping(t.Context()).Err())
	check(t, listener.SetReadDeadline(time.Now().Add(wait)))
	if _, err := io.Copy(io.Discard, listener); os.IsTimeout(err) {
		t.Error("a listener whose password is gone hears on")
	}
	last := ""
	for ends.Scan() {
		last += ends.Text() + "\n"
	}
	if !strings.Contains(last, `event: gone`) || !strings.Contains(last, `"unauthorized"`) || ends.Err() != nil {
		t.Errorf("a stream whose key is gone goes on: %s %v", last, ends.Err())
	}
	f("POST", "/v1/track", "web two", 200)
	for activations := 0; activations < 3; { // with the key that stays, all of them
		if !goesOn.Scan() {
			t.Fatalf("a stream whose key is there ended after %d: %v", activations, goesOn.Err())
		}
		if strings.HasPrefix(goesOn.Text(), "data: ") {
			activations++
		}
	}

	// No file that is empty, broken or forgets a list opens a door.
	for _, text := range []string{"", "http: {read_keys: [reader two 0123456]", fmt.Sprintf("data: %s\nkafka: {embedded: {listen: '%s'}}\n", n.data, n.kafka)} {
		before := len(n.stderr.String())
		check(t, os.WriteFile(n.config, []byte(text), 0o600))
		eventually(t, wait, "it is said", func() error {
			if out := n.stderr.String()[before:]; !strings.Contains(out, "the keys stay") {
				return fmt.Errorf("%q: %s", text, out)
			}
			return nil
		})
		f("GET", "/v1/status", "reader two 0123456", 200)
		f("GET", "/v1/status", "", 401)
	}
	write("reader four 012345", "admin two 01234567", "web two", "sesame three", map[string]any{"shards": 4})
	said("settings other than keys and passwords have changed")
	eventually(t, wait, "the fourth key lets in", func() error {
		if got := let("GET", "/v1/status", "reader four 012345", ""); got != 200 {
			return fmt.Errorf("%d", got)
		}
		return nil
	})
	for _, secret := range []string{"reader t", "reader f", "admin t", "web t", "sesame"} {
		if strings.Contains(n.stderr.String(), secret) {
			t.Errorf("the log shows a key: %s", n.stderr.String())
		}
	}
}
