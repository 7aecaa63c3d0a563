package node

import (
	"fmt"
	"path/filepath"
	"time"

	"dashi/node/status"
	"dashi/pipeline/say"
	"dashi/shard/group"
	"dashi/shard/transport"
	"dashi/shard/wal"
)

// hostSettings are those of the log and snapshots of the shards.
func (n *Node) hostSettings() group.Settings {
	mode := wal.Replicated
	if n.settings.Log.Durability == wal.Fsync.String() {
		mode = wal.Fsync
	}
	var peers *transport.Transport
	if n.nodeListener != nil {
		peers = n.transport
	}
	return group.Settings{ID: n.identity.member(), Dir: filepath.Join(n.settings.Data, "shards"), Mode: mode, Synced: []uint32{directoryGroup}, Transport: peers, Log: n.log}
}

// logStatus says how the log is.
func (n *Node) logStatus(st *status.Status) {
	s := n.host.Stats()
	st.Log = status.Log{Durability: n.settings.Log.Durability, Bytes: s.Log.DiskBytes, Snapshots: s.Snapshots, Replayed: s.Replayed}
	if err := n.host.Err(); err != nil {
		st.Log.Error = err.Error()
		st.Trouble = append(st.Trouble, "log: "+err.Error())
	}
	if len(s.SnapshotsFailing) > 0 {
		st.Trouble = append(st.Trouble, status.SnapshotTrouble(s.SnapshotsFailing, directoryGroup))
	}
	st.Log.Stalls, st.Log.Full = s.Log.Stalls, s.Log.Full
	st.Log.Stalled = n.host.Stalled().Seconds()
	if why := n.diskTrouble(); why != "" {
		then := "events wait for it"
		if len(n.directory.State().Members) > 1 {
			then = "other nodes lead the shards of this one until it does"
		}
		st.Trouble = append(st.Trouble, why+": "+then)
	}
}

// diskTrouble says for how long the disk has taken nothing; empty while it takes what is written.
func (n *Node) diskTrouble() string {
	d := n.host.Stalled()
	if d == 0 {
		return ""
	}
	what := "has not answered"
	if n.host.Stats().Log.Full {
		what = "has been full"
	}
	return fmt.Sprintf("the disk %s for %s", what, say.Span(d.Round(time.Second)))
}
