package group

import (
	"errors"
	"io"

	"github.com/hashicorp/raft"
)

// lone is the raft.Transport of a member that has no peers: it carries only what the node says to itself.
type lone struct {
	id  raft.ServerAddress
	rpc chan raft.RPC
}

func newLone(id string) *lone {
	return &lone{id: raft.ServerAddress(id), rpc: make(chan raft.RPC, 8)}
}

// campaign makes Raft stand for election at once, as the leader's request to take over does.
func (t *lone) campaign() {
	select {
	case t.rpc <- raft.RPC{
		Command:  &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}},
		RespChan: make(chan raft.RPCResponse, 1),
	}:
	default:
	}
}

var errNoPeers = errors.New("there are no peers")

func (t *lone) Consumer() <-chan raft.RPC          { return t.rpc }
func (t *lone) LocalAddr() raft.ServerAddress      { return t.id }
func (t *lone) SetHeartbeatHandler(func(raft.RPC)) {}

func (t *lone) EncodePeer(_ raft.ServerID, addr raft.ServerAddress) []byte { return []byte(addr) }
func (t *lone) DecodePeer(b []byte) raft.ServerAddress                     { return raft.ServerAddress(b) }

func (t *lone) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, errNoPeers
}

func (t *lone) AppendEntries(raft.ServerID, raft.ServerAddress, *raft.AppendEntriesRequest, *raft.AppendEntriesResponse) error {
	return errNoPeers
}

func (t *lone) RequestVote(raft.ServerID, raft.ServerAddress, *raft.RequestVoteRequest, *raft.RequestVoteResponse) error {
	return errNoPeers
}

func (t *lone) RequestPreVote(raft.ServerID, raft.ServerAddress, *raft.RequestPreVoteRequest, *raft.RequestPreVoteResponse) error {
	return errNoPeers
}

func (t *lone) InstallSnapshot(raft.ServerID, raft.ServerAddress, *raft.InstallSnapshotRequest, *raft.InstallSnapshotResponse, io.Reader) error {
	return errNoPeers
}

func (t *lone) TimeoutNow(raft.ServerID, raft.ServerAddress, *raft.TimeoutNowRequest, *raft.TimeoutNowResponse) error {
	return errNoPeers
}
