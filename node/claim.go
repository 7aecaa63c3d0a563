package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"dashi/shard/wal/vfs"
)

// identity is what a data directory was made for.
type dataIdentity struct {
	Cluster string `json:"cluster"`
	Shards  int    `json:"shards"`
}

// claim makes the data directory, or checks that it is this cluster's and has this number of shards.
func (n *Node) claim() error {
	want := dataIdentity{Cluster: n.settings.Cluster, Shards: n.settings.Shards}
	path := filepath.Join(n.settings.Data, "dashi.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(n.settings.Data, 0o755); err != nil {
			return fmt.Errorf("cannot make data directory: %w", err)
		}
		text, err = json.Marshal(want)
		if err != nil {
			return err
		}
		if err := writeFile(path, append(text, '\n')); err != nil {
			return fmt.Errorf("cannot claim data directory %q: %w", n.settings.Data, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot open data directory: %w", err)
	}
	var got dataIdentity
	if err := json.Unmarshal(text, &got); err != nil {
		return fmt.Errorf("cannot read %q: %w", path, err)
	}
	if got != want {
		return fmt.Errorf("data directory %q belongs to cluster %q with %d shards, the settings say %q with %d: name another directory, or change the settings back",
			n.settings.Data, got.Cluster, got.Shards, want.Cluster, want.Shards)
	}
	return nil
}

// inUse says in the words of the settings that another process has the data directory, when that is what err says.
func (n *Node) inUse(err error) error {
	if !errors.Is(err, vfs.ErrLocked) {
		return err
	}
	return fmt.Errorf("data directory %q is in use by another process: stop that, or choose another directory with --data, or data in the settings (%w)", n.settings.Data, err)
}

// writeFile writes a file that is there whole or not at all, also after a power cut.
func writeFile(path string, text []byte) error {
	temp := path + ".tmp"
	f, err := os.Create(temp)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(temp, path)
}
