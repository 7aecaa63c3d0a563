package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// A process that serves the embedded broker may be killed at any instruction. The broker underneath then loads the
// files as they are, with four consequences that a user of it must not meet:
//
//  1. A transaction was being committed: some partitions have its commit marker, others not, or the group's
//     offset is not there yet. Readers would see half of it, and the outbox that reads the old position would
//     publish the visible half again.
//  2. A transaction was open. The broker takes it as aborted, but without an abort marker in the log a reader
//     that goes by the protocol also drops the next transaction of the same producer, which was committed.
//  3. The entry of groups.log that was being written is torn. Loading stops there, but appending goes on behind
//     it, so that every later offset is lost with the next restart.
//  4. The index of the last batch is missing, and with it the mark that the batch belongs to a transaction.
//
// repair runs before the broker and puts the files into a state in which a broker that was stopped between two requests would have left them. Because
// the broker does everything in one goroutine, what it was doing is always at the very end of the files. So nobody has seen a marker that is the last
// batch of its log, and whose end of transaction is not in pids.log: the broker had not got back to answering anyone.
//
// It also writes each partition's snapshot, or loading would hold every byte of every log in memory at once.
// After a clean close there is nothing to do.

// logMeta is what repair takes from groups.log and pids.log.
type logMeta struct {
	committed map[string]bool   // transactions by txnMetadata of which a group offset was written
	ended     map[producer]bool // transactions whose end pids.log has
	current   map[int64]int16   // the epoch that pids.log has for a producer id
	written   time.Time         // when pids.log was last written
	aborted   map[producer]bool // by repair
	log       *slog.Logger
}

// producer is one epoch of a producer id: one transaction, with transaction.version 2.
type producer struct {
	id    int64
	epoch int16
}

func repair(dir string, log *slog.Logger) error {
	if _, err := os.Stat(filepath.Join(dir, "meta.json")); errors.Is(err, fs.ErrNotExist) {
		return nil // a new directory
	}
	if _, err := os.Stat(filepath.Join(dir, "session_state.json")); err == nil {
		return nil // closed in good order
	}
	meta := &logMeta{committed: make(map[string]bool), ended: make(map[producer]bool), current: make(map[int64]int16),
		aborted: make(map[producer]bool), log: log}
	if err := meta.read(dir); err != nil {
		return err
	}
	partitions, err := listPartitions(dir)
	if err != nil {
		return err
	}
	var logs []*logFiles
	for _, p := range partitions {
		l, err := scanPartition(p, log)
		if err != nil {
			return fmt.Errorf("partition %s-%d: %w", p.topic, p.partition, err)
		}
		if l != nil {
			logs = append(logs, l)
		}
	}
	for _, l := range logs {
		if err := l.repair(meta); err != nil {
			return fmt.Errorf("partition %s-%d: %w", l.files.topic, l.files.partition, err)
		}
	}
	return meta.fence(dir)
}

func (m *logMeta) read(dir string) error {
	err := readLog(filepath.Join(dir, "groups.log"), m.log, func(data []byte) {
		var e struct {
			Metadata string `json:"m"`
		}
		if json.Unmarshal(data, &e) == nil && e.Metadata != "" {
			m.committed[e.Metadata] = true
		}
	})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "pids.log")
	if info, err := os.Stat(path); err == nil {
		m.written = info.ModTime()
	}
	return readLog(path, m.log, func(data []byte) {
		var e pidEntry
		if json.Unmarshal(data, &e) != nil {
			return
		}
		m.current[e.ID] = e.Epoch
		if e.Type == "endtx" {
			m.ended[producer{e.ID, e.Epoch}] = true
		}
	})
}

// pidEntry is an entry of pids.log.
type pidEntry struct {
	Type  string `json:"type"` // init, endtx, timeout
	ID    int64  `json:"pid"`
	Epoch int16  `json:"epoch"`
}

// halfCommitted says whether a commit marker that is the last batch of its log, written at the time given, is of
// a transaction that was being committed when the process died.
func (m *logMeta) halfCommitted(p producer, written time.Time) bool {
	return !m.ended[p] && m.current[p.id] == p.epoch && !m.committed[txnMetadata(p.id, p.epoch)] &&
		!m.written.After(written) // pids.log was not written since: not even compacted
}

// fence moves the producers whose transactions were aborted to the next epoch, so that the rest of a transaction cannot
// follow from a client that is still alive.
func (m *logMeta) fence(dir string) error {
	if len(m.aborted) == 0 {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(dir, "pids.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	for p := range m.aborted {
		data, err := json.Marshal(pidEntry{Type: "timeout", ID: p.id, Epoch: p.epoch + 1})
		if err != nil {
			return err
		}
		if _, err := f.Write(appendEntry(nil, data)); err != nil {
			return err
		}
		m.log.Warn("kafka broker: aborted a transaction that a killed process left open", "producer", p.id, "epoch", p.epoch)
	}
	return nil
}

// repair puts one partition right.
func (l *logFiles) repair(m *logMeta) error {
	if err := l.repairIndex(); err != nil {
		return err
	}
	if n := len(l.batches); n > 0 {
		last := l.batches[n-1]
		if last.control && last.commit && m.halfCommitted(last.producer, l.files.segments[len(l.files.segments)-1].written) {
			m.log.Warn("kafka broker: takes back half a commit of a killed process", "topic", l.files.topic, "partition", l.files.partition)
			if err := l.dropLast(); err != nil {
				return err
			}
		}
	}
	for p := range l.open() {
		m.aborted[p] = true
		if err := l.abort(p); err != nil {
			return err
		}
	}
	return l.writeSnapshot()
}
