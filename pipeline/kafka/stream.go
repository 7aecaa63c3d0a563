package kafka

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Stream is one ordered input of the shards: a partition of one incarnation of a topic. A topic that was deleted
// and made again has another id, so its partitions are other streams. Comparable; a map key.
type Stream struct {
	Topic     [16]byte // the topic's id; zero on brokers before 2.8, which have none
	Name      string
	Partition int32
}

func (s Stream) String() string {
	return fmt.Sprintf("%s/%d (topic id %s)", s.Name, s.Partition, hex.EncodeToString(s.Topic[:4]))
}

// Header of a record.
type Header = kgo.RecordHeader

// Record is one record of a stream. Key, Value and Headers alias the buffer that the record was fetched in:
// they are never written again and may be kept, but one kept record keeps its whole fetch, up to some
// megabytes, from being collected; copy what is to stay for long.
type Record struct {
	Offset  int64
	Millis  int64 // timestamp of the record: since 1970 UTC
	Key     []byte
	Value   []byte
	Headers []Header
}

// Handler takes what a Source reads. The calls never overlap. Each must return soon after the context of
// Source.Run, which Records is also given, is done.
type Handler interface {
	// Assigned says that this source now reads the streams, each from offset next[i]: every record before it
	// has been committed. With no commit yet it is the first offset that the broker still has. A Seek from within
	// takes the place of next.
	Assigned(streams []Stream, next []int64)

	// Revoked says that the streams go away: after it returns another node may read them, from what was
	// committed. What was handed over and not yet committed will be read there again.
	Revoked(streams []Stream)

	// Records hands over everything of the stream in the offsets (prev, last]; in offset order, and prev is
	// the last of the call before (or next-1 after Assigned, offset-1 after Seek). Offsets may be missing in
	// between, and records may be empty: transaction markers, aborted, compacted and expired records take
	// offsets too. It blocks for as long as the shards push back. The slice is used again after it returns.
	Records(ctx context.Context, s Stream, prev, last int64, records []Record)
}
