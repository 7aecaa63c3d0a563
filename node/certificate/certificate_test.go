package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write makes a certificate of that serial number, signed by itself, and dates its files.
func write(t *testing.T, f Files, serial int64, at time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{f.CertFile: {Type: "CERTIFICATE", Bytes: der}, f.KeyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// A renewed pair is used for the next connection. One that cannot be used leaves the pair before in use.
func TestRenewed(t *testing.T) {
	dir, at := t.TempDir(), time.Now().Add(-time.Hour)
	f := Files{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	write(t, f, 1, at)
	config, err := f.Config("http.tls", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serves := func(serial int64) {
		t.Helper()
		pair, err := config.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := pair.Leaf.SerialNumber.Int64(); got != serial {
			t.Errorf("serves certificate %d, want %d", got, serial)
		}
	}
	serves(1)
	write(t, f, 2, at.Add(time.Second))
	serves(2)
	if err := os.WriteFile(f.KeyFile, []byte("half of a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	serves(2)
	write(t, f, 3, at.Add(2*time.Second))
	serves(3)
}

// Without files there is no TLS; an error names the setting.
func TestFilesAreNamed(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	if c, err := (Files{}).Config("http.tls", log); c != nil || err != nil {
		t.Error(c, err)
	}
	if server, client, err := (PeerFiles{}).Configs(log); server != nil || client != nil || err != nil {
		t.Error(server, client, err)
	}
	if _, err := (Files{CertFile: "none.pem", KeyFile: "none.key"}).Config("resp.tls", log); err == nil || !strings.Contains(err.Error(), `resp.tls.cert_file "none.pem"`) {
		t.Error(err)
	}
	dir := t.TempDir()
	f := Files{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	write(t, f, 1, time.Now())
	if _, _, err := (PeerFiles{CAFile: f.KeyFile, CertFile: f.CertFile, KeyFile: f.KeyFile}).Configs(log); err == nil || !strings.Contains(err.Error(), "no PEM certificate") {
		t.Error(err)
	}
	server, client, err := (PeerFiles{CAFile: f.CertFile, CertFile: f.CertFile, KeyFile: f.KeyFile, ServerName: "nodes"}).Configs(log)
	if err != nil || server.ClientCAs == nil || client.RootCAs == nil || client.ServerName != "nodes" {
		t.Error(server, client, err)
	}
}
