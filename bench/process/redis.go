package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"time"
)

// ErrMissing is wrapped when a program that a benchmark needs is not installed.
var ErrMissing = errors.New("not installed")

// Find looks for a program.
func Find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is %w", name, ErrMissing)
	}
	return path, nil
}

// Redis is a running redis-server.
type Redis struct {
	*Child
	Addr string
}

// StartRedis starts redis-server with its defaults, but without a file on disk, and returns when it listens.
func StartRedis(ctx context.Context, dir string) (*Redis, error) {
	path, err := Find("redis-server")
	if err != nil {
		return nil, err
	}
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	c, err := Start(ctx, path, "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = c.until(ctx, "does not listen", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	if err != nil {
		c.Stop() // err says more
		return nil, err
	}
	return &Redis{Child: c, Addr: addr}, nil
}
