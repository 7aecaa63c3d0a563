package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"dashi/node"
	"dashi/node/settings"
)

// rekeyEvery is how often the settings file is looked at: who takes a key away does not want to wait, and a look costs microseconds.
const rekeyEvery = time.Second

// settingsFile is a file of settings whose keys and passwords are put in force when it changes, as certificates are when theirs do.
type settingsFile struct {
	path     string
	settings *settings.Settings // in force, of which the next opening of the node begins
	log      *slog.Logger
	seen     os.FileInfo // as it was read; nil: it is no regular file, and cannot be read again
	met      os.FileInfo // as it was at the last look
}

// openSettingsFile is for settings that are read from path next.
func openSettingsFile(path string, inForce *settings.Settings, log *slog.Logger) *settingsFile {
	f := &settingsFile{path: path, settings: inForce, log: log}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		f.seen = info
	}
	return f
}

// follow looks at the file until ctx is done.
func (f *settingsFile) follow(ctx context.Context, n *node.Node) error {
	if f.seen == nil {
		return nil
	}
	tick := time.NewTicker(rekeyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.look(n.Rekey)
		}
	}
}

// look reads the file again when it has changed, and not since the look before: it may be half written. While it cannot be used, or is not there because another
// is about to take its place, the keys stay.
func (f *settingsFile) look(rekey func(*settings.Settings)) {
	info, err := os.Stat(f.path)
	if err != nil || !info.Mode().IsRegular() || same(info, f.seen) {
		return
	}
	if f.met == nil || !same(info, f.met) {
		f.met = info
		return
	}
	f.seen = info
	now, err := settings.Read(f.path)
	if err != nil {
		f.log.Warn("the settings have changed and cannot be used: the keys stay", "why", err)
		return
	}
	if now.Opens(f.settings) {
		f.log.Warn("the settings have changed, and no longer have keys for a door: the keys stay until the next start", "file", f.path)
		return
	}
	changed, others := settings.KeysChanged(f.settings, &now)
	if others {
		f.log.Warn("settings other than keys and passwords have changed: the next start puts them in force", "file", f.path)
	}
	if len(changed) == 0 {
		return
	}
	f.settings.HTTP.ReadKeys, f.settings.HTTP.AdminKeys, f.settings.HTTP.WriteKeys = now.HTTP.ReadKeys, now.HTTP.AdminKeys, now.HTTP.WriteKeys
	f.settings.RESP.Password, f.settings.RESP.Passwords = now.RESP.Password, now.RESP.Passwords
	rekey(f.settings)
	f.log.Info("other keys are in force", "changed", strings.Join(changed, "; "))
}

func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
