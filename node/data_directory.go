package node

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"dashi/pipeline/say"
	"dashi/shard/wal/vfs"
)

// dataIdentity is what a data directory was made for, and whose it is.
type dataIdentity struct {
	Cluster string `json:"cluster"` // its name in the settings
	Shards  int    `json:"shards"`
	Node    string `json:"node"`
	// Incarnation is drawn when the directory is made: a node that has lost its data is another one.
	Incarnation uint64 `json:"incarnation"`
	// ClusterID is the id of the cluster that the node has agreed to found, or founded; Founders are the nodes that do.
	ClusterID string    `json:"cluster_id,omitempty"`
	Founders  []founder `json:"founders,omitempty"`
	// Founded says that all founders have agreed.
	Founded bool `json:"founded,omitempty"`
	// Opened says that the node has a replica of the directory, and a log that it must not lose.
	Opened bool `json:"opened,omitempty"`
	// Recipes is the hash of the recipes that a node by itself was given last.
	Recipes string `json:"recipes,omitempty"`
}

// claim makes the data directory, or checks that it is this cluster's and has this number of shards. From then on no other process has it.
func (n *Node) claim() error {
	want := dataIdentity{Cluster: n.settings.Cluster, Shards: n.settings.Shards, Node: n.settings.Node.ID}
	if err := os.MkdirAll(n.settings.Data, 0o755); err != nil {
		return fmt.Errorf("cannot make data directory: %w", err)
	}
	lock, err := vfs.OS{}.Lock(filepath.Join(n.settings.Data, "lock"))
	if err != nil {
		return n.inUse(fmt.Errorf("cannot lock data directory: %w", err))
	}
	n.onClose(lock.Close)
	text, err := os.ReadFile(n.identityPath())
	if errors.Is(err, os.ErrNotExist) {
		if logs, _ := filepath.Glob(filepath.Join(n.settings.Data, "shards", "log", "*.log")); len(logs) > 0 { // another node would not be let in to its groups
			return fmt.Errorf("data directory %q has a log, but no dashi.json, which says whose it is: %s", n.settings.Data, lostIdentity)
		}
		n.identity = want
		return n.saveIdentity()
	}
	if err != nil {
		return fmt.Errorf("cannot open data directory: %w", err)
	}
	var got dataIdentity
	if err := json.Unmarshal(text, &got); err != nil {
		return fmt.Errorf("cannot read %q: %w: %s", n.identityPath(), err, lostIdentity)
	}
	if got.Cluster != want.Cluster || got.Shards != want.Shards {
		return fmt.Errorf("data directory %q belongs to cluster %q with %s, the settings say %q with %d: name another directory, or change the settings back",
			n.settings.Data, got.Cluster, say.Count(got.Shards, "shard"), want.Cluster, want.Shards)
	}
	if want.Node != "" && got.Node != "" && got.Node != want.Node {
		return fmt.Errorf("data directory %q belongs to node %q, the settings say %q: name another directory, or change node.id back", n.settings.Data, got.Node, want.Node)
	}
	n.identity = got
	if got.Node == "" || got.Incarnation == 0 { // made by a version before there were clusters
		return n.saveIdentity()
	}
	return nil
}

// lostIdentity is what to do about it.
const lostIdentity = "put the file back as it was, or empty the directory: the node then begins anew, from Kafka or from the other nodes"

func (n *Node) identityPath() string { return filepath.Join(n.settings.Data, "dashi.json") }

// saveIdentity writes the identity, after it has drawn what is still missing in it.
func (n *Node) saveIdentity() error {
	id := &n.identity
	if id.Incarnation == 0 {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return err
		}
		id.Incarnation = binary.LittleEndian.Uint64(b[:])>>1 | 1
	}
	if id.Node == "" {
		if id.Node = n.settings.Node.ID; id.Node == "" {
			var b [4]byte
			if _, err := rand.Read(b[:]); err != nil {
				return err
			}
			id.Node = "node-" + hex.EncodeToString(b[:])
		}
	}
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	if err := writeFile(n.identityPath(), append(text, '\n')); err != nil {
		return fmt.Errorf("cannot claim data directory %q: %w", n.settings.Data, err)
	}
	return nil
}

// member is this node as a member of groups.
func (id *dataIdentity) member() string { return groupMember(id.Node, id.Incarnation) }

func groupMember(node string, incarnation uint64) string {
	return node + "/" + strconv.FormatUint(incarnation, 16)
}

// inUse says in the words of the settings that another process has the data directory, when that is what err says.
func (n *Node) inUse(err error) error {
	if !errors.Is(err, vfs.ErrLocked) {
		return err
	}
	return fmt.Errorf("data directory %q is in use by another process: stop that, or choose another directory with --data, or data in the settings (%w)", n.settings.Data, err)
}

// writeFile writes a file so that it is there whole or not at all, even after a power cut.
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
