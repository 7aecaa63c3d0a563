package wal

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"dashi/shard/wal/vfs"
)

// On a full disk a directory that has a note is opened, used and closed all the same; only a new one is not. A note that is cut off half written is found dirty.
func TestMarkOnAFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	full, torn := true, false
	disk := vfs.NewFaulty(mem, func(op vfs.Op) error {
		if full && op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, ".tmp") || torn && op.Kind == vfs.OpWrite {
			return fmt.Errorf("write: %w", syscall.ENOSPC)
		}
		return nil
	})
	if _, err := Opened(disk, "d", "boot 1", true); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a new directory: %v", err)
	}
	full = false
	if m, err := Opened(disk, "d", "boot1", true); err != nil || m.Closed() != nil {
		t.Fatal(err)
	}
	full = true
	for _, boot := range []string{"boot2", "a longer name of a boot", "b"} {
		boot = strings.ReplaceAll(boot, " ", "_")
		m, err := Opened(disk, "d", boot, false)
		if err != nil || m.Clean != Clean || m.Reason != "closed in order" {
			t.Fatalf("%+v %v", m, err)
		}
		if m, err := Opened(disk, "d", "another", false); err != nil || m.Clean != Dirty || !m.Restarted {
			t.Errorf("not closed, and in another boot: %+v %v", m, err)
		}
		if err := m.Closed(); err != nil {
			t.Fatal(err)
		}
	}
	torn = true
	if _, err := Opened(disk, "d", "boot3", false); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
	full, torn = false, false
	if m, err := Opened(disk, "d", "boot3", false); err != nil || m.Clean != Dirty {
		t.Errorf("half a note: %+v %v", m, err)
	}
}
