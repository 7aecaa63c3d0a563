package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"dashi/shard/wal/vfs"
)

// Cleanness says whether a directory may have lost what was written to the page cache only.
type Cleanness uint8

// What Opened may say.
const (
	Clean Cleanness = iota // nothing acknowledged is missing
	Dirty                  // acknowledged and unsynced records may be missing
)

// String is "clean" or "dirty".
func (c Cleanness) String() string {
	if c == Dirty {
		return "dirty"
	}
	return "clean"
}

const markName = "opened"

// Mark is the note in a directory of who has it open.
type Mark struct {
	fs     vfs.FS
	dir    string
	bootID string
	// Clean is what the note said of the time before. Reason says it in words.
	Clean  Cleanness
	Reason string
	// Restarted says that it is dirty for no other reason than that the machine has restarted: what was synced is there.
	Restarted bool
}

// Opened reads the note that the last user of dir left and replaces it: dir is open now, in this boot of the
// machine. What is found dirty is noted to be so, and found dirty again until Acted is called. fresh says that dir holds no data yet. bootID is BootID() but for tests; empty, when the system has
// none, is never equal to another.
//
// The page cache outlives a process and dies with the boot. So records are missing only if the boot is another and
// the last user did not write Closed.
func Opened(fsys vfs.FS, dir, bootID string, fresh bool) (*Mark, error) {
	if err := fsys.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("cannot make directory %q: %w", dir, err)
	}
	m := &Mark{fs: fsys, dir: dir, bootID: bootID}
	state, boot, err := readMark(fsys, filepath.Join(dir, markName))
	switch {
	case errors.Is(err, fs.ErrNotExist) && fresh:
		m.Reason = "new directory"
	case errors.Is(err, fs.ErrNotExist):
		m.Clean, m.Reason = Dirty, "the note of who had it open is missing"
	case errors.Is(err, errMark):
		m.Clean, m.Reason = Dirty, "the note of who had it open is unreadable"
	case err != nil:
		return nil, fmt.Errorf("cannot read mark in %q: %w", dir, err)
	case fresh:
		m.Clean, m.Reason = Dirty, "there was data, and it is missing"
	case state == "dirty":
		m.Clean, m.Reason = Dirty, "it was found dirty before, and nothing has come of that"
	case state == "restarted":
		m.Clean, m.Restarted, m.Reason = Dirty, true, "the machine had restarted and the directory was not closed in order, and nothing has come of that"
	case state == "closed":
		m.Reason = "closed in order"
	case boot == bootID && bootID != "":
		m.Reason = "not closed in order, but the machine has not restarted since"
	default:
		m.Clean, m.Restarted, m.Reason = Dirty, true, "the machine has restarted and the directory was not closed in order"
	}
	note := "open"
	if m.Restarted {
		note = "restarted"
	} else if m.Clean == Dirty {
		note = "dirty"
	}
	if err := m.write(note); err != nil {
		return nil, err
	}
	return m, nil
}

// Acted notes that whoever has the directory open has done what it takes for it to be dirty.
func (m *Mark) Acted() error { return m.write("open") }

// Closed notes that everything in the directory is synced and nobody has it open.
func (m *Mark) Closed() error { return m.write("closed") }

func (m *Mark) write(state string) error {
	text := fmt.Sprintf("dashi 1 %s %s\n", state, m.bootID)
	text += fmt.Sprintf("%08x\n", crc32.Checksum([]byte(text), castagnoli))
	err := m.replace([]byte(text))
	if errors.Is(err, syscall.ENOSPC) {
		err = m.overwrite([]byte(text), err)
	}
	if err != nil {
		return fmt.Errorf("cannot write mark in %q: %w", m.dir, err)
	}
	return nil
}

// replace puts another file in the place of the note.
func (m *Mark) replace(text []byte) error {
	name := filepath.Join(m.dir, markName)
	f, err := m.fs.Create(name + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := m.fs.Rename(name+".tmp", name); err != nil {
		return err
	}
	return m.fs.SyncDir(m.dir)
}

// overwrite writes the note where the one before stands, for which a full disk has the room: a node that has look-ups to answer opens all the same, for the log
// has its segments beforehand. A note that is half written is damaged, so found dirty. full is the error when there is no note yet.
func (m *Mark) overwrite(text []byte, full error) error {
	name := filepath.Join(m.dir, markName)
	_ = m.fs.Remove(name + ".tmp") // it would be overwritten the next time
	f, err := m.fs.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return full
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err == nil {
		err = f.Truncate(int64(len(text)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

var errMark = errors.New("mark is damaged")

func readMark(fsys vfs.FS, name string) (state, boot string, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	b := make([]byte, 256)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return "", "", err
	}
	return parseMark(string(b[:n]))
}

func parseMark(text string) (state, boot string, err error) {
	line, sum, ok := strings.Cut(text, "\n")
	if !ok || sum != fmt.Sprintf("%08x\n", crc32.Checksum([]byte(line+"\n"), castagnoli)) {
		return "", "", errMark
	}
	words := strings.Split(line, " ")
	if len(words) != 4 || words[0] != "dashi" || words[1] != "1" || !slices.Contains([]string{"open", "closed", "dirty", "restarted"}, words[2]) {
		return "", "", errMark
	}
	return words[2], words[3], nil
}

// BootID names this boot of the machine, or is empty where the system does not say.
func BootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
