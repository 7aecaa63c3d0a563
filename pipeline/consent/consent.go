package consent

import "encoding/binary"

// Update takes a statement into word. Times before 1970-01-01T00:00:00.001 count as that instant: the word 0
// is taken.
func Update(word uint64, granted bool, atMillis int64) uint64 {
	w := uint64(max(atMillis, 1)) << 1
	if granted {
		w |= 1
	}
	return Merge(word, w)
}

// Merge is the word that stands when two are known.
func Merge(a, b uint64) uint64 {
	// With the lowest bit turned round a withdrawal is above a grant of the same instant, and the greatest
	// stands. Of the words 0 and 1, which have no time, 0 does; Update never makes a 1.
	return max(a^1, b^1) ^ 1
}

// Granted says whether the last statement was a grant. Unknown is not granted.
func Granted(word uint64) bool { return word&1 == 1 && Known(word) }

// Known says whether there has been any statement.
func Known(word uint64) bool { return word > 1 }

// Time is the event time of the last statement in milliseconds since 1970, 0 when unknown.
func Time(word uint64) int64 { return int64(word >> 1) }

// Allows says whether every required purpose is granted. words holds one little-endian word a purpose; a
// purpose that is not there is unknown, and so not granted.
func Allows(words []byte, requires []int) bool {
	for _, p := range requires {
		if p < 0 || p >= len(words)/8 || !Granted(binary.LittleEndian.Uint64(words[8*p:])) {
			return false
		}
	}
	return true
}
