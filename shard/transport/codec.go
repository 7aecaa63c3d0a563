package transport

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Types of requests of Raft. A number is never reused.
const (
	typeAppend     = 1
	typeVote       = 2
	typePreVote    = 3
	typeTimeoutNow = 4
)

// maxAppendBytes bounds the entries of one request, but for the first: what does not fit comes with the next one.
const maxAppendBytes = 2 << 20

// fit takes off the entries that do not fit. Raft goes on behind the last one that is left.
func fit(r *raft.AppendEntriesRequest) {
	size := 0
	for i, e := range r.Entries {
		size += entryHead + len(e.Data)
		if i > 0 && size > maxAppendBytes {
			r.Entries = r.Entries[:i]
			return
		}
	}
}

const entryHead = 8 + 8 + 1 + 8 + 4

// identity is the header that Raft puts on all it sends: it is not sent, the connection has said who is at the other end.
func identity(id string) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: []byte(id)}
}

func appendU64(dst []byte, values ...uint64) []byte {
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	return dst
}

func appendBool(dst []byte, bits ...bool) []byte {
	b := byte(0)
	for i, bit := range bits {
		if bit {
			b |= 1 << i
		}
	}
	return append(dst, b)
}

// appendRequest encodes a request of Raft.
func appendRequest(dst []byte, request any) []byte {
	switch r := request.(type) {
	case *raft.AppendEntriesRequest:
		dst = appendU64(dst, r.Term, r.PrevLogEntry, r.PrevLogTerm, r.LeaderCommitIndex)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(r.Entries)))
		for _, e := range r.Entries {
			dst = appendU64(dst, e.Index, e.Term)
			dst = append(dst, byte(e.Type))
			at := int64(0)
			if !e.AppendedAt.IsZero() {
				at = e.AppendedAt.UnixNano()
			}
			dst = appendU64(dst, uint64(at))
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(e.Data)))
			dst = append(dst, e.Data...)
		}
	case *raft.RequestVoteRequest:
		dst = appendBool(appendU64(dst, r.Term, r.LastLogIndex, r.LastLogTerm), r.LeadershipTransfer)
	case *raft.RequestPreVoteRequest:
		dst = appendU64(dst, r.Term, r.LastLogIndex, r.LastLogTerm)
	case *raft.InstallSnapshotRequest:
		dst = append(dst, byte(r.SnapshotVersion))
		dst = appendU64(dst, r.Term, r.LastLogIndex, r.LastLogTerm, r.ConfigurationIndex, uint64(r.Size))
		dst = append(dst, r.Configuration...)
	case *raft.TimeoutNowRequest:
	default:
		panic(fmt.Sprintf("cannot encode %T", request))
	}
	return dst
}

// decodeRequest decodes what a peer has sent. Entries alias b.
func decodeRequest(typ uint16, b []byte, from string) (any, error) {
	d := decoder{b: b}
	var request any
	switch typ {
	case typeAppend:
		request = d.appendEntries(from)
	case typeVote:
		r := &raft.RequestVoteRequest{RPCHeader: identity(from), Term: d.u64(), LastLogIndex: d.u64(), LastLogTerm: d.u64()}
		r.LeadershipTransfer = d.u8()&1 != 0
		request = r
	case typePreVote:
		request = &raft.RequestPreVoteRequest{RPCHeader: identity(from), Term: d.u64(), LastLogIndex: d.u64(), LastLogTerm: d.u64()}
	case typeTimeoutNow:
		request = &raft.TimeoutNowRequest{RPCHeader: identity(from)}
	default:
		return nil, fmt.Errorf("request of unknown type %d", typ)
	}
	return request, d.end()
}

func (d *decoder) appendEntries(from string) *raft.AppendEntriesRequest {
	r := &raft.AppendEntriesRequest{RPCHeader: identity(from)}
	r.Term, r.PrevLogEntry, r.PrevLogTerm, r.LeaderCommitIndex = d.u64(), d.u64(), d.u64(), d.u64()
	n := int(d.u32())
	if n > len(d.b)/entryHead {
		d.bad = true
		return r
	}
	logs := make([]raft.Log, n)
	r.Entries = make([]*raft.Log, n)
	for i := range logs {
		l := &logs[i]
		l.Index, l.Term, l.Type = d.u64(), d.u64(), raft.LogType(d.u8())
		if at := int64(d.u64()); at != 0 {
			l.AppendedAt = time.Unix(0, at)
		}
		l.Data = d.bytes(int(d.u32()))
		r.Entries[i] = l
	}
	return r
}

func decodeSnapshotRequest(b []byte, from string) (*raft.InstallSnapshotRequest, error) {
	d := decoder{b: b}
	r := &raft.InstallSnapshotRequest{RPCHeader: identity(from), SnapshotVersion: raft.SnapshotVersion(d.u8())}
	r.Term, r.LastLogIndex, r.LastLogTerm, r.ConfigurationIndex, r.Size = d.u64(), d.u64(), d.u64(), d.u64(), int64(d.u64())
	r.Configuration = d.bytes(len(d.b))
	return r, d.end()
}

// appendResponse encodes a response of Raft.
func appendResponse(dst []byte, response any) []byte {
	switch r := response.(type) {
	case *raft.AppendEntriesResponse:
		return appendBool(appendU64(dst, r.Term, r.LastLog), r.Success, r.NoRetryBackoff)
	case *raft.RequestVoteResponse:
		return appendBool(appendU64(dst, r.Term), r.Granted)
	case *raft.RequestPreVoteResponse:
		return appendBool(appendU64(dst, r.Term), r.Granted)
	case *raft.InstallSnapshotResponse:
		return appendBool(appendU64(dst, r.Term), r.Success)
	case *raft.TimeoutNowResponse:
		return dst
	}
	panic(fmt.Sprintf("cannot encode %T", response))
}

// decodeResponse fills in a response.
func decodeResponse(response any, b []byte, from string) error {
	d := decoder{b: b}
	switch r := response.(type) {
	case *raft.AppendEntriesResponse:
		r.RPCHeader, r.Term, r.LastLog = identity(from), d.u64(), d.u64()
		bits := d.u8()
		r.Success, r.NoRetryBackoff = bits&1 != 0, bits&2 != 0
	case *raft.RequestVoteResponse:
		r.RPCHeader, r.Term, r.Granted = identity(from), d.u64(), d.u8()&1 != 0
	case *raft.RequestPreVoteResponse:
		r.RPCHeader, r.Term, r.Granted = identity(from), d.u64(), d.u8()&1 != 0
	case *raft.InstallSnapshotResponse:
		r.RPCHeader, r.Term, r.Success = identity(from), d.u64(), d.u8()&1 != 0
	case *raft.TimeoutNowResponse:
		r.RPCHeader = identity(from)
	}
	return d.end()
}

// decoder reads fields, and remembers that there were too few bytes.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) u64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u8() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return fmt.Errorf("message is too short or too long: %w", errFrame)
	}
	return nil
}
