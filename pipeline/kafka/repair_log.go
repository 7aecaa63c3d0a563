package kafka

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// groups.log and pids.log are entries of: length uint32 of what follows the checksum, checksum uint32 (CRC-32C),
// version uint16, JSON. Little-endian.
const (
	entryHeader  = 10
	entryVersion = 1
)

func appendEntry(dst, data []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, entryHeader)...)
	dst = append(dst, data...)
	e := dst[start:]
	binary.LittleEndian.PutUint32(e, uint32(2+len(data)))
	binary.LittleEndian.PutUint16(e[8:], entryVersion)
	binary.LittleEndian.PutUint32(e[4:], crc32.Checksum(e[8:], castagnoli))
	return dst
}

// parseEntries calls fn for each whole entry and returns where the first that is not begins.
func parseEntries(raw []byte, fn func(data []byte)) int {
	at := 0
	for len(raw)-at >= entryHeader {
		e := raw[at:]
		n := int64(binary.LittleEndian.Uint32(e))
		if n < 2 || n > int64(len(e)-8) || crc32.Checksum(e[8:8+n], castagnoli) != binary.LittleEndian.Uint32(e[4:]) {
			break
		}
		fn(e[entryHeader : 8+n])
		at += 8 + int(n)
	}
	return at
}

// readLog reads a log of entries. A torn entry at its end is cut off. Damage before that is taken out: entries do not depend on each other, so those behind
// it are good. The broker underneath would stop there, and forget the positions in them.
func readLog(path string, log *slog.Logger, fn func(data []byte)) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	end := parseEntries(raw, fn)
	if end == len(raw) {
		return nil
	}
	kept, behind := raw[:end:end], 0
	for at := nextEntry(raw, end); at < len(raw); at = nextEntry(raw, at) {
		n := parseEntries(raw[at:], func(data []byte) { fn(data); behind++ })
		kept = append(kept, raw[at:at+n]...)
		at += n
	}
	if behind == 0 {
		log.Warn("kafka broker: cuts off an entry that a killed process left half written", "file", path, "bytes", len(raw)-end)
		return os.Truncate(path, int64(end))
	}
	log.Error("kafka broker: a file is damaged: what cannot be read of it is lost, offsets of consumer groups or ends of transactions; the entries behind it are kept",
		"file", path, "at", end, "bytes", len(raw)-len(kept), "kept_behind", behind)
	if err := os.WriteFile(path+".tmp", kept, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// nextEntry is where the next whole entry, with JSON, begins behind from, where there is none; len(raw) if there is no other.
func nextEntry(raw []byte, from int) int {
	for at := from + 1; len(raw)-at >= entryHeader; at++ {
		if n := int64(binary.LittleEndian.Uint32(raw[at:])); n < 2 || n > int64(len(raw)-at-8) {
			continue
		}
		whole := false
		n := int(binary.LittleEndian.Uint32(raw[at:]))
		parseEntries(raw[at:at+8+n], func(data []byte) { whole = json.Valid(data) })
		if whole {
			return at
		}
	}
	return len(raw)
}

// An index entry: version uint8, low byte of the CRC-32C of the 13 bytes that follow it, leader epoch uint32, an earlier timestamp
// uint64 that is not read back, flags uint8 (1: of a transaction). Little-endian.
const (
	indexEntry   = 15
	indexVersion = 1
)

func appendIndex(dst []byte, epoch int32, transactional bool) []byte {
	var e [indexEntry]byte
	e[0] = indexVersion
	binary.LittleEndian.PutUint32(e[2:], uint32(epoch))
	if transactional {
		e[14] = 1
	}
	e[1] = byte(crc32.Checksum(e[2:], castagnoli))
	return append(dst, e[:]...)
}

// logFiles is a partition's log as repair sees it.
type logFiles struct {
	files   partitionFiles
	batches []batchInfo
}

// batchInfo is one batch in the log.
type batchInfo struct {
	producer        producer
	first, next     int64 // offsets
	segment         int32
	size            int32
	max             int64 // timestamp
	epoch           int32
	transactional   bool
	control, commit bool
}

// scanPartition reads the batches' headers; nil when the partition has none. A torn batch at the end is cut off.
func scanPartition(p partitionFiles, log *slog.Logger) (*logFiles, error) {
	l := &logFiles{files: p}
	for i := range p.segments {
		if err := l.scanSegment(i, log); err != nil {
			return nil, err
		}
	}
	if len(l.batches) == 0 {
		return nil, nil
	}
	return l, nil
}

func (l *logFiles) scanSegment(i int, log *slog.Logger) error {
	f, err := os.Open(l.files.data(i))
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 256<<10)
	var at int64
	for {
		info, err := readBatchInfo(r)
		if err == io.EOF {
			return nil
		}
		if err != nil { // torn: the writer died within it
			if info, err := f.Stat(); err == nil {
				log.Warn("kafka broker: cuts off the end of a log, from a batch on that is not whole", "topic", l.files.topic, "partition", l.files.partition,
					"file", l.files.data(i), "after_offset", l.lastOffset(), "bytes", info.Size()-at)
			}
			l.files.segments[i].size = at
			return os.Truncate(l.files.data(i), at)
		}
		info.segment = int32(i)
		l.batches = append(l.batches, info)
		at += int64(info.size)
	}
}

