package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Meta is what a node says about itself. FORMAT.md has the bytes.
type Meta struct {
	// Cluster is the id of the cluster that the node belongs to; empty while it does not belong to one yet.
	Cluster     string
	Incarnation uint64
	Node        string // host:port for other nodes
	HTTP        string // host:port for clients
	Zone        string
	Weight      uint16
	// Expect is how many nodes found a cluster that does not exist yet; 0: it does.
	Expect uint16
}

const (
	metaVersion = 1
	metaBytes   = 512 // memberlist's limit
	metaText    = 255
)

// appendMeta appends the bytes of m.
func appendMeta(dst []byte, m *Meta) ([]byte, error) {
	start := len(dst)
	dst = append(dst, metaVersion)
	dst = binary.LittleEndian.AppendUint64(dst, m.Incarnation)
	dst = binary.LittleEndian.AppendUint16(dst, m.Weight)
	dst = binary.LittleEndian.AppendUint16(dst, m.Expect)
	for _, text := range []string{m.Cluster, m.Node, m.HTTP, m.Zone} {
		if len(text) > metaText {
			return nil, fmt.Errorf("cannot gossip %q: it is longer than %d bytes", text, metaText)
		}
		dst = append(dst, byte(len(text)))
		dst = append(dst, text...)
	}
	if n := len(dst) - start; n > metaBytes {
		return nil, fmt.Errorf("cannot gossip what this node is: %d bytes of cluster, addresses and zone, at most %d", n, metaBytes)
	}
	return dst, nil
}

var errMeta = errors.New("what the node says about itself cannot be read: it is of another version, or no dashi")

// readMeta reads what appendMeta wrote. Versions to come may append to it.
func readMeta(src []byte) (m Meta, err error) {
	if len(src) < 13 || src[0] != metaVersion {
		return Meta{}, errMeta
	}
	m.Incarnation = binary.LittleEndian.Uint64(src[1:])
	m.Weight = binary.LittleEndian.Uint16(src[9:])
	m.Expect = binary.LittleEndian.Uint16(src[11:])
	src = src[13:]
	for _, text := range []*string{&m.Cluster, &m.Node, &m.HTTP, &m.Zone} {
		if len(src) == 0 || len(src) < 1+int(src[0]) {
			return Meta{}, errMeta
		}
		n := int(src[0])
		*text = string(src[1 : 1+n])
		src = src[1+n:]
	}
	return m, nil
}
