package kafka

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The files of the embedded broker's data directory that this package looks at. They are kfake's, format 1, and
// go.mod pins its version; TestKill fails when they change.
//
//	partitions/<topic>-<n>/<offset>.dat   record batches, as on the wire, from that offset
//	partitions/<topic>-<n>/<offset>.idx   15 bytes per batch: see idxEntry
//	groups.log, pids.log                  framed JSON: see readLog
//	session_state.json                    there only after a clean close
//	lock                                  ours: held while the broker runs

// partitionFiles is one partition on disk.
type partitionFiles struct {
	topic     string
	partition int32
	dir       string
	segments  []segmentFile // oldest first
}

type segmentFile struct {
	base    int64
	size    int64
	written time.Time
}

func (p *partitionFiles) data(i int) string {
	return filepath.Join(p.dir, strconv.FormatInt(p.segments[i].base, 10)+".dat")
}

func (p *partitionFiles) index(i int) string {
	return filepath.Join(p.dir, strconv.FormatInt(p.segments[i].base, 10)+".idx")
}

// listPartitions finds them; a directory that does not exist has none.
func listPartitions(dir string) ([]partitionFiles, error) {
	root := filepath.Join(dir, "partitions")
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var partitions []partitionFiles
	for _, e := range entries {
		dash := strings.LastIndexByte(e.Name(), '-')
		if dash < 0 {
			continue
		}
		topic, err1 := url.PathUnescape(e.Name()[:dash])
		number, err2 := strconv.ParseInt(e.Name()[dash+1:], 10, 32)
		if err1 != nil || err2 != nil {
			continue
		}
		p := partitionFiles{topic: topic, partition: int32(number), dir: filepath.Join(root, e.Name())}
		if p.segments, err = listSegments(p.dir); err != nil {
			return nil, err
		}
		partitions = append(partitions, p)
	}
	return partitions, nil
}

func listSegments(dir string) ([]segmentFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // the topic may be deleted meanwhile
		return nil, err
	}
	var segments []segmentFile
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".dat")
		base, err := strconv.ParseInt(name, 10, 64)
		if !ok || err != nil {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		segments = append(segments, segmentFile{base: base, size: info.Size(), written: info.ModTime()})
	}
	slices.SortFunc(segments, func(a, b segmentFile) int { return int(min(max(a.base-b.base, -1), 1)) })
	return segments, nil
}
