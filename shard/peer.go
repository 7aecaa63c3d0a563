package shard

import (
	"encoding/binary"
	"slices"

	"dashi/pipeline/identity"
)

// peer is what a shard knows of another one: which of its messages have been applied here, and which of ours it has not acknowledged.
// Messages have dense positions; a delivery says "all in [first, next)", and the rule of marks (I2) does the rest.
type peer struct {
	mark uint64 // position of the next message expected from it
	part []byte // the parts, so far, of a long message whose last part is still to come
	out  outbox
}

// maxMessage is the most bytes of one message to another shard: log entries and calls between nodes have limits, and a long message keeps others
// waiting. A longer one, such as a component with long lists, travels in parts.
const maxMessage = 1 << 20

// peerChunkBytes is smaller than outboxChunkBytes: there are as many outboxes as shards, and most are empty.
const peerChunkBytes = 4 << 10

// peer is the peer with that number; peers are made when they are first met.
func (s *Shard) peer(i int) *peer {
	for len(s.peers) <= i {
		s.peers = append(s.peers, peer{out: outbox{chunkBytes: peerChunkBytes}})
	}
	return &s.peers[i]
}

// MaxShards bounds the number of a peer in an entry: what a cluster can have.
const MaxShards = 1 << 14

// send puts a message for another shard into the outbox for that one; drain handles one that is for this shard itself.
func (a *applier) send(to int, message []byte) {
	if to == a.s.settings.Self {
		var b []byte
		if n := len(a.mail.spare); n > 0 {
			b, a.mail.spare = a.mail.spare[n-1][:0], a.mail.spare[:n-1]
		}
		a.mail.local = append(a.mail.local, append(b, message...))
		return
	}
	if len(message) <= maxMessage {
		a.post(to, nil, message)
		return
	}
	for len(message) > 0 {
		n, last := min(len(message), maxMessage-2), byte(0)
		if n == len(message) {
			last = 1
		}
		a.post(to, []byte{messagePart, last}, message[:n])
		message = message[n:]
	}
}

// post puts one message into an outbox.
func (a *applier) post(to int, head, body []byte) {
	out := &a.s.peer(to).out
	was := out.bytes
	out.close(append(append(out.open(nil), head...), body...))
	a.s.peerBytes += out.bytes - was
	a.mail.sent++
}

// whole takes a message, or the next part of one. It returns the whole message if that was its last part, else nil.
func (p *peer) whole(message []byte) []byte {
	if len(message) < 2 || message[0] != messagePart {
		return message
	}
	p.part = append(p.part, message[2:]...) // a snapshot may hold the shorter slice: what that covers stays as it is
	if message[1] == 0 {
		return nil
	}
	whole := p.part
	p.part = nil
	return whole
}

// drain handles the messages that this shard has for itself, those that these make, and, when a component has moved, those that were parked.
func (a *applier) drain() {
	for len(a.mail.local) > 0 || a.mail.moved || len(a.accounts.pending) > 0 {
		a.tellAccounts()
		if len(a.mail.local) == 0 && !a.mail.moved {
			return
		}
		if a.mail.moved {
			a.mail.moved = false
			for _, m := range a.s.parked {
				a.mail.local = append(a.mail.local, slices.Clone(m)) // drain reuses buffers, and a snapshot may hold this one
			}
			a.s.parked = nil
			continue
		}
		m := a.mail.local[a.mail.next]
		if a.mail.next++; a.mail.next == len(a.mail.local) {
			a.mail.local, a.mail.next = a.mail.local[:0], 0
		}
		a.message(m, a.s.settings.Self)
		if len(a.mail.spare) < spareMessages && cap(m) <= peerChunkBytes {
			a.mail.spare = append(a.mail.spare, m)
		}
	}
}

// spareMessages is how many buffers of messages are kept.
const spareMessages = 64

// Messages builds the entry that says: here are all messages of another shard for this one in [first, next). The zero value is ready for Begin.
type Messages struct {
	buf         []byte
	first, next uint64
}

const messagesHead = entryHead + 4 + 8 + 8 + 8 // from, dialect, first, next

// Begin starts an entry of messages of shard from in its Dialect, from position first on.
func (m *Messages) Begin(from int, dialect, first uint64) {
	m.buf = append(m.buf[:0], kindMessages)
	m.buf = binary.LittleEndian.AppendUint64(m.buf, 0) // now: Seal
	m.buf = binary.LittleEndian.AppendUint32(m.buf, uint32(from))
	m.buf = binary.LittleEndian.AppendUint64(m.buf, dialect)
	m.buf = binary.LittleEndian.AppendUint64(m.buf, first)
	m.buf = binary.LittleEndian.AppendUint64(m.buf, first) // next: Seal
	m.first, m.next = first, first
}

// Add appends the message at the next position.
func (m *Messages) Add(message []byte) {
	m.buf = appendBytes(m.buf, message)
	m.next++
}

// Len is the size so far in bytes, Next the position after the last message.
func (m *Messages) Len() int     { return len(m.buf) }
func (m *Messages) Next() uint64 { return m.next }

// Seal completes the entry; now is the proposer's clock in milliseconds. The result is good until the next Begin.
func (m *Messages) Seal(now int64) []byte {
	binary.LittleEndian.PutUint64(m.buf[1:], uint64(now))
	binary.LittleEndian.PutUint64(m.buf[messagesHead-8:], m.next)
	return m.buf
}

// PeerAck says: shard Peer has all messages of this one below Position.
type PeerAck struct {
	Peer     int
	Position uint64
}

