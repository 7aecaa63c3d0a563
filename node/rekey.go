package node

import "dashi/node/settings"

// Rekey puts the keys and passwords of s in force in place of those before: for HTTP requests that begin from now on, and for RESP connections, of which those end that
// came in by a password that is gone. The other settings stay as they are. The node is open.
func (n *Node) Rekey(s *settings.Settings) {
	n.keyring.Set(s.LookUpKeys())
	n.api.SetWriteKeys(s.WriteKeys())
	if n.resp != nil {
		n.resp.SetPasswords(s.RESPPasswords())
	}
}
