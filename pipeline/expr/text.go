package expr

import (
	"bytes"
	"regexp"
	"unicode"
	"unicode/utf8"
)

// room returns the scratch space with room for n more bytes. What was appended before stays where it is.
func (e *Env) room(n int) []byte {
	if cap(e.Scratch)-len(e.Scratch) < n {
		e.Scratch = make([]byte, 0, max(n, scratchChunk))
	}
	return e.Scratch
}

// built takes what was appended to the scratch space since start.
func (e *Env) built(buffer []byte, start int) []byte {
	e.Scratch = buffer
	return buffer[start:len(buffer):len(buffer)]
}

// concat joins a and b in the scratch space.
func concat(a, b Str) Str {
	return func(env *Env) ([]byte, bool) {
		x, ok := a(env)
		if !ok {
			return nil, false
		}
		y, ok := b(env)
		if !ok || len(x)+len(y) > MaxString {
			return nil, false
		}
		buffer := env.room(len(x) + len(y))
		start := len(buffer)
		buffer = append(buffer, x...)
		return env.built(append(buffer, y...), start), true
	}
}

// lower gives the string itself when there is nothing to change.
func lower(a Str) Str {
	return func(env *Env) ([]byte, bool) {
		s, ok := a(env)
		if !ok {
			return nil, false
		}
		i := 0
		for i < len(s) && s[i] < utf8.RuneSelf && (s[i] < 'A' || s[i] > 'Z') {
			i++
		}
		if i == len(s) {
			return s, true
		}
		buffer := env.room(3 * len(s)) // the lower case of a rune of one or two bytes has three at most
		start := len(buffer)
		buffer = append(buffer, s[:i]...)
		for i < len(s) {
			if c := s[i]; c < utf8.RuneSelf {
				if c >= 'A' && c <= 'Z' {
					c += 'a' - 'A'
				}
				buffer = append(buffer, c)
				i++
				continue
			}
			r, n := utf8.DecodeRune(s[i:])
			buffer = utf8.AppendRune(buffer, unicode.ToLower(r))
			i += n
		}
		return env.built(buffer, start), true
	}
}

// printed compiles string(x).
func printed(x *node, when timing) *node {
	n := &node{kind: StringType, timing: when}
	switch x.kind {
	case StringType:
		return x
	case NumberType:
		n.s = func(env *Env) ([]byte, bool) {
			v, ok := x.n(env)
			if !ok {
				return nil, false
			}
			buffer := env.room(32)
			return env.built(appendNumber(buffer, v), len(buffer)), true
		}
	case TimeType:
		n.s = func(env *Env) ([]byte, bool) {
			ms, ok := x.t(env)
			if !ok {
				return nil, false
			}
			buffer := env.room(32)
			return env.built(appendTime(buffer, ms), len(buffer)), true
		}
	default:
		yes, no := []byte("true"), []byte("false")
		n.s = func(env *Env) ([]byte, bool) {
			switch x.b(env) {
			case True:
				return yes, true
			case False:
				return no, true
			}
			return nil, false
		}
	}
	return foldConstant(n, x)
}

// twoStrings compiles contains, startsWith and endsWith.
func twoStrings(function string, a, b Str) Bool {
	test := bytes.Contains
	switch function {
	case "startsWith":
		test = bytes.HasPrefix
	case "endsWith":
		test = bytes.HasSuffix
	}
	return func(env *Env) Truth {
		x, ok := a(env)
		if !ok {
			return Absent
		}
		y, ok := b(env)
		if !ok {
			return Absent
		}
		return truthOf(test(x, y))
	}
}

// matches compiles a match with a pattern, which checkLiterals has seen.
func matches(a Str, pattern []byte) Bool {
	re := regexp.MustCompile(string(pattern))
	return func(env *Env) Truth {
		s, ok := a(env)
		if !ok {
			return Absent
		}
		return truthOf(re.Match(s))
	}
}
