package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"dashi/shard/wal/vfs"

	"github.com/hashicorp/raft"
)

const (
	// maxSpooling is how many snapshots a node receives at a time; who sends more is rejected, and tries again.
	maxSpooling = 2
	// snapshotPart is the size of a frame of a snapshot.
	snapshotPart = 256 << 10
	// snapshotSilence ends a transfer on which nothing comes.
	snapshotSilence = 30 * time.Second
	// installTimeout is for the peer to restore a state of gigabytes.
	installTimeout = 10 * time.Minute
)

// sendSnapshot streams a snapshot to a peer and waits until it is installed there.
func (g *Group) sendSnapshot(to string, r *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	c, err := g.t.dial(g.ctx, to, classSnapshot)
	if err != nil {
		return err
	}
	defer c.close(io.EOF)
	stop := context.AfterFunc(g.ctx, func() { c.close(ErrClosed) })
	defer stop()
	h := header{kind: kindSnapshot, group: g.id}
	if err := c.w.send(h, urgent, func(dst []byte) []byte { return appendRequest(dst, r) }); err != nil {
		return err
	}
	part := make([]byte, snapshotPart)
	for end := false; !end; {
		n, err := io.ReadFull(data, part)
		if end = err == io.EOF || err == io.ErrUnexpectedEOF; err != nil && !end {
			return fmt.Errorf("cannot read snapshot of group %d: %w", g.id, err)
		}
		if err := g.t.sending.take(g.ctx, n); err != nil {
			return err
		}
		h.kind = kindSnapshotData
		if err := c.w.send(h, urgent, func(dst []byte) []byte { return append(dst, part[:n]...) }); err != nil {
			return err
		}
		g.t.stats.snapshotBytes.Add(uint64(n))
	}
	h.kind = kindSnapshotEnd
	if err := c.w.send(h, urgent, nil); err != nil {
		return err
	}
	_ = c.SetReadDeadline(time.Now().Add(installTimeout))
	h, body, err := readFrame(c.r, maxHello)
	if err != nil {
		return fmt.Errorf("%s does not say whether it has installed a snapshot: %w", to, err)
	}
	return result{h: h, body: body}.decode(resp, to)
}

// serveSnapshot takes one snapshot. It is spooled to disk first: Raft's goroutine reads it to the end before it does anything else for the group.
func (t *Transport) serveSnapshot(c *conn) error {
	_ = c.SetReadDeadline(time.Now().Add(snapshotSilence))
	h, body, err := readFrame(c.r, maxFrame)
	if err != nil {
		return err
	}
	if h.kind != kindSnapshot {
		return fmt.Errorf("frame of kind %d instead of a snapshot: %w", h.kind, errFrame)
	}
	reply := header{kind: kindSnapshotReply, group: h.group}
	response, err := t.receiveSnapshot(c, h.group, body)
	if err != nil {
		reply.flags = flagError
		t.stats.rejected.Add(1)
		return c.w.send(reply, urgent, func(dst []byte) []byte { return append(dst, err.Error()...) })
	}
	return c.w.send(reply, urgent, func(dst []byte) []byte { return appendResponse(dst, response) })
}

func (t *Transport) receiveSnapshot(c *conn, group uint32, body []byte) (any, error) {
	request, err := decodeSnapshotRequest(body, c.peer)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	g := t.groups[group]
	t.mu.Unlock()
	if g == nil {
		return nil, ErrNoGroup
	}
	select {
	case t.spooling <- struct{}{}:
		defer func() { <-t.spooling }()
	default:
		return nil, fmt.Errorf("this node receives %d snapshots already: %w", maxSpooling, ErrBusy)
	}
	name := filepath.Join(t.s.SpoolDir, fmt.Sprintf("%d-%d%s", group, t.spooled.Add(1), spoolSuffix))
	file, err := t.spool(c, name, request.Size)
	if err != nil {
		return nil, err
	}
	defer func() {
		file.Close()
		_ = t.s.FS.Remove(name) // else cleanSpool does
	}()
	return g.install(request, &sectionReader{file: file, size: request.Size})
}

// spool receives the data into a file.
func (t *Transport) spool(c *conn, name string, size int64) (vfs.File, error) {
	if err := t.s.FS.MakeDir(t.s.SpoolDir); err != nil {
		return nil, fmt.Errorf("cannot make directory %q: %w", t.s.SpoolDir, err)
	}
	file, err := t.s.FS.Create(name)
	if err != nil {
		return nil, fmt.Errorf("cannot create %q: %w", name, err)
	}
	if err := spoolTo(file, c, size); err != nil {
		file.Close()
		_ = t.s.FS.Remove(name) // else cleanSpool does
		return nil, fmt.Errorf("cannot receive snapshot: %w", err)
	}
	return file, nil
}

func spoolTo(file vfs.File, c *conn, size int64) error {
	for at := int64(0); ; {
		_ = c.SetReadDeadline(time.Now().Add(snapshotSilence))
		h, body, err := readFrame(c.r, snapshotPart)
		if err != nil {
			return err
		}
		switch {
		case h.kind == kindSnapshotEnd && at == size:
			return nil
		case h.kind != kindSnapshotData || at+int64(len(body)) > size:
			return fmt.Errorf("frame of kind %d at %d of %d bytes: %w", h.kind, at, size, errFrame)
		}
		if _, err := file.WriteAt(body, at); err != nil {
			return err
		}
		at += int64(len(body))
	}
}

// install has Raft take a spooled snapshot.
func (g *Group) install(request *raft.InstallSnapshotRequest, data io.Reader) (any, error) {
	answer := make(chan raft.RPCResponse, 1)
	select {
	case g.rpc <- raft.RPC{Command: request, Reader: data, RespChan: answer}:
	default:
		return nil, ErrBusy
	}
	select {
	case r := <-answer:
		return r.Response, r.Error
	case <-g.ctx.Done():
		return nil, ErrClosed
	}
}

const spoolSuffix = ".spool"

// cleanSpool deletes what a crash has left.
func (t *Transport) cleanSpool() error {
	if t.s.SpoolDir == "" {
		return errors.New("cannot open transport without a directory for snapshots of peers")
	}
	names, err := t.s.FS.List(t.s.SpoolDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if filepath.Ext(name) == spoolSuffix && err == nil {
			err = t.s.FS.Remove(filepath.Join(t.s.SpoolDir, name))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot clean %q: %w", t.s.SpoolDir, err)
	}
	return nil
}

// sectionReader reads a file from the beginning.
type sectionReader struct {
	file     vfs.File
	at, size int64
}

func (r *sectionReader) Read(p []byte) (int, error) {
	if r.at == r.size {
		return 0, io.EOF
	}
	n, err := r.file.ReadAt(p[:min(int64(len(p)), r.size-r.at)], r.at)
	r.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

// bucket spreads bytes over time, for all snapshots that this node sends.
type bucket struct {
	rate int64
	mu   sync.Mutex
	free time.Time // when the next bytes may go
}

func (b *bucket) take(ctx context.Context, n int) error {
	b.mu.Lock()
	now := time.Now()
	if b.free.Before(now) {
		b.free = now
	}
	wait := b.free.Sub(now)
	b.free = b.free.Add(time.Duration(int64(n) * int64(time.Second) / b.rate))
	b.mu.Unlock()
	if wait < time.Millisecond {
		return ctx.Err()
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
