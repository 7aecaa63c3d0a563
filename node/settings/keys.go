package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"dashi/node/httpapi"
)

// LookUpKeys are those that let in to HTTP, but for who sends events.
func (s *Settings) LookUpKeys() httpapi.Keys {
	return httpapi.Keys{Read: s.HTTP.ReadKeys, Admin: s.HTTP.AdminKeys}
}

// WriteKeys are those that may send events.
func (s *Settings) WriteKeys() []string {
	if len(s.HTTP.WriteKeys) == 0 {
		return nil
	}
	return slices.Concat(s.HTTP.WriteKeys, s.HTTP.AdminKeys) // who may do everything may send events
}

// RESPPasswords are those that let in to RESP.
func (s *Settings) RESPPasswords() []string {
	if s.RESP.Password == "" {
		return s.RESP.Passwords
	}
	return append(slices.Clone(s.RESP.Passwords), s.RESP.Password)
}

// Opens says whether somebody who has no key is let in by s where he was not before: a file that is half written, or written by mistake, is no reason for that.
func (s *Settings) Opens(before *Settings) bool {
	keys := func(s *Settings) int { return len(s.HTTP.ReadKeys) + len(s.HTTP.AdminKeys) }
	return keys(before) > 0 && keys(s) == 0 || len(before.HTTP.WriteKeys) > 0 && len(s.HTTP.WriteKeys) == 0 || len(before.RESPPasswords()) > 0 && len(s.RESPPasswords()) == 0
}

// KeysChanged says which keys and passwords differ between the settings before and now, without showing any, as in "http.read_keys: 1 added, 1 gone". others
// says whether something else differs too, which only another start puts in force.
func KeysChanged(before, now *Settings) (changed []string, others bool) {
	for _, list := range []struct {
		name        string
		before, now []string
	}{
		{"http.read_keys", before.HTTP.ReadKeys, now.HTTP.ReadKeys},
		{"http.admin_keys", before.HTTP.AdminKeys, now.HTTP.AdminKeys},
		{"http.write_keys", before.HTTP.WriteKeys, now.HTTP.WriteKeys},
		{"resp passwords", before.RESPPasswords(), now.RESPPasswords()},
	} {
		without := func(all, some []string) (n int) {
			for _, key := range all {
				if !slices.Contains(some, key) {
					n++
				}
			}
			return n
		}
		var parts []string
		if n := without(list.now, list.before); n > 0 {
			parts = append(parts, fmt.Sprintf("%d added", n))
		}
		if n := without(list.before, list.now); n > 0 {
			parts = append(parts, fmt.Sprintf("%d gone", n))
		}
		if len(parts) > 0 {
			changed = append(changed, list.name+": "+strings.Join(parts, ", "))
		}
	}
	return changed, !reflect.DeepEqual(before.withoutKeys(), now.withoutKeys())
}

func (s *Settings) withoutKeys() Settings {
	c := *s
	c.HTTP.ReadKeys, c.HTTP.AdminKeys, c.HTTP.WriteKeys, c.RESP.Password, c.RESP.Passwords = nil, nil, nil, "", nil
	return c
}
