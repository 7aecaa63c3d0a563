package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/kafka"

	"github.com/redis/go-redis/v9"
)

// authority makes certificates for 127.0.0.1.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	made int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.make("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "dashi test"}})
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// issue writes NAME.pem and NAME.key.
func (a *authority) issue(name string) (serial int64) {
	c, _ := a.make(name, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	return c.SerialNumber.Int64()
}

func (a *authority) make(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(a.t, err)
	a.made++
	c.SerialNumber, c.NotAfter = big.NewInt(a.made), time.Now().Add(time.Hour)
	by, signer := a.cert, a.key
	if by == nil {
		by, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, signer)
	check(a.t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(a.t, err)
	check(a.t, os.WriteFile(a.file(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(a.t, os.WriteFile(a.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	made, err := x509.ParseCertificate(der)
	check(a.t, err)
	return made, key
}

// Two nodes with keys and TLS at every door: who has what it takes is let in, in whatever way he comes, and nobody else is.
func TestKeysAndTLS(t *testing.T) {
	const reader, admin, writer, password = "a key to read people", "a key to do everything", "web", "open sesame"
	a := newAuthority(t)
	serial := a.issue("node")
	broker, err := kafka.OpenBroker(kafka.BrokerSettings{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	check(t, err)
	t.Cleanup(func() { check(t, broker.Close()) })
	recipe := filepath.Join(t.TempDir(), "cluster.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	files := map[string]any{"cert_file": a.file("node.pem"), "key_file": a.file("node.key")}
	var nodes [2]*node
	var peers [2]string
	join := []string{freeAddr(t), freeAddr(t)}
	for i := range nodes {
		n := newNode(t)
		peers[i] = freeAddr(t)
		n.config = filepath.Join(n.data, "dashi.yml")
		text, err := json.Marshal(map[string]any{
			"data": n.data, "recipes": []string{recipe}, "kafka": map[string]any{"brokers": []string{broker.Addr()}},
			"http": map[string]any{"listen": n.http, "read_keys": []string{reader}, "admin_keys": []string{"${TEST_ADMIN}"}, "write_keys": []string{writer}, "tls": files, "debug": true},
			"resp": map[string]any{"listen": n.resp, "password": password, "passwords": []string{"the one before"}, "tls": files},
			"node": map[string]any{"id": fmt.Sprint("n", i+1), "listen": peers[i],
				"tls": map[string]any{"cert_file": a.file("node.pem"), "key_file": a.file("node.key"), "ca_file": a.file("ca.pem")}},
			"gossip": map[string]any{"listen": join[i], "join": join, "expect": len(nodes), "keys": []string{"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}},
		})
		check(t, err)
		check(t, os.WriteFile(n.config, text, 0o600))
		n.env = append(n.env, "DASHI_ADDR=https://"+n.http, "TEST_ADMIN="+admin, "SSL_CERT_FILE="+a.file("ca.pem"))
		n.launch()
		t.Cleanup(n.kill)
		nodes[i] = n
	}
	n := nodes[0]
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	trust := &tls.Config{RootCAs: pool}
	var shown int64 // serial number
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}}
	try := func(method, path, key, body string) (int, string, error) {
		req, err := http.NewRequest(method, "https://"+n.http+path, strings.NewReader(body))
		if err != nil {
			return 0, "", err
		}
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		shown = resp.TLS.PeerCertificates[0].SerialNumber.Int64()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), err
	}
	eventually(t, startWait, "both nodes together", func() error {
		status, body, err := try("GET", "/readyz", "", "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s %s", status, body, n.stderr.String())
		}
		return err
	})
	f := func(method, path, key, body string, want int) {
		t.Helper()
		if status, answer, err := try(method, path, key, body); err != nil || status != want {
			t.Errorf("%s %s with %q: %d, want %d: %.300s %v", method, path, key, status, want, answer, err)
		}
	}
	f("POST", "/v1/track", "", `{"writeKey":"web","userId":"ada","event":"Visit"}`, 200)
	f("POST", "/v1/track", "", `{"userId":"ada","event":"Visit"}`, 401)
	f("POST", "/v1/track", reader, `{"userId":"ada","event":"Visit"}`, 401)
	f("POST", "/v1/track", admin, `{"userId":"ada","event":"Visit"}`, 200)
	for _, path := range []string{"/", "/console/main.js", "/metrics", "/v1/", "/v1/status", "/v1/audiences", "/v1/cookbook"} {
		f("GET", path, "", "", 401)
		f("GET", path, writer, "", 401)
		f("GET", path, reader, "", 200)
		f("GET", path, admin, "", 200)
	}
	f("GET", "/debug/pprof/", "", "", 401)
	f("GET", "/debug/pprof/", reader, "", 403)
	f("GET", "/debug/pprof/", admin, "", 200)
	f("GET", "/v1/activations/stream", "", "", 401)
	f("DELETE", "/v1/nodes/n2", "", "", 401)
	f("DELETE", "/v1/profiles/user_id:ada", reader, "", 403)
	f("POST", "/v1/query", reader, `{"where":"visits > 0"}`, 200)

	has(t, "ready, for which nobody needs a key", n.must("status", "--ready"), "ready\n")
	if out := n.must("status", "--wait-idle", "--key", admin); !strings.Contains(out, "n2") {
		t.Errorf("status: %s", out)
	}
	has(t, "get", n.must("get", "user_id:ada", "--key", reader), "user_id:ada", "2")
	refused := func(what string, r result, pieces ...string) {
		t.Helper()
		if r.code == 0 {
			t.Errorf("%s was let in: %s", what, r.stdout)
		}
		has(t, what, r.stderr, pieces...)
	}
	refused("get without a key", n.cli("get", "user_id:ada"), "the key is missing or not known", "DASHI_KEY")
	refused("erase with the key of a reader", command(t, append(n.env, "DASHI_KEY="+reader), "erase", "user_id:ada", "--yes"), "needs one of http.admin_keys")
	refused("http for https", n.cli("get", "user_id:ada", "--addr", "http://"+n.http), "wants HTTPS", "--addr https://")
	refused("an authority that nobody knows", command(t, append(n.env, "SSL_CERT_FILE=/dev/null"), "get", "user_id:ada"), "SSL_CERT_FILE")
	has(t, "top", command(t, append(n.env, "DASHI_KEY="+reader), "top", "--once", "-o", "json").stdout, `"n2"`)
	if help := command(t, append(n.env, "DASHI_KEY="+reader), "get", "--help").stdout; strings.Contains(help, reader) || !strings.Contains(help, "DASHI_KEY") {
		t.Errorf("help: %s", help)
	}
	for _, p := range []string{password, "the one before", "wrong", ""} {
		c := redis.NewClient(&redis.Options{Addr: n.resp, Password: p, TLSConfig: trust, MaxRetries: -1})
		visits, err := c.HGet(t.Context(), "user_id:ada", "visits").Result()
		if let := err == nil && visits == "2"; let != (p == password || p == "the one before") {
			t.Errorf("redis with password %q: %q %v", p, visits, err)
		}
		check(t, c.Close())
	}
	// Who has no certificate is no node.
	c, err := tls.Dial("tcp", peers[0], trust)
	check(t, err)
	if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("the port of nodes: %v", err)
	}
	check(t, c.Close())
	// A renewed certificate is shown to whoever comes next.
	if shown != serial {
		t.Errorf("certificate %d, want %d", shown, serial)
	}
	next := a.issue("node")
	f("GET", "/healthz", "", "", 200)
	if shown != next {
		t.Errorf("certificate %d, want %d: %s", shown, next, n.stderr.String())
	}
	for _, n := range nodes {
		if code := n.end(os.Interrupt); code != 0 {
			t.Errorf("code %d: %s", code, n.stderr.String())
		}
	}
}
