package event

import (
	"encoding/binary"
	"math/bits"
)

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// word is the eight bytes at src[i], with zeros behind the end.
func word(src []byte, i int) uint64 {
	if i+8 > len(src) {
		return shortWord(src, i)
	}
	return binary.LittleEndian.Uint64(src[i:])
}

//go:noinline
func shortWord(src []byte, i int) uint64 {
	if i < len(src) && len(src) >= 8 { // the last eight bytes, without those before i
		return le64(src[len(src)-8:]) >> (8 * uint(i+8-len(src)) & 63)
	}
	var w uint64
	for j := len(src) - 1; j >= i; j-- {
		w = w<<8 | uint64(src[j])
	}
	return w
}

// skipSpace returns the index of the first byte that is not JSON white space.
func skipSpace(src []byte, i int) int {
	for i < len(src) && src[i] <= ' ' && (src[i] == ' ' || src[i] == '\n' || src[i] == '\t' || src[i] == '\r') {
		i++
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// What scanString has seen in a string.
const (
	hasEscape = 1 << iota
	hasHigh   // bytes over 0x7f
)

// scanString returns the index of the quote that ends the string beginning at src[i], behind the opening quote.
// It checks all that JSON asks (no control characters, escapes that exist) but UTF-8. On failure end is ^position.
func scanString(src []byte, i int) (end int, flags uint8) {
	var high uint64
	for {
		w := word(src, i) // a zero from behind the end is a control character
		// Turning a bit over that only tells ' ' from '"' puts the quote right behind the control characters, so one comparison
		// finds both. The lowest bit set marks the first of them or of the backslashes exactly; borrows can make false marks only
		// above a true one.
		stop := ((w ^ 2*ones - ('"'^2+1)*ones) | (w ^ '\\'*ones - ones)) &^ w & highs
		if stop == 0 {
			high |= w
			i += 8
			continue
		}
		at := bits.TrailingZeros64(stop)
		high |= w & (1<<(at&63) - 1)
		i += at >> 3
		if i < len(src) && src[i] == '"' {
			if high&highs != 0 {
				flags |= hasHigh
			}
			return i, flags
		}
		if i >= len(src) || src[i] != '\\' {
			return ^i, 0
		}
		if i = skipEscape(src, i); i < 0 {
			return i, 0
		}
		flags |= hasEscape
	}
}

// skipEscape returns the index behind the escape at src[i], or ^position.
func skipEscape(src []byte, i int) int {
	if i+1 >= len(src) {
		return ^len(src)
	}
	switch src[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if j >= len(src) {
				return ^len(src)
			}
			if hexDigit(src[j]) < 0 {
				return ^j
			}
		}
		return i + 6
	}
	return ^(i + 1)
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// number is a JSON number taken apart: mant * 10^exp, when exact says that nothing was lost.
type number struct {
	mant    uint64
	exp     int32
	neg     bool
	integer bool // digits only, perhaps with a minus
	exact   bool
}

// maxMantissa digits always fit 64 bits.
const maxMantissa = 19

// scanNumber returns the index behind the number at src[i]; on failure end is ^position.
func scanNumber(src []byte, i int) (end int, n number) {
	if src[i] == '-' {
		n.neg = true
		i++
	}
	if i >= len(src) || src[i]-'0' > 9 {
		return ^i, n
	}
	digits := i
	mant := uint64(src[i] - '0')
	i++
	if mant != 0 {
		for i < len(src) && src[i]-'0' <= 9 {
			mant = mant*10 + uint64(src[i]-'0')
			i++
		}
	}
	count := i - digits
	exp := 0
	n.integer = true
	if i < len(src) && src[i] == '.' {
		n.integer = false
		i++
		fraction := i
		for i < len(src) && src[i]-'0' <= 9 {
			mant = mant*10 + uint64(src[i]-'0')
			i++
		}
		if i == fraction {
			return ^i, n
		}
		exp = fraction - i
		count -= exp
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		n.integer = false
		e, next := scanExponent(src, i+1)
		if next < 0 {
			return next, n
		}
		exp += e
		i = next
	}
	n.mant, n.exp, n.exact = mant, int32(exp), count <= maxMantissa
	return i, n
}

// shortDigits digits are a mantissa that float64 holds exactly.
const shortDigits = 15

// shortNumber reads the usual number at src[i]: few digits, at most a fraction, no sign, no exponent. end is 0 when it is not one, and also
// when it is no number at all. One operation on exact operands rounds once, as in number.float.
func shortNumber(src []byte, i int) (end int, f float64) {
	begin, mant := i, uint64(0)
	for i < len(src) && src[i]-'0' <= 9 {
		mant = mant*10 + uint64(src[i]-'0')
		i++
	}
	digits := i - begin
	if digits == 0 || digits > 1 && src[begin] == '0' {
		return 0, 0
	}
	fraction := 0
	if i < len(src) && src[i] == '.' {
		i++
		from := i
		for i < len(src) && src[i]-'0' <= 9 {
			mant = mant*10 + uint64(src[i]-'0')
			i++
		}
		if fraction = i - from; fraction == 0 {
			return 0, 0
		}
	}
	if digits+fraction > shortDigits || i < len(src) && src[i]|0x20 == 'e' {
		return 0, 0
	}
	f = float64(mant)
	if fraction > 0 {
		f /= pow10[fraction]
	}
	return i, f
}

// scanExponent reads what follows the e. Values beyond any float64 are cut to one that is too.
func scanExponent(src []byte, i int) (e, end int) {
	neg := false
	if i < len(src) && (src[i] == '+' || src[i] == '-') {
		neg = src[i] == '-'
		i++
	}
	begin := i
	for i < len(src) && src[i]-'0' <= 9 {
		if e < 1<<20 {
			e = e*10 + int(src[i]-'0')
		}
		i++
	}
	if i == begin {
		return 0, ^i
	}
	if neg {
		e = -e
	}
	return e, i
}

// The literals, as the word that begins with them.
const (
	wordTrue  = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
	wordFals  = 'f' | 'a'<<8 | 'l'<<16 | 's'<<24
	wordFalse = wordFals | 'e'<<32
	wordNull  = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
)

// scanLiteral returns the index behind true, false or null, or ^i.
func scanLiteral(src []byte, i int) int {
	w := word(src, i)
	switch {
	case w&0xffffffff == wordTrue, w&0xffffffff == wordNull:
		return i + 4
	case w&0xffffffffff == wordFalse:
		return i + 5
	}
	return ^i
}

// skip returns the index behind the value at src[i], which is at the given depth already, after checking that it is
// valid JSON.
func (d *Decoder) skip(src []byte, i, depth int) (int, *Rejected) {
	open := d.open[:0] // the closing bracket of each container that is open
	for {
		if i >= len(src) {
			return 0, truncated(src)
		}
		end := 0
		switch c := src[i]; c {
		case '"':
			if end, _ = scanString(src, i+1); end >= 0 {
				end++
			}
		case '{', '[':
			if depth+len(open)+1 > d.limits.Depth {
				return 0, d.tooDeep(i)
			}
			i = skipSpace(src, i+1)
			if i < len(src) && src[i] == c+2 { // in ASCII the closing bracket is two behind the opening one
				end = i + 1
				break
			}
			open = append(open, c+2)
			d.open = open
			if c == '[' {
				continue
			}
			var r *Rejected
			if _, i, r = d.key(src, i); r != nil {
				return 0, r
			}
			continue
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			end, _ = scanNumber(src, i)
		default:
			end = scanLiteral(src, i)
		}
		if end < 0 {
			return 0, malformed(src, ^end)
		}
		i = end
		var r *Rejected
		if i, open, r = d.closeAll(src, i, open); r != nil || len(open) == 0 {
			return i, r
		}
	}
}

// closeAll goes from behind a value to the next one, or to behind the last bracket of open.
func (d *Decoder) closeAll(src []byte, i int, open []byte) (int, []byte, *Rejected) {
	for len(open) > 0 {
		i = skipSpace(src, i)
		if i >= len(src) {
			return 0, open, truncated(src)
		}
		closing := open[len(open)-1]
		switch src[i] {
		case closing:
			open = open[:len(open)-1]
			i++
		case ',':
			i = skipSpace(src, i+1)
			if closing == ']' {
				return i, open, nil
			}
			_, i, r := d.key(src, i)
			return i, open, r
		default:
			return 0, open, malformed(src, i)
		}
	}
	return i, open, nil
}

// key reads `"key" :` and the white space behind it. The key has its escapes resolved; it is good until the next key.
func (d *Decoder) key(src []byte, i int) (key []byte, next int, r *Rejected) {
	if i >= len(src) || src[i] != '"' {
		return nil, 0, malformed(src, i)
	}
	end, flags := scanString(src, i+1)
	if end < 0 {
		return nil, 0, malformed(src, ^end)
	}
	key = src[i+1 : end]
	if flags&hasEscape != 0 {
		d.keyText = unescape(d.keyText[:0], key)
		key = d.keyText
	}
	i = skipSpace(src, end+1)
	if i >= len(src) || src[i] != ':' {
		return nil, 0, malformed(src, i)
	}
	return key, skipSpace(src, i+1), nil
}
