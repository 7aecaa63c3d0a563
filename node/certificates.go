package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"dashi/pipeline/keyfile"
)

// CertificateSettings have clients of a door use TLS. Neither file: in clear.
type CertificateSettings struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// PeerTLSSettings have nodes use TLS among each other: both sides show a certificate of the authority. No file: in clear.
type PeerTLSSettings struct {
	CAFile     string `yaml:"ca_file"`
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
}

func (s CertificateSettings) set() bool { return s != CertificateSettings{} }

func (s PeerTLSSettings) set() bool { return s != PeerTLSSettings{} }

// checkTLS says what is wrong with the settings of TLS, without a look at the files.
func (s *Settings) checkTLS() (errs []error) {
	for _, d := range []struct {
		name string
		CertificateSettings
	}{{"http.tls", s.HTTP.TLS}, {"resp.tls", s.RESP.TLS}, {"node.tls", CertificateSettings{s.Node.TLS.CertFile, s.Node.TLS.KeyFile}}} {
		if (d.CertFile == "") != (d.KeyFile == "") {
			errs = append(errs, fmt.Errorf("%s: set both cert_file and key_file, or none", d.name))
		}
	}
	if p := s.Node.TLS; p.set() && (p.CAFile == "" || p.CertFile == "") {
		errs = append(errs, errors.New("node.tls: set ca_file, cert_file and key_file: nodes show each other certificates of that authority"))
	}
	return errs
}

// checkCertificates reads what the settings of TLS name.
func (s *Settings) checkCertificates() error {
	log := slog.New(slog.DiscardHandler)
	_, http := s.HTTP.TLS.config("http.tls", log)
	_, resp := s.RESP.TLS.config("resp.tls", log)
	_, _, node := s.Node.TLS.configs(log)
	return errors.Join(http, resp, node)
}

// config is for who is dialled by clients; nil: in clear.
func (s CertificateSettings) config(name string, log *slog.Logger) (*tls.Config, error) {
	if !s.set() {
		return nil, nil
	}
	c, err := openCertificate(name, s, log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil }}, nil
}

// configs are for the connections that are accepted and dialled; nil: in clear. Only nodes speak here, so there is no older version to mind.
func (s PeerTLSSettings) configs(log *slog.Logger) (server, client *tls.Config, err error) {
	if !s.set() {
		return nil, nil, nil
	}
	c, err := openCertificate("node.tls", CertificateSettings{s.CertFile, s.KeyFile}, log)
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

func openCertificate(name string, s CertificateSettings, log *slog.Logger) (*certificate, error) {
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

// minKey is how long a key must be: nothing slows down who guesses.
const minKey = 16

// checkKeys says which keys of the doors would let in whom they should not.
func (s *Settings) checkKeys() (errs []error) {
	for name, keys := range map[string][]string{"http.read_keys": s.HTTP.ReadKeys, "http.admin_keys": s.HTTP.AdminKeys} {
		for i, k := range keys {
			if len(k) < minKey {
				errs = append(errs, fmt.Errorf("%s[%d]: shorter than %d bytes: make one with: openssl rand -hex 32", name, i, minKey))
			}
		}
	}
	for name, keys := range map[string][]string{"http.write_keys": s.HTTP.WriteKeys, "resp.passwords": s.RESP.Passwords} {
		for i, k := range keys {
			if k == "" {
				errs = append(errs, fmt.Errorf("%s[%d]: it is empty, and would let everybody in", name, i))
			}
		}
	}
	return errs
}

// unlocked says what others than this machine can do here without a key.
func (s *Settings) unlocked() (notes []string) {
	beyond := func(addr string) bool {
		host, _, err := net.SplitHostPort(addr)
		ip := net.ParseIP(host)
		return err == nil && host != "localhost" && (ip == nil || !ip.IsLoopback())
	}
	if beyond(s.HTTP.Listen) && len(s.HTTP.ReadKeys)+len(s.HTTP.AdminKeys) == 0 {
		notes = append(notes, "http has no admin_keys: whoever reaches "+s.HTTP.Listen+" may read and erase everybody, and change the recipes")
	}
	if beyond(s.RESP.Listen) && s.RESP.Password == "" && len(s.RESP.Passwords) == 0 {
		notes = append(notes, "resp has no password: whoever reaches "+s.RESP.Listen+" may read everybody")
	}
	if s.Node.Listen != "" && beyond(s.Node.Listen) && !s.Node.TLS.set() {
		notes = append(notes, "node.tls is not set: whoever reaches "+s.Node.Listen+" may act as a node")
	}
	if s.Gossip.Listen != "" && beyond(s.Gossip.Listen) && len(s.Gossip.Keys) == 0 {
		notes = append(notes, "gossip.keys is empty: whoever reaches "+s.Gossip.Listen+" may act as a node")
	}
	return notes
}