// lastOffset is the offset of the last whole record; -1 when there is none.
func (l *logFiles) lastOffset() int64 {
	if len(l.batches) == 0 {
		return -1
	}
	return l.batches[len(l.batches)-1].next - 1
}

var errTorn = errors.New("torn batch")

// maxStoredBatch is over anything that the broker has accepted.
const maxStoredBatch = 1 << 30

func readBatchInfo(r *bufio.Reader) (info batchInfo, err error) {
	// A control batch is a header and a record whose key, 4 bytes of version and type, begins after five one-byte fields.
	const controlKey = batchHeader + 5
	h, _ := r.Peek(controlKey + 4) // fewer bytes at the end of the file: looked at below
	if len(h) == 0 {
		return info, io.EOF
	}
	if len(h) < batchHeader {
		return info, errTorn
	}
	be := binary.BigEndian
	length := int64(be.Uint32(h[batchLengthAt:]))
	if length < batchHeader-12 || length > maxStoredBatch || h[16] != 2 {
		return info, errTorn
	}
	attrs := be.Uint16(h[batchAttrsAt:])
	info.first = int64(be.Uint64(h))
	info.next = info.first + int64(be.Uint32(h[batchDeltaAt:])) + 1
	info.size = int32(length + 12)
	info.max = int64(be.Uint64(h[batchMaxAt:]))
	info.epoch = int32(be.Uint32(h[12:]))
	info.producer = producer{int64(be.Uint64(h[batchProducerAt:])), int16(be.Uint16(h[batchEpochAt:]))}
	info.control = attrs&attrControl != 0
	info.transactional = attrs&attrTransactional != 0
	info.commit = info.control && len(h) == controlKey+4 && be.Uint16(h[controlKey+2:]) == 1
	if n, _ := r.Discard(int(info.size)); n < int(info.size) {
		return info, errTorn
	}
	return info, nil
}

// repairIndex makes the last file's index have an entry for each of its batches.
func (l *logFiles) repairIndex() error {
	i := len(l.files.segments) - 1
	raw, err := os.ReadFile(l.files.index(i))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var batches []batchInfo
	for _, b := range l.batches {
		if int(b.segment) == i {
			batches = append(batches, b)
		}
	}
	whole := min(len(raw)/indexEntry, len(batches))
	if len(raw) == len(batches)*indexEntry {
		return nil
	}
	raw = raw[:whole*indexEntry]
	for _, b := range batches[whole:] {
		raw = appendIndex(raw, b.epoch, b.transactional && !b.control)
	}
	return os.WriteFile(l.files.index(i), raw, 0o644)
}

// dropLast takes the last batch off.
func (l *logFiles) dropLast() error {
	n := len(l.batches) - 1
	b := l.batches[n]
	l.batches = l.batches[:n]
	i := int(b.segment)
	s := &l.files.segments[i]
	s.size -= int64(b.size)
	if err := os.Truncate(l.files.data(i), s.size); err != nil {
		return err
	}
	info, err := os.Stat(l.files.index(i))
	if err != nil {
		return err
	}
	return os.Truncate(l.files.index(i), info.Size()-indexEntry)
}

// open are the transactions without a marker.
func (l *logFiles) open() map[producer]bool {
	open := make(map[int64]producer)
	for _, b := range l.batches {
		switch {
		case b.control:
			delete(open, b.producer.id)
		case b.transactional:
			open[b.producer.id] = b.producer
		}
	}
	set := make(map[producer]bool)
	for _, p := range open {
		set[p] = true
	}
	return set
}

