package meta

import (
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Directory is the state machine. The zero value is an empty one.
type Directory struct{ state *State }

// Result answers an entry.
type Result struct {
	Epoch    uint64     // after the entry
	Rejected *Rejection // nil: accepted
}

// State is the present state.
func (d *Directory) State() *State {
	if d.state == nil {
		return &State{}
	}
	return d.state
}

// Apply applies one entry, which is not kept.
func (d *Directory) Apply(entry []byte) Result {
	s := d.State()
	r := &reader{src: entry}
	kind, epoch, now := r.byte(), r.u64(), int64(r.u64())
	c := readCommand(kind, r)
	switch {
	case c == nil || r.bad || len(r.src) > 0:
		return Result{s.Epoch, reject(Malformed, "%d bytes of kind %d are no command", len(entry), kind)}
	case epoch != s.Epoch:
		return Result{s.Epoch, reject(Stale, "it expects epoch %d, the directory is at %d", epoch, s.Epoch)}
	}
	if _, founding := c.(*Found); founding != (s.Cluster == "") {
		if founding {
			return Result{s.Epoch, reject(Founded, "the cluster is %s", s.Cluster)}
		}
		return Result{s.Epoch, reject(Unfounded, "the cluster has not been founded")}
	}
	next := *s
	next.Epoch++
	if rejected := c.apply(&next, now); rejected != nil {
		return Result{s.Epoch, rejected}
	}
	d.state = &next
	return Result{Epoch: next.Epoch}
}

const (
	magic   = "DASHIMETA"
	version = 3
)

// Snapshot is the state as bytes.
func (d *Directory) Snapshot() []byte {
	s := d.State()
	body := appendU64(nil, s.Epoch)
	body = appendU64(body, s.Placed)
	body = appendText(body, s.Cluster)
	body = appendSettings(body, &s.Settings)
	body = appendAll(body, s.Members, appendMember)
	body = appendAll(body, s.Shards, appendShard)
	body = appendAll(body, s.Moves, appendMove)
	body = appendAll(body, s.Cookbooks, appendCookbook)
	body = appendUint(body, s.Switched)
	body = appendText(appendUint(body, s.Refused.Version), s.Refused.Reason)
	body = s.appendRecovery(body)
	dst := append([]byte(magic), version)
	dst = appendU64(dst, xxhash.Sum64(body))
	return append(dst, body...)
}

// Restore replaces the state by what Snapshot wrote. After an error the state is as it was.
func (d *Directory) Restore(src []byte) error {
	const head = len(magic) + 1 + 8
	if len(src) < head || string(src[:len(magic)]) != magic {
		return errors.New("cannot restore the directory: this is no snapshot of one")
	}
	v := src[len(magic)]
	if v != version && v != 2 { // 2 knew no recovery
		return fmt.Errorf("cannot restore the directory: the snapshot has version %d, this program knows %d", v, version)
	}
	r := &reader{src: src[len(magic)+1:]}
	if sum := r.u64(); sum != xxhash.Sum64(r.src) {
		return errors.New("cannot restore the directory: the snapshot is damaged")
	}
	s := &State{
		Epoch: r.u64(), Placed: r.u64(), Cluster: r.text(), Settings: readSettings(r),
		Members:   readAll(r, MaxMembers, readMember),
		Shards:    readAll(r, MaxShards, readShard),
		Moves:     readAll(r, MaxShards, readMove),
		Cookbooks: readAll(r, KeepCookbooks, readCookbook),
		Switched:  r.uint(1 << 62),
		Refused:   Refusal{Version: r.uint(1 << 62), Reason: r.text()},
	}
	if v >= 3 {
		s.readRecovery(r)
	}
	if r.bad || len(r.src) > 0 {
		return errors.New("cannot restore the directory: the snapshot does not end where it should")
	}
	d.state = s
	return nil
}
