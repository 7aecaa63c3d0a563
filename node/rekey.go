package node

import "dashi/node/settings"

// Rekey puts the keys and passwords of s in force in place of those before: for HTTP requests that begin from now on, and for RESP connections, HTTP streams and lists of
// members, of which those end that came in by one that is gone. The other settings stay as they are. The node is open.
func (n *Node) Rekey(s *settings.Settings) {
	n.doors.keyring.Set(s.LookUpKeys())
	n.doors.api.SetWriteKeys(s.WriteKeys())
	if n.doors.resp != nil {
		n.doors.resp.SetPasswords(s.RESPPasswords())
	}
}