// abort appends the marker that the broker would have written.
func (l *logFiles) abort(p producer) error {
	last := l.batches[len(l.batches)-1]
	i := len(l.files.segments) - 1
	marker := appendMarker(nil, last.next, last.epoch, last.max, p)
	f, err := os.OpenFile(l.files.data(i), os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(marker); err != nil {
		return err
	}
	index, err := os.OpenFile(l.files.index(i), os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer index.Close()
	if _, err := index.Write(appendIndex(nil, last.epoch, false)); err != nil {
		return err
	}
	l.files.segments[i].size += int64(len(marker))
	l.batches = append(l.batches, batchInfo{producer: p, first: last.next, next: last.next + 1, segment: int32(i),
		size: int32(len(marker)), max: last.max, epoch: last.epoch, transactional: true, control: true})
	return nil
}

// appendMarker appends an abort marker: a control batch of one record, key version 0 and type 0, value version 0 and coordinator epoch 0.
func appendMarker(dst []byte, offset int64, epoch int32, millis int64, p producer) []byte {
	var b batch
	b.add(&Message{Key: make([]byte, 4), Value: make([]byte, 6)}, millis)
	start := len(dst)
	dst = appendBatch(dst, attrTransactional|attrControl, 1, millis, millis, p.id, p.epoch, -1, b.records)
	// Offset and leader epoch lie before the checksummed part.
	binary.BigEndian.PutUint64(dst[start:], uint64(offset))
	binary.BigEndian.PutUint32(dst[start+12:], uint32(epoch))
	return dst
}

// snapshot is the broker's snapshot.json of a partition.
type snapshot struct {
	Version       int               `json:"version"`
	HighWatermark int64             `json:"high_watermark"`
	LastStable    int64             `json:"last_stable_offset"`
	LogStart      int64             `json:"log_start_offset"`
	Epoch         int32             `json:"epoch"`
	MaxTimestamp  int64             `json:"max_timestamp"`
	CreatedAt     time.Time         `json:"created_at"`
	Aborted       []abortedSpan     `json:"aborted_txns,omitempty"`
	Segments      []snapshotSegment `json:"segments"`
}

type abortedSpan struct {
	ProducerID int64 `json:"producer_id"`
	First      int64 `json:"first_offset"`
	Last       int64 `json:"last_offset"`
}

type snapshotSegment struct {
	Base     int64 `json:"base_offset"`
	Size     int64 `json:"size"`
	MinEpoch int32 `json:"min_epoch,omitempty"`
	MaxEpoch int32 `json:"max_epoch,omitempty"`
}

// writeSnapshot writes what the broker would have written in a clean close: every transaction has its marker now.
func (l *logFiles) writeSnapshot() error {
	path := filepath.Join(l.files.dir, "snapshot.json")
	first, last := l.batches[0], l.batches[len(l.batches)-1]
	s := snapshot{Version: 1, HighWatermark: last.next, LastStable: last.next, LogStart: first.first, Epoch: last.epoch,
		CreatedAt: time.UnixMilli(first.max)}
	var old snapshot
	if raw, err := os.ReadFile(path); err == nil && json.Unmarshal(raw, &old) == nil {
		s.LogStart = max(s.LogStart, min(old.LogStart, last.next))
		s.CreatedAt = old.CreatedAt
	}
	for _, f := range l.files.segments {
		s.Segments = append(s.Segments, snapshotSegment{Base: f.base, Size: f.size, MinEpoch: last.epoch, MaxEpoch: first.epoch})
	}
	open := make(map[int64]int64)
	for _, b := range l.batches {
		s.MaxTimestamp = max(s.MaxTimestamp, b.max)
		seg := &s.Segments[b.segment]
		seg.MinEpoch, seg.MaxEpoch = min(seg.MinEpoch, b.epoch), max(seg.MaxEpoch, b.epoch)
		from, was := open[b.producer.id]
		switch {
		case b.control && was:
			if !b.commit {
				s.Aborted = append(s.Aborted, abortedSpan{b.producer.id, from, b.first})
			}
			delete(open, b.producer.id)
		case b.transactional && !b.control && !was:
			open[b.producer.id] = b.first
		}
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", raw, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
