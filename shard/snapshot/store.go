package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"dashi/shard/wal/vfs"
)

// ErrCorrupt says that a snapshot cannot be read, or cannot be trusted.
var ErrCorrupt = errors.New("snapshot is corrupt")

// Keep is the number of snapshots kept of each group: should the newest be unreadable, the one before it and the
// log since then give the same state.
const Keep = 2

const (
	suffix    = ".snap"
	tmpSuffix = ".tmp"
)

// Store is a directory of snapshots.
type Store struct {
	fs  vfs.FS
	dir string
}

// Info names a snapshot: the state after the entry with this index and term.
type Info struct {
	Group       uint32
	Term, Index uint64
}

// New uses dir, which it makes if need be.
func New(fsys vfs.FS, dir string) (*Store, error) {
	if err := fsys.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("cannot make directory %q: %w", dir, err)
	}
	return &Store{fsys, dir}, nil
}

func (s *Store) groupDir(group uint32) string {
	return filepath.Join(s.dir, strconv.FormatUint(uint64(group), 10))
}

func (s *Store) path(i Info) string {
	return filepath.Join(s.groupDir(i.Group), fmt.Sprintf("%d-%d%s", i.Term, i.Index, suffix))
}

func parseName(group uint32, name string) (Info, bool) {
	base, ok := strings.CutSuffix(name, suffix)
	a, b, ok2 := strings.Cut(base, "-")
	term, err1 := strconv.ParseUint(a, 10, 64)
	index, err2 := strconv.ParseUint(b, 10, 64)
	return Info{group, term, index}, ok && ok2 && err1 == nil && err2 == nil
}

// List names the snapshots of a group, newest first. Whether they are readable is seen when they are read.
func (s *Store) List(group uint32) ([]Info, error) {
	infos, _, err := s.list(group)
	return infos, err
}

func (s *Store) list(group uint32) (infos []Info, tmp []string, err error) {
	names, err := s.fs.List(s.groupDir(group))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot list snapshots of group %d: %w", group, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, tmpSuffix) {
			tmp = append(tmp, filepath.Join(s.groupDir(group), name))
		} else if i, ok := parseName(group, name); ok {
			infos = append(infos, i)
		}
	}
	slices.SortFunc(infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(b.Index, a.Index), cmp.Compare(b.Term, a.Term))
	})
	return infos, tmp, nil
}

// Remove deletes a snapshot.
func (s *Store) Remove(info Info) error {
	err := s.fs.Remove(s.path(info))
	if err == nil {
		err = s.fs.SyncDir(s.groupDir(info.Group))
	}
	if err != nil {
		return fmt.Errorf("cannot delete snapshot %q: %w", s.path(info), err)
	}
	return nil
}

// Drop deletes all snapshots of a group, the oldest first, so that what a crash leaves is the newest.
func (s *Store) Drop(group uint32) error {
	infos, _, err := s.list(group)
	for _, i := range slices.Backward(infos) {
		if err == nil {
			err = s.Remove(i)
		}
	}
	if err != nil {
		return err
	}
	return s.Clean(group)
}

// Clean deletes what a crash left half written. It must not run while the group's snapshot is being written.
func (s *Store) Clean(group uint32) error {
	_, tmp, err := s.list(group)
	for _, name := range tmp {
		if err == nil {
			err = s.fs.Remove(name)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot clean up snapshots of group %d: %w", group, err)
	}
	return nil
}

// prune deletes all but the newest Keep.
func (s *Store) prune(group uint32) error {
	infos, _, err := s.list(group)
	if err != nil || len(infos) <= Keep {
		return err
	}
	for _, i := range infos[Keep:] {
		if err := s.fs.Remove(s.path(i)); err != nil {
			return fmt.Errorf("cannot delete snapshot %q: %w", s.path(i), err)
		}
	}
	return s.fs.SyncDir(s.groupDir(group))
}
