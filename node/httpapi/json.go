package httpapi

import (
	"encoding/json"
	"errors"
)

// The envelope of a batch is read by a scanner that finds where values stand and decodes none: what is
// inside an event goes on as it came (I1). It accepts what encoding/json.Valid accepts, but nesting has no limit of its own,
// since it keeps one byte per level in place of a stack frame.

var errJSON = errors.New("not JSON")

// scanner reads JSON from buf.
type scanner struct {
	buf   []byte
	stack []byte // of skip: '{' or '['; kept for the next value
}

func (s *scanner) space(i int) int {
	for i < len(s.buf) {
		switch s.buf[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// skip returns the end of the value that starts at i. It does not recurse.
func (s *scanner) skip(i int) (end int, err error) {
	stack := s.stack[:0]
	defer func() { s.stack = stack }()
	b := s.buf
	for {
		// A value starts at i.
		if i >= len(b) {
			return 0, errJSON
		}
		switch c := b[i]; {
		case c == '{' || c == '[':
			k := s.space(i + 1)
			if k < len(b) && b[k] == c+2 { // '}' is '{'+2, ']' is '['+2
				i = k + 1
				break
			}
			stack = append(stack, c)
			i = k
			if c == '{' {
				if i, err = s.name(i); err != nil {
					return 0, err
				}
			}
			continue
		default:
			if i, err = s.scalar(i); err != nil {
				return 0, err
			}
		}
		// A value ended at i: close what ends with it, until another begins.
		for {
			if len(stack) == 0 {
				return i, nil
			}
			i = s.space(i)
			if i >= len(b) {
				return 0, errJSON
			}
			top := stack[len(stack)-1]
			if b[i] == top+2 {
				stack = stack[:len(stack)-1]
				i++
				continue
			}
			if b[i] != ',' {
				return 0, errJSON
			}
			i = s.space(i + 1)
			if top == '{' {
				if i, err = s.name(i); err != nil {
					return 0, err
				}
			}
			break
		}
	}
}

// name reads a member's name and colon, and returns where its value starts.
func (s *scanner) name(i int) (value int, err error) {
	if i, err = s.text(i); err != nil {
		return 0, err
	}
	i = s.space(i)
	if i >= len(s.buf) || s.buf[i] != ':' {
		return 0, errJSON
	}
	return s.space(i + 1), nil
}

func (s *scanner) scalar(i int) (end int, err error) {
	switch s.buf[i] {
	case '"':
		return s.text(i)
	case 't':
		return s.word(i, "true")
	case 'f':
		return s.word(i, "false")
	case 'n':
		return s.word(i, "null")
	}
	return s.number(i)
}

func (s *scanner) word(i int, w string) (end int, err error) {
	if len(s.buf)-i < len(w) || string(s.buf[i:i+len(w)]) != w {
		return 0, errJSON
	}
	return i + len(w), nil
}

// text returns the end of the string that starts at i.
func (s *scanner) text(i int) (end int, err error) {
	b := s.buf
	if i >= len(b) || b[i] != '"' {
		return 0, errJSON
	}
	for i++; ; i++ {
		for i < len(b) && !special[b[i]] {
			i++
		}
		if i >= len(b) {
			return 0, errJSON
		}
		switch b[i] {
		default:
			return 0, errJSON
		case '"':
			return i + 1, nil
		case '\\':
			i++
			if i >= len(b) {
				return 0, errJSON
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(b)-i < 5 || !allHex(b[i+1:i+5]) {
					return 0, errJSON
				}
				i += 4
			default:
				return 0, errJSON
			}
		}
	}
}

// special are the bytes that end a run of plain text in a string.
var special = func() (t [256]bool) {
	for c := range ' ' {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

func allHex(b []byte) bool {
	for _, c := range b {
		if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f') {
			return false
		}
	}
	return true
}

func (s *scanner) number(i int) (end int, err error) {
	b := s.buf
	if b[i] == '-' {
		i++
	}
	switch k := digits(b, i); {
	case k == i || b[i] == '0' && k > i+1:
		return 0, errJSON
	default:
		i = k
	}
	if i < len(b) && b[i] == '.' {
		k := digits(b, i+1)
		if k == i+1 {
			return 0, errJSON
		}
		i = k
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		k := digits(b, i)
		if k == i {
			return 0, errJSON
		}
		i = k
	}
	return i, nil
}

func digits(b []byte, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}

// valid checks that buf is one JSON value, and returns where it stands.
func (s *scanner) valid() (value []byte, err error) {
	from := s.space(0)
	to, err := s.skip(from)
	if err != nil {
		return nil, err
	}
	if s.space(to) != len(s.buf) {
		return nil, errJSON
	}
	return s.buf[from:to], nil
}

// member is one member of an object: places in the buffer.
type member struct {
	name     []byte // decoded
	from, to int    // the value
}

// members calls fn for the members of the object that starts at i, until fn returns false. It returns where the object ends,
// at its closing brace, and whether it has any member. What it reads must be valid.
func (s *scanner) members(i int, fn func(member) bool) (brace int, any bool) {
	i = s.space(i + 1)
	for s.buf[i] != '}' {
		any = true
		if s.buf[i] == ',' {
			i = s.space(i + 1)
		}
		end, _ := s.text(i)
		name := plain(s.buf[i:end])
		from, _ := s.name(i)
		to, _ := s.skip(from)
		if !fn(member{name, from, to}) {
			return to, true
		}
		i = s.space(to)
	}
	return i, any
}

// elements calls fn for the elements of the array that starts at i, until fn returns false. What it reads must be valid.
func (s *scanner) elements(i int, fn func(from, to int) bool) {
	i = s.space(i + 1)
	for s.buf[i] != ']' {
		if s.buf[i] == ',' {
			i = s.space(i + 1)
		}
		to, _ := s.skip(i)
		if !fn(i, to) {
			return
		}
		i = s.space(to)
	}
}

// plain is the text of a JSON string, which must be valid. It aliases quoted when nothing is escaped.
func plain(quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	for _, c := range inner {
		if c == '\\' {
			var s string
			if json.Unmarshal(quoted, &s) != nil {
				return inner
			}
			return []byte(s)
		}
	}
	return inner
}
