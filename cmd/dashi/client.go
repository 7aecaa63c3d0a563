package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// client asks a running node over HTTP.
type client struct {
	addr   string
	key    string // that the node wants; empty: none
	format string // "" for people, "json"
	out    io.Writer

	patience time.Duration // 0: patience
}

// addClientFlags gives a command --addr and -o, and returns what they fill.
func addClientFlags(c *cobra.Command) *client {
	cl := &client{}
	addr := os.Getenv("DASHI_ADDR")
	if addr == "" {
		addr = "http://" + defaultHTTP
	}
	c.GroupID = "ask"
	c.Flags().StringVar(&cl.addr, "addr", addr, "HTTP address of a node, http:// or https://; DASHI_ADDR names another")
	c.Flags().StringVar(&cl.key, "key", "", "key of the node, if it wants one (http.read_keys, http.admin_keys); DASHI_KEY names it where others do not see it")
	c.Flags().StringVarP(&cl.format, "output", "o", "", "json for JSON, otherwise text for people")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		cl.out = c.OutOrStdout()
		if err := checkOutput(cl.format); err != nil {
			return err
		}
		given := cl.addr
		if !strings.Contains(cl.addr, "://") {
			cl.addr = "http://" + cl.addr
		}
		cl.addr = strings.TrimRight(cl.addr, "/")
		if u, err := url.Parse(cl.addr); err == nil && u.Host == "" {
			return fmt.Errorf("--addr %q names no node: write host:port or a URL, such as %s", given, defaultHTTP)
		}
		if cl.key == "" { // no default of the flag, which --help would show
			cl.key = os.Getenv("DASHI_KEY")
		}
		return nil
	}
	return cl
}

// checkOutput returns an error unless there is such an output format.
func checkOutput(format string) error {
	if format != "" && format != "json" && format != "text" {
		return fmt.Errorf("unknown output format %q: json or text", format)
	}
	return nil
}

func (c *client) json() bool { return c.format == "json" }

// apiError is what a node answers when it cannot do what was asked.
type apiError struct {
	Status int
	Err    struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint"`
	} `json:"error"`
}

func (e *apiError) Error() string {
	if e.Err.Message == "" {
		return fmt.Sprintf("the node answered %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Err.Hint != "" {
		return e.Err.Message + " (" + asCommand.Replace(e.Err.Hint) + ")"
	}
	return e.Err.Message
}

// asCommand replaces a path of the HTTP interface, in a hint of the node, by the command that asks for it.
var asCommand = strings.NewReplacer(
	"GET /v1/audiences/NAME/members", "dashi members NAME",
	"GET /v1/audiences", "dashi audiences",
	"GET /v1/activations", "dashi activations",
	"GET /v1/cookbook shows the namespaces", "dashi cookbook --text shows the namespaces",
	"GET /v1/cookbook", "dashi cookbook",
	"GET /v1/status", "dashi status",
	"GET /v1/profiles/NS:VALUE", "dashi get NS:VALUE")

// withHint gives an error with that code another hint: the node's speaks of query parameters, and a command has flags.
func withHint(err error, code, hint string) error {
	var e *apiError
	if errors.As(err, &e) && e.Err.Code == code {
		e.Err.Hint = hint
	}
	return err
}

// open sends a request and returns the body of the answer; an answer that is not 2xx is an error.
func (c *client) open(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.addr+path, in)
	if err != nil {
		return nil, fmt.Errorf("cannot ask node %q: %w", c.addr, err)
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		e := &apiError{Status: resp.StatusCode}
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		if json.Unmarshal(b, e) != nil && bytes.Contains(b, []byte("HTTP request to an HTTPS server")) {
			e.Err.Message, e.Err.Hint = "the node at "+c.addr+" wants HTTPS", "name it with --addr https://.. or DASHI_ADDR"
		}
		return nil, e
	}
	return resp.Body, nil
}

// unreachable says why a request had no answer.
func (c *client) unreachable(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("cannot reach a node at %s: %w (is one running? name another with --addr or DASHI_ADDR)", c.addr, op.Err)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("cannot ask node %s: %w", c.addr, err)
	}
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
		return fmt.Errorf("cannot ask node %s: %w (SSL_CERT_FILE names a file with its authority)", c.addr, unknown)
	}
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err // without method and URL: the message has the address
	}
	return fmt.Errorf("cannot ask node %s: %w (is this the HTTP address of a node? Kafka and RESP have others)", c.addr, err)
}

// call sends a request and decodes the answer. With -o json it prints the answer as it is and leaves into alone: printed is true.
func (c *client) call(ctx context.Context, method, path string, body, into any) (printed bool, err error) {
	rc, err := c.open(ctx, method, path, body)
	if err != nil {
		return false, err
	}
	defer rc.Close()
	if c.json() {
		_, err := io.Copy(c.out, rc)
		fmt.Fprintln(c.out)
		return true, err
	}
	if err := json.NewDecoder(rc).Decode(into); err != nil {
		return false, fmt.Errorf("cannot read the answer of %s: %w", c.addr, err)
	}
	return false, nil
}
