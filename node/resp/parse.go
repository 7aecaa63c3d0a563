package resp

import "bytes"

// parser finds commands in a byte slice. It remembers how far it came, so that a command that arrives byte by byte is
// still read once: the cost of n bytes is O(n) however they are split.
type parser struct {
	spans []span // arguments found so far, relative to the start of the command
	pos   int    // where to go on, relative to the start of the command
	left  int    // arguments still to come
	open  bool   // inside a "*N" command
}

type span struct{ from, to int }

// protocolError is a reason to answer and close. The empty one is none.
type protocolError string

const (
	errArguments protocolError = "invalid multibulk length"
	errBulk      protocolError = "invalid bulk length"
	errDollar    protocolError = "expected '$'"
	errEnd       protocolError = "expected the end of an argument"
	errCommand   protocolError = "too big a command"
	errInline    protocolError = "too big inline request"
	errQuotes    protocolError = "unbalanced quotes in request"
)

// next looks for one command at the start of in. n is its length in bytes and the arguments are in p.spans; n is 0 when
// it is not complete yet: call again with more bytes at the same start. An empty command has no spans.
func (p *parser) next(in []byte, b *bounds) (n int, err protocolError) {
	if !p.open {
		if len(in) == 0 {
			return 0, ""
		}
		if in[0] != '*' {
			return p.inline(in, b)
		}
		count, to, ok := number(in, 1)
		if to == 0 {
			if ok {
				return 0, ""
			}
			return 0, errArguments
		}
		if count > b.arguments {
			return 0, errArguments
		}
		p.spans = p.spans[:0]
		if count <= 0 {
			return to, ""
		}
		p.open, p.left, p.pos = true, count, to
	}
	for p.left > 0 {
		if p.pos >= len(in) {
			return 0, ""
		}
		if in[p.pos] != '$' {
			return 0, errDollar
		}
		size, from, ok := number(in, p.pos+1)
		if from == 0 {
			if ok {
				return 0, ""
			}
			return 0, errBulk
		}
		if size < 0 || size > b.argumentBytes {
			return 0, errBulk
		}
		to := from + size
		if to+2 > b.commandBytes {
			return 0, errCommand
		}
		if to+2 > len(in) {
			return 0, ""
		}
		if in[to] != '\r' || in[to+1] != '\n' {
			return 0, errEnd
		}
		p.spans = append(p.spans, span{from, to})
		p.pos = to + 2
		p.left--
	}
	p.open = false
	n, p.pos = p.pos, 0
	return n, ""
}

// maxDigits holds every number that bounds allow, and keeps a header line short.
const maxDigits = 10

// number reads digits and CRLF from in[i:]. next is 0 when there is no whole line: ok then says whether more bytes may
// make one.
func number(in []byte, i int) (v, next int, ok bool) {
	negative := false
	if i < len(in) && in[i] == '-' {
		negative = true
		i++
	}
	start := i
	for ; i < len(in); i++ {
		c := in[i] - '0'
		if c > 9 {
			break
		}
		if i-start == maxDigits {
			return 0, 0, false
		}
		v = v*10 + int(c)
	}
	if i == len(in) {
		return 0, 0, true
	}
	if i == start || in[i] != '\r' {
		return 0, 0, false
	}
	if i+1 == len(in) {
		return 0, 0, true
	}
	if in[i+1] != '\n' {
		return 0, 0, false
	}
	if negative {
		v = -v
	}
	return v, i + 2, true
}

// inline reads a line of words, as a person types into a bare connection. Quotes keep spaces together; there are no
// escapes.
func (p *parser) inline(in []byte, b *bounds) (n int, err protocolError) {
	end := bytes.IndexByte(in[p.pos:], '\n')
	if end < 0 {
		if len(in) > b.argumentBytes {
			return 0, errInline
		}
		p.pos = len(in)
		return 0, ""
	}
	end += p.pos
	p.pos = 0
	if end > b.argumentBytes {
		return 0, errInline
	}
	p.spans = p.spans[:0]
	line := in[:end]
	for i := 0; ; {
		for i < len(line) && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r') {
			i++
		}
		if i == len(line) {
			return end + 1, ""
		}
		if len(p.spans) == b.arguments {
			return 0, errArguments
		}
		from, to := i, 0
		if q := line[i]; q == '"' || q == '\'' {
			k := bytes.IndexByte(line[i+1:], q)
			if k < 0 {
				return 0, errQuotes
			}
			from, to = i+1, i+1+k
			i = to + 1
		} else {
			for i < len(line) && line[i] != ' ' && line[i] != '\t' && line[i] != '\r' {
				i++
			}
			to = i
		}
		p.spans = append(p.spans, span{from, to})
	}
}
