// Package certificate makes the TLS of a node's doors from files: certificates are read again when a file changes, because what renews them need not
// restart a node. It knows no door. What it returns is safe for concurrent use.
package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"dashi/pipeline/keyfile"
)

// Files have clients of a door use TLS. Neither file: in clear.
type Files struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// PeerFiles have nodes use TLS among each other: both sides show a certificate of the authority. No file: in clear.
type PeerFiles struct {
	CAFile     string `yaml:"ca_file"`
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
}

// Set says whether any file is named.
func (s Files) Set() bool { return s != Files{} }

// Set says whether any file is named.
func (s PeerFiles) Set() bool { return s != PeerFiles{} }

// Config is for who is dialled by clients; nil: in clear. name is that of the setting, for errors and the log.
func (s Files) Config(name string, log *slog.Logger) (*tls.Config, error) {
	if !s.Set() {
		return nil, nil
	}
	c, err := openCertificate(name, s, log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil }}, nil
}

// Configs are for the connections that are accepted and dialled; nil: in clear. Only nodes speak here, so there is no older version to mind.
func (s PeerFiles) Configs(log *slog.Logger) (server, client *tls.Config, err error) {
	if !s.Set() {
		return nil, nil, nil
	}
	c, err := openCertificate("node.tls", Files{s.CertFile, s.KeyFile}, log)
	if err != nil {
		return nil, nil, err
	}
	pem, err := keyfile.Read(s.CAFile)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read node.tls.ca_file: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("cannot use node.tls.ca_file %q: no PEM certificate in it", s.CAFile)
	}
	server = &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authorities,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil }}
	client = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: authorities, ServerName: s.ServerName,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.get(), nil }}
	return server, client, nil
}

// certificate is a pair of files that is read again when one of them has changed: what renews a certificate need not restart a node.
type certificate struct {
	name  string // of the setting
	files [2]string
	log   *slog.Logger

	mu   sync.Mutex
	seen [2]time.Time // when the files had last changed
	pair *tls.Certificate
}

func openCertificate(name string, s Files, log *slog.Logger) (*certificate, error) {
	c := &certificate{name: name, files: [2]string{s.CertFile, s.KeyFile}, log: log}
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// read needs c.mu.
func (c *certificate) read() error {
	c.seen = c.changes()
	pair, err := keyfile.ReadPair(c.files[0], c.files[1])
	if err != nil {
		return fmt.Errorf("cannot load %s.cert_file %q with key_file %q: %w", c.name, c.files[0], c.files[1], err)
	}
	c.pair = &pair
	return nil
}

func (c *certificate) changes() (at [2]time.Time) {
	for i, f := range c.files {
		if info, err := os.Stat(f); err == nil {
			at[i] = info.ModTime()
		}
	}
	return at
}

// get is the certificate for a connection that begins. Files that cannot be used, one of which may be about to follow the other, leave the one before in use.
func (c *certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes() != c.seen {
		if err := c.read(); err != nil {
			c.log.Warn("the certificate in use stays", "why", err)
		} else {
			c.log.Info("another certificate is in use", "setting", c.name, "expires", c.pair.Leaf.NotAfter)
		}
	}
	return c.pair
}
