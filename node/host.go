package node

import (
	"path/filepath"

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
func (n *Node) logStatus(st *Status) {
	s := n.host.Stats()
	st.Log = LogStatus{Durability: n.settings.Log.Durability, Bytes: s.Log.DiskBytes, Snapshots: s.Snapshots, Replayed: s.Replayed}
	if err := n.host.Err(); err != nil {
		st.Log.Error = err.Error()
		st.Trouble = append(st.Trouble, "log: "+err.Error())
	}
	if s.SnapshotFailures > 0 {
		st.Trouble = append(st.Trouble, "snapshots have failed: see the log of the process")
	}
	if s.Log.Stalls > 0 {
		st.Trouble = append(st.Trouble, "the disk has stalled for more than 2 s")
	}
}
