package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"net"

	"dashi/node/certificate"
)

// checkTLS says what is wrong with the settings of TLS, without a look at the files.
func (s *Settings) checkTLS() (errs []error) {
	for _, d := range []struct {
		name string
		certificate.Files
	}{{"http.tls", s.HTTP.TLS}, {"resp.tls", s.RESP.TLS}, {"node.tls", certificate.Files{CertFile: s.Node.TLS.CertFile, KeyFile: s.Node.TLS.KeyFile}}} {
		if (d.CertFile == "") != (d.KeyFile == "") {
			errs = append(errs, fmt.Errorf("%s: set both cert_file and key_file, or none", d.name))
		}
	}
	if p := s.Node.TLS; p.Set() && (p.CAFile == "" || p.CertFile == "") {
		errs = append(errs, errors.New("node.tls: set ca_file, cert_file and key_file: nodes show each other certificates of that authority"))
	}
	return errs
}

// checkCertificates reads what the settings of TLS name.
func (s *Settings) checkCertificates() error {
	log := slog.New(slog.DiscardHandler)
	_, http := s.HTTP.TLS.Config("http.tls", log)
	_, resp := s.RESP.TLS.Config("resp.tls", log)
	_, _, node := s.Node.TLS.Configs(log)
	return errors.Join(http, resp, node)
}

// minKey is how long a key must be: nothing slows down who guesses.
const minKey = 16

// checkKeys says which keys of the doors would let in whom they should not.
func (s *Settings) checkKeys() (errs []error) {
	for _, keys := range []entry[[]string]{{"http.read_keys", s.HTTP.ReadKeys}, {"http.admin_keys", s.HTTP.AdminKeys}} {
		for i, k := range keys.value {
			if len(k) < minKey {
				errs = append(errs, fmt.Errorf("%s[%d]: shorter than %d bytes: make one with: openssl rand -hex 32", keys.name, i, minKey))
			}
		}
	}
	for _, keys := range []entry[[]string]{{"http.write_keys", s.HTTP.WriteKeys}, {"resp.passwords", s.RESP.Passwords}} {
		for i, k := range keys.value {
			if k == "" {
				errs = append(errs, fmt.Errorf("%s[%d]: it is empty, and would let everybody in", keys.name, i))
			}
		}
	}
	return errs
}

// Unlocked says what others than this machine can do here without a key.
func (s *Settings) Unlocked() (notes []string) {
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
	if s.Node.Listen != "" && beyond(s.Node.Listen) && !s.Node.TLS.Set() {
		notes = append(notes, "node.tls is not set: whoever reaches "+s.Node.Listen+" may act as a node")
	}
	if s.Gossip.Listen != "" && beyond(s.Gossip.Listen) && len(s.Gossip.Keys) == 0 {
		notes = append(notes, "gossip.keys is empty: whoever reaches "+s.Gossip.Listen+" may act as a node")
	}
	return notes
}
