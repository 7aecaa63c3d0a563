package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// bookmark is what an interrupted replay leaves behind. Its counts are for the summary, and may be a little ahead of Rows.
type bookmark struct {
	File      string `json:"file"`
	Mapping   string `json:"mapping"`
	Topic     string `json:"topic"`
	Size      int64  `json:"size"` // of the file, and the hash of its beginning: what shows that it is another one now
	Head      string `json:"head"`
	Rows      int64  `json:"rows"` // all of the first so many are done
	Events    int64  `json:"events"`
	Anonymous int64  `json:"anonymous"`
	Bad       int64  `json:"bad"`
	path      string // "" for a pipe, of which no row can be found again
}

// newBookmark reads what an earlier replay of the same file with the same mapping to the same topic has left. It is an error if the file is another one now,
// where row numbers would mean nothing. A file that has only grown is the same.
func newBookmark(path string, o replayOptions) (*bookmark, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	b := &bookmark{File: abs, Mapping: o.mapping, Topic: o.topic}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%v", abs, o.mapping, o.topic, o.brokers))
	b.path = filepath.Join(dir, "dashi", "replay-"+hex.EncodeToString(sum[:8])+".json")
	if b.Size, b.Head, err = fingerprint(path, bookmarkHead); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(b.path)
	was := bookmark{path: b.path}
	if o.restart || err != nil || json.Unmarshal(text, &was) != nil || was.File != abs {
		return b, nil
	}
	if was.Head == "" { // written before bookmarks had it
		return &was, nil
	}
	_, head, err := fingerprint(path, min(was.Size, bookmarkHead))
	if err != nil {
		return nil, err
	}
	if b.Size < was.Size || head != was.Head {
		return nil, fmt.Errorf("%q has changed since its replay was interrupted after row %d, so that row cannot be found again: --restart begins with the first row (and sends those before it once more)", path, was.Rows)
	}
	was.Size, was.Head = b.Size, b.Head
	return &was, nil
}

// bookmarkHead is how much of a file's beginning is compared.
const bookmarkHead = 64 << 10

// fingerprint is the size of a file and the hash of its first bytes.
func fingerprint(path string, first int64) (size int64, head string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", fmt.Errorf("cannot open rows: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, "", fmt.Errorf("cannot open rows: %w", err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, first)); err != nil {
		return 0, "", fmt.Errorf("cannot read %q: %w", path, err)
	}
	return info.Size(), hex.EncodeToString(h.Sum(nil)), nil
}

// save keeps the bookmark, or forgets it when the replay is complete.
func (r *replayer) save(complete bool) error {
	r.mu.Lock()
	text, _ := json.Marshal(r.mark)
	path := r.mark.path
	r.mu.Unlock()
	if path == "" {
		return nil
	}
	if complete {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cannot forget where the replay was: %w", err)
		}
		return nil
	}
	temp := path + ".tmp"
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(temp, text, 0o644)
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return fmt.Errorf("cannot keep where the replay is: %w", err)
	}
	return nil
}
