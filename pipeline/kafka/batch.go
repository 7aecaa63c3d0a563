package kafka

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The record batch of Kafka's message format 2 (KIP-98), big-endian:
//
//	 0 first offset     int64   0, set by the broker
//	 8 length           int32   of what follows
//	12 leader epoch     int32   -1, set by the broker
//	16 magic            int8    2
//	17 crc              uint32  CRC-32C of what follows
//	21 attributes       int16   bits 0-2 codec, 4 transactional, 5 control
//	23 last offset delta int32
//	27 first timestamp  int64   milliseconds
//	35 max timestamp    int64
//	43 producer id      int64
//	51 producer epoch   int16
//	53 first sequence   int32
//	57 records          int32   their number
//	61 the records, compressed together when a codec is set
const (
	batchHeader     = 61
	batchLengthAt   = 8
	batchCRCAt      = 17
	batchAttrsAt    = 21
	batchDeltaAt    = 23
	batchFirstAt    = 27
	batchMaxAt      = 35
	batchProducerAt = 43
	batchEpochAt    = 51
	batchSequenceAt = 53
	batchCountAt    = 57

	attrTransactional = 0x10
	attrControl       = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch collects the records of one partition for one produce request. Its buffers are used again.
type batch struct {
	records  []byte // encoded, uncompressed
	wire     []byte // the whole batch as sent
	count    int32
	first    int64 // timestamp of the first record
	max      int64
	scratch  []byte
	compress bytes.Buffer
}

func (b *batch) reset() { b.records, b.count = b.records[:0], 0 }

// add appends a record: a varint of its length, then attributes, timestamp delta, offset delta, key, value and headers.
func (b *batch) add(m *Message, millis int64) {
	if b.count == 0 {
		b.first, b.max = millis, millis
	}
	b.max = max(b.max, millis)
	r := append(b.scratch[:0], 0)
	r = binary.AppendVarint(r, millis-b.first)
	r = binary.AppendVarint(r, int64(b.count))
	r = appendBytes(r, m.Key)
	r = appendBytes(r, m.Value)
	r = binary.AppendVarint(r, int64(len(m.Headers)))
	for _, h := range m.Headers {
		r = binary.AppendVarint(r, int64(len(h.Key)))
		r = append(r, h.Key...)
		r = appendBytes(r, h.Value)
	}
	b.scratch = r
	b.records = binary.AppendVarint(b.records, int64(len(r)))
	b.records = append(b.records, r...)
	b.count++
}

// appendBytes writes a nullable byte string: its length, or -1 for nil.
func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	dst = binary.AppendVarint(dst, int64(len(b)))
	return append(dst, b...)
}

// seal makes the batch of the records, as part of a transaction. The result is good until the next seal.
func (b *batch) seal(compressor kgo.Compressor, producer int64, epoch int16, sequence int32) []byte {
	attrs, records := int16(attrTransactional), b.records
	if compressor != nil {
		b.compress.Reset()
		packed, codec := compressor.Compress(&b.compress, b.records)
		if len(packed) < len(records) {
			records, attrs = packed, attrs|int16(codec)
		}
	}
	b.wire = appendBatch(b.wire[:0], attrs, b.count, b.first, b.max, producer, epoch, sequence, records)
	return b.wire
}

func appendBatch(dst []byte, attrs int16, count int32, first, last int64, producer int64, epoch int16, sequence int32, records []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, batchHeader)...)
	h := dst[start:]
	be := binary.BigEndian
	be.PutUint32(h[batchLengthAt:], uint32(batchHeader-12+len(records)))
	be.PutUint32(h[12:], ^uint32(0))
	h[16] = 2
	be.PutUint16(h[batchAttrsAt:], uint16(attrs))
	be.PutUint32(h[batchDeltaAt:], uint32(count-1))
	be.PutUint64(h[batchFirstAt:], uint64(first))
	be.PutUint64(h[batchMaxAt:], uint64(last))
	be.PutUint64(h[batchProducerAt:], uint64(producer))
	be.PutUint16(h[batchEpochAt:], uint16(epoch))
	be.PutUint32(h[batchSequenceAt:], uint32(sequence))
	be.PutUint32(h[batchCountAt:], uint32(count))
	dst = append(dst, records...)
	be.PutUint32(dst[start+batchCRCAt:], crc32.Checksum(dst[start+batchAttrsAt:], castagnoli))
	return dst
}
