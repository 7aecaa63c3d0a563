package node

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"dashi/node/httpapi"
)

// Rekey puts the keys and passwords of s in force in place of those before: for HTTP requests that begin from now on, and for RESP connections, of which those end that
// came in by a password that is gone. The other settings stay as they are. The node is open.
func (n *Node) Rekey(s *Settings) {
	n.keyring.Set(s.lookUpKeys())
	n.api.SetWriteKeys(s.writeKeys())
	if n.resp != nil {
		n.resp.SetPasswords(s.respPasswords())
	}
}

func (s *Settings) lookUpKeys() httpapi.Keys {
	return httpapi.Keys{Read: s.HTTP.ReadKeys, Admin: s.HTTP.AdminKeys}
}

// writeKeys are those that may send events.
func (s *Settings) writeKeys() []string {
	if len(s.HTTP.WriteKeys) == 0 {
		return nil
	}
	return slices.Concat(s.HTTP.WriteKeys, s.HTTP.AdminKeys) // who may do everything may send events
}

func (s *Settings) respPasswords() []string {
	if s.RESP.Password == "" {
		return s.RESP.Passwords
	}
	return append(slices.Clone(s.RESP.Passwords), s.RESP.Password)
}

// Opens says whether somebody who has no key is let in by s where he was not before: a file that is half written, or written by mistake, is no reason for that.
func (s *Settings) Opens(before *Settings) bool {
	keys := func(s *Settings) int { return len(s.HTTP.ReadKeys) + len(s.HTTP.AdminKeys) }
	return keys(before) > 0 && keys(s) == 0 || len(before.HTTP.WriteKeys) > 0 && len(s.HTTP.WriteKeys) == 0 || len(before.respPasswords()) > 0 && len(s.respPasswords()) == 0
}

// KeysChanged says which keys and passwords differ between the settings before and now, without showing any, as in "http.read_keys: 1 added, 1 gone". others says whether something else differs too, which only another start puts in force.
func KeysChanged(before, now *Settings) (changed []string, others bool) {
	for _, list := range []struct {
		name        string
		before, now []string
	}{
		{"http.read_keys", before.HTTP.ReadKeys, now.HTTP.ReadKeys},
		{"http.admin_keys", before.HTTP.AdminKeys, now.HTTP.AdminKeys},
		{"http.write_keys", before.HTTP.WriteKeys, now.HTTP.WriteKeys},
		{"resp passwords", before.respPasswords(), now.respPasswords()},
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