// AppendPeerAcks appends the entry with these acknowledgements.
func AppendPeerAcks(dst []byte, now int64, acks ...PeerAck) []byte {
	dst = append(dst, kindPeerAck)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(now))
	for _, ack := range acks {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(ack.Peer))
		dst = binary.LittleEndian.AppendUint64(dst, ack.Position)
	}
	return dst
}

// applyMessages applies messages of another shard by the rule of marks (I2). They are taken even when outboxes are full: two full shards would wait
// for each other.
func (s *Shard) applyMessages(body []byte, r *Result) {
	if len(body) < messagesHead-entryHead {
		r.refuse("messages of %d bytes", len(body))
		return
	}
	from, hash := int(binary.LittleEndian.Uint32(body)), le64(body[4:])
	first, next := le64(body[12:]), le64(body[20:])
	body = body[28:]
	if from >= MaxShards || from == s.settings.Self || next < first {
		r.refuse("messages [%d, %d) of shard %d", first, next, from)
		return
	}
	mark := s.peer(from).mark
	r.Mark = int64(mark)
	switch {
	case mark < first:
		r.Outcome = Gap
		return
	case next <= mark:
		return
	case s.program == nil || s.Dialect() != hash:
		r.Outcome = Stale
		return
	}
	for at := first; at < next; at++ {
		if (at-first)%lookAhead == 0 {
			s.apply.touchMessages(body)
		}
		message, rest, err := readBytes(body)
		if err != nil {
			s.counters.Corrupt++
			break
		}
		body = rest
		if at < mark {
			r.Skipped++
			continue
		}
		if message = s.peer(from).whole(message); message != nil {
			s.apply.message(message, from)
			s.apply.drain()
		}
		r.Applied++
	}
	s.peer(from).mark = next
	r.Mark = int64(next)
}

// touchMessages reads ahead what the next messages are about: as for events, the cache misses of a group overlap.
func (a *applier) touchMessages(body []byte) {
	s, n := a.s, 0
	for n < lookAhead && len(body) > 0 {
		m, rest, err := readBytes(body)
		if err != nil {
			break
		}
		body = rest
		if len(m) < 2 || m[0] == messagePart || m[0] == messagePeople || m[0] == messageAccount || int(m[1]) >= len(s.program.namespace) {
			continue
		}
		value, _, err := readBytes(m[2:])
		if err != nil {
			continue
		}
		a.ahead.hashes[n] = identity.Hash(s.namespaces[s.program.namespace[m[1]]], value)
		n++
	}
	a.touch(a.ahead.hashes[:n])
}

func (s *Shard) applyPeerAcks(body []byte, r *Result) {
	if len(body)%12 != 0 {
		r.refuse("acknowledgements of %d bytes", len(body))
		return
	}
	for ; len(body) > 0; body = body[12:] {
		i := int(binary.LittleEndian.Uint32(body))
		if i >= len(s.peers) {
			continue
		}
		out := &s.peers[i].out
		was := out.bytes
		out.ack(le64(body[4:]))
		s.peerBytes += out.bytes - was
	}
}

// PeerMark is the position of the next message that this shard expects of shard i: a delivery that was answered Gap goes on from there.
func (s *Shard) PeerMark(i int) uint64 {
	if i >= len(s.peers) {
		return 0
	}
	return s.peers[i].mark
}

// Outgoing calls fn for every shard for which messages wait, with the positions of the oldest and of the next one.
func (s *Shard) Outgoing(fn func(to int, first, next uint64)) {
	for i := range s.peers {
		if o := &s.peers[i].out; o.first < o.next {
			fn(i, o.first, o.next)
		}
	}
}

// EachMessage calls fn for the messages for a shard from a position on, in order, until it returns false. The slices are good for as long as
// the caller holds the shard for reading.
func (s *Shard) EachMessage(to int, from uint64, fn func(position uint64, message []byte) bool) {
	if to >= len(s.peers) {
		return
	}
	s.peers[to].out.each(from, func(position uint64, _, message []byte) bool { return fn(position, message) })
}

func appendParked(dst []byte, parked [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(parked)))
	for _, m := range parked {
		dst = appendBytes(dst, m)
	}
	return dst
}

func (s *Shard) restoreParked(src []byte) (rest []byte, err error) {
	n, src, err := uvarint(src)
	if err != nil || n > uint64(len(src)) {
		return nil, errShort
	}
	for range n {
		var m []byte
		if m, src, err = readBytes(src); err != nil {
			return nil, err
		}
		s.parked = append(s.parked, slices.Clone(m))
	}
	return src, nil
}

func appendPeers(dst []byte, peers []peer) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(peers)))
	for i := range peers {
		dst = binary.AppendUvarint(dst, peers[i].mark)
		dst = appendBytes(peers[i].out.append(dst), peers[i].part)
	}
	return dst
}

func (s *Shard) freezePeers() []peer {
	frozen := make([]peer, len(s.peers))
	for i := range s.peers {
		frozen[i] = peer{s.peers[i].mark, s.peers[i].part, s.peers[i].out.freeze()}
	}
	return frozen
}

func (s *Shard) restorePeers(src []byte, version byte) (rest []byte, err error) {
	n, src, err := uvarint(src)
	if err != nil || n > MaxShards {
		return nil, errShort
	}
	for i := range int(n) {
		p := s.peer(i)
		if p.mark, src, err = uvarint(src); err != nil {
			return nil, err
		}
		if src, err = p.out.restore(src); err != nil {
			return nil, err
		}
		s.peerBytes += p.out.bytes
		if version < 18 {
			continue
		}
		var part []byte
		if part, src, err = readBytes(src); err != nil {
			return nil, err
		}
		if len(part) > 0 {
			p.part = slices.Clone(part)
		}
	}
	return src, nil
}
