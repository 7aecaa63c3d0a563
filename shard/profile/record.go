package profile

import "encoding/binary"

// Layout is the shape of all records of a table.
type Layout struct {
	Fixed    int // bytes, a multiple of 8
	Segments int // how many variable segments
}

// Limits. A record over MaxRecord, or a key over MaxKey, is an error of the caller: the shard has far lower
// limits of its own.
const (
	MaxFixed    = 1 << 20
	MaxSegments = 1 << 16
	MaxKey      = 1<<16 - 1 // bytes
	MaxRecord   = 128 << 20 // bytes, all parts together
)

// A record in its slot, little-endian. The first eight bytes are the slot's and change when the record moves or is restored;
// from bodyAt on is the content, exactly as Hash reads it and a snapshot stores it.
const (
	unitsAt     = 0  // uint16: length of the slot in units of 16 bytes; 0 for a record with its own block
	flagsAt     = 2  // byte
	ordinalAt   = 4  // uint32
	bodyAt      = 8  //
	namespaceAt = 8  // byte, and one byte that is 0
	keyLenAt    = 10 // uint16
	sequenceAt  = 12 // uint32
	hashAt      = 16 // uint64
	firstAt     = 24 // int64
	lastAt      = 32 // int64
	versionAt   = 40 // uint64
	headSize    = 48 // the key follows, then fixed, directory, data
)

// Record is a window on one record. Its slices alias the table's pages; see the package comment for how long it
// is good. Only one from Edit may be written to.
type Record struct {
	b        []byte // the slot
	fixed    int
	segments int
}

// Hash is the hash that the record was inserted with.
func (r Record) Hash() uint64 { return binary.LittleEndian.Uint64(r.b[hashAt:]) }

// Ordinal is the record's small stable number (I3).
func (r Record) Ordinal() uint32 { return binary.LittleEndian.Uint32(r.b[ordinalAt:]) }

// Namespace is the first part of the key.
func (r Record) Namespace() uint8 { return r.b[namespaceAt] }

// Key is the second part of the key, the identifier's value. Nobody may write to it.
func (r Record) Key() []byte {
	end := headSize + r.keyLen()
	return r.b[headSize:end:end]
}

// First and Last are times of the caller's choice, in milliseconds; 0 after Insert.
func (r Record) First() int64 { return int64(binary.LittleEndian.Uint64(r.b[firstAt:])) }

// Last is the companion of First.
func (r Record) Last() int64 { return int64(binary.LittleEndian.Uint64(r.b[lastAt:])) }

// Version is a counter of the caller's choice; 0 after Insert.
func (r Record) Version() uint64 { return binary.LittleEndian.Uint64(r.b[versionAt:]) }

// Sequence is a counter of the caller's choice; 0 after Insert.
func (r Record) Sequence() uint32 { return binary.LittleEndian.Uint32(r.b[sequenceAt:]) }

// SetFirst sets First of a record from Edit.
func (r Record) SetFirst(ms int64) { binary.LittleEndian.PutUint64(r.b[firstAt:], uint64(ms)) }

// SetLast sets Last of a record from Edit.
func (r Record) SetLast(ms int64) { binary.LittleEndian.PutUint64(r.b[lastAt:], uint64(ms)) }

// SetVersion sets Version of a record from Edit.
func (r Record) SetVersion(v uint64) { binary.LittleEndian.PutUint64(r.b[versionAt:], v) }

// SetSequence sets Sequence of a record from Edit.
func (r Record) SetSequence(n uint32) { binary.LittleEndian.PutUint32(r.b[sequenceAt:], n) }

// Fixed is the fixed part, Layout.Fixed bytes. It is not aligned.
func (r Record) Fixed() []byte {
	at := headSize + r.keyLen()
	end := at + r.fixed
	return r.b[at:end:end]
}

// Dir is the directory of the segments: a little-endian uint32 each, where it ends in Data. Only SetSegment and SetSegments change it.
func (r Record) Dir() []byte {
	at := r.dirAt()
	end := at + 4*r.segments
	return r.b[at:end:end]
}

// Data is the segments one after another.
func (r Record) Data() []byte {
	at := r.dirAt() + 4*r.segments
	end := at + r.dataLen()
	return r.b[at:end:end]
}

// Parts is Fixed, Dir and Data at once.
func (r Record) Parts() (fixed, dir, data []byte) {
	at := headSize + r.keyLen()
	dirAt := at + r.fixed
	dataAt := dirAt + 4*r.segments
	fixed, dir = r.b[at:dirAt:dirAt], r.b[dirAt:dataAt:dataAt]
	if r.segments > 0 {
		end := dataAt + int(binary.LittleEndian.Uint32(r.b[dataAt-4:]))
		data = r.b[dataAt:end:end]
	}
	return fixed, dir, data
}

// Segment is segment i, which may be edited in place at the same length in a record from Edit.
func (r Record) Segment(i int) []byte {
	start, end := r.bounds(i)
	at := r.dirAt() + 4*r.segments
	return r.b[at+start : at+end : at+end]
}

func (r Record) keyLen() int { return int(binary.LittleEndian.Uint16(r.b[keyLenAt:])) }

func (r Record) dirAt() int { return headSize + r.keyLen() + r.fixed }

// bounds is where segment i begins and ends in Data.
func (r Record) bounds(i int) (start, end int) {
	dir := r.Dir()
	end = int(binary.LittleEndian.Uint32(dir[4*i:]))
	if i > 0 {
		start = int(binary.LittleEndian.Uint32(dir[4*i-4:]))
	}
	return start, end
}

func (r Record) dataLen() int {
	if r.segments == 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(r.b[r.dirAt()+4*r.segments-4:]))
}

// size is how many bytes of the slot are in use.
func (r Record) size() int { return r.dirAt() + 4*r.segments + r.dataLen() }

// body is the content of the record: what Hash reads and a snapshot stores.
func (r Record) body() []byte { return r.b[bodyAt:r.size()] }

// Body is the content of the record, which RecordOf makes one of again. It aliases the table's pages.
func (r Record) Body() []byte { return r.body() }

// RecordOf makes a record of the body of one: it is read as if it were in a table of that layout, and has ordinal 0. The body is
// copied. The error is ErrCorrupt when the lengths in it do not add up.
func RecordOf(l Layout, body []byte) (Record, error) {
	if err := l.checkBody(body); err != nil {
		return Record{}, err
	}
	return Record{b: append(make([]byte, bodyAt, bodyAt+len(body)), body...), fixed: l.Fixed, segments: l.Segments}, nil
}
