package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Everything between two nodes is frames; FORMAT.md has the bytes.
const (
	headerSize = 24
	// maxFrame bounds a frame: one entry of the largest size that a log takes, and what goes with it.
	maxFrame = 64 << 20
	// maxHello bounds what is read from somebody who has not said who they are.
	maxHello = 4 << 10
	// maxBody bounds what is sent in one call, answer or part: whatever is larger is streamed, so that it does not hold up others.
	maxBody = 4 << 20
)

// kind says what a frame is. A number is never reused.
type kind uint8

const (
	kindHello         kind = 1  // the first frame of who has dialled
	kindWelcome       kind = 2  // the answer to it
	kindRequest       kind = 3  // of Raft, for a group
	kindResponse      kind = 4  // to that
	kindPing          kind = 5  // is anybody there?
	kindPong          kind = 6  // yes
	kindCall          kind = 7  // for a Handler
	kindAnswer        kind = 8  // the last of a call
	kindPart          kind = 9  // one that is not the last
	kindCredit        kind = 10 // so many bytes of parts were taken
	kindCancel        kind = 11 // nobody waits for the answer any more
	kindSnapshot      kind = 12 // Raft's request to install a snapshot; its data follow
	kindSnapshotData  kind = 13
	kindSnapshotEnd   kind = 14
	kindSnapshotReply kind = 15
)

// Flags of a frame.
const (
	flagLazy  = 1 // the response may wait for company
	flagError = 2 // the body is an error
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errFrame   = errors.New("frame is damaged")
)

// header is everything of a frame but its body.
type header struct {
	kind  kind
	flags uint8
	typ   uint16 // of a request or a call
	group uint32
	id    uint64 // ties a response to its request
}

// seal completes a frame whose body stands behind room for the header.
func seal(frame []byte, h header) {
	binary.LittleEndian.PutUint32(frame, uint32(len(frame)-headerSize))
	frame[8], frame[9] = byte(h.kind), h.flags
	binary.LittleEndian.PutUint16(frame[10:], h.typ)
	binary.LittleEndian.PutUint32(frame[12:], h.group)
	binary.LittleEndian.PutUint64(frame[16:], h.id)
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(frame[8:], castagnoli))
}

// readFrame reads a frame with a body of most bytes at most. The body is the caller's.
func readFrame(r *bufio.Reader, most uint32) (header, []byte, error) {
	head, err := r.Peek(headerSize)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return header{}, nil, err
	}
	n := binary.LittleEndian.Uint32(head)
	sum := binary.LittleEndian.Uint32(head[4:])
	h := header{kind(head[8]), head[9], binary.LittleEndian.Uint16(head[10:]), binary.LittleEndian.Uint32(head[12:]), binary.LittleEndian.Uint64(head[16:])}
	if n > most {
		return header{}, nil, fmt.Errorf("frame of %d bytes, at most %d are allowed: %w", n, most, errFrame)
	}
	got := crc32.Checksum(head[8:headerSize], castagnoli)
	if _, err := r.Discard(headerSize); err != nil {
		return header{}, nil, err
	}
	body, err := readBody(r, int(n))
	if err != nil {
		return header{}, nil, err
	}
	if crc32.Update(got, castagnoli, body) != sum {
		return header{}, nil, fmt.Errorf("checksum of frame of kind %d differs: %w", h.kind, errFrame)
	}
	return h, body, nil
}

// readBody takes memory as the bytes come, not as they are announced.
func readBody(r io.Reader, n int) ([]byte, error) {
	const step = 1 << 20
	body := make([]byte, min(n, step))
	_, err := io.ReadFull(r, body)
	for at := len(body); at < n && err == nil; at = len(body) {
		body = append(body, make([]byte, min(n-at, max(step, at)))...)
		_, err = io.ReadFull(r, body[at:])
	}
	if err == io.EOF && n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}
