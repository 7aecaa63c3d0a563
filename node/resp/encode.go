package resp

import (
	"strconv"

	"dashi/shard"
)

func appendHead(dst []byte, kind byte, n int) []byte {
	switch { // nearly all are that short
	case uint(n) < 10:
		return append(dst, kind, '0'+byte(n), '\r', '\n')
	case uint(n) < 100:
		return append(dst, kind, '0'+byte(n/10), '0'+byte(n%10), '\r', '\n')
	}
	dst = append(dst, kind)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, '\r', '\n')
}

func appendInt(dst []byte, n int64) []byte {
	if n >= 0 && n < 10 {
		return append(dst, ':', '0'+byte(n), '\r', '\n')
	}
	dst = append(dst, ':')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\r', '\n')
}

func appendBulk[T string | []byte](dst []byte, s T) []byte {
	dst = appendHead(dst, '$', len(s))
	dst = append(dst, s...)
	return append(dst, '\r', '\n')
}

func appendSimple(dst []byte, s string) []byte {
	dst = append(dst, '+')
	dst = append(dst, s...)
	return append(dst, '\r', '\n')
}

func appendError(dst []byte, s string) []byte {
	dst = append(dst, '-')
	dst = append(dst, s...)
	return append(dst, '\r', '\n')
}

// shownBytes is how much of a client's own text an error repeats.
const shownBytes = 64

// appendShown appends text of a client into an error line, where no line may end.
func appendShown(dst, s []byte) []byte {
	dst = append(dst, '\'')
	for i, c := range s {
		if i == shownBytes {
			dst = append(dst, "..."...)
			break
		}
		if c < ' ' || c == 0x7f {
			c = '?'
		}
		dst = append(dst, c)
	}
	return append(dst, '\'')
}

// A count that is known only afterwards is written in place: room is left for the digits that are likely, and what
// follows moves only when there are more or fewer.

func digits(n int) int {
	d := 1
	for n >= 10 {
		n /= 10
		d++
	}
	return d
}

// openHead writes a head with the count that is likely. It returns where the head stands.
func openHead(dst []byte, kind byte, likely int) (out []byte, at int) {
	return appendHead(dst, kind, likely), len(dst)
}

// closeHead sets the count of the head at at.
func closeHead(dst []byte, at, likely, n int) []byte {
	had, want := digits(likely), digits(n)
	body := at + 1 + had
	switch {
	case want > had:
		var room [20]byte
		dst = append(dst, room[:want-had]...)
		copy(dst[body+want-had:], dst[body:])
	case want < had:
		copy(dst[body-(had-want):], dst[body:])
		dst = dst[:len(dst)-(had-want)]
	}
	for i := at + want; i > at; i-- {
		dst[i] = '0' + byte(n%10)
		n /= 10
	}
	return dst
}

// likelyFieldBytes has as many digits as the length of most values: a time is 24 bytes, a number below 10.
const likelyFieldBytes = 9

// appendField appends attribute i as a bulk string; nothing is appended when nothing has been seen of it.
func appendField(dst []byte, v *shard.View, i int) (out []byte, ok bool) {
	dst, at := openHead(dst, '$', likelyFieldBytes)
	body := len(dst)
	dst, ok = v.AppendField(dst, i)
	if !ok {
		return dst[:at], false
	}
	dst = closeHead(dst, at, likelyFieldBytes, len(dst)-body)
	return append(dst, '\r', '\n'), true
}
