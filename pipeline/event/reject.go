package event

import (
	"fmt"
	"strconv"
)

// quoted is how much of the input a message shows.
const quoted = 60

func malformed(src []byte, i int) *Rejected {
	if i >= len(src) {
		return truncated(src)
	}
	end := min(len(src), i+20)
	return &Rejected{Malformed, fmt.Sprintf("byte %d: unexpected %s", i, strconv.QuoteToASCII(string(src[i:end])))}
}

func truncated(src []byte) *Rejected {
	return &Rejected{Malformed, fmt.Sprintf("it ends too early, after %d bytes", len(src))}
}

func (d *Decoder) tooDeep(i int) *Rejected {
	return &Rejected{TooDeep, fmt.Sprintf("byte %d: nested deeper than %d", i, d.limits.Depth)}
}

// problem says what is wrong with one value.
type problem uint8

const (
	fine     problem = iota
	badType          // of another type altogether
	badText          // the right type, but it does not read as what was wanted
	badUTF8          //
	tooLong          // over Limits.StringBytes
	infinite         // a number beyond float64
	tooMany          // over Limits.Items
)

var wanted = [...]string{Bool: "bool", Number: "number", String: "string", Time: "RFC 3339 or unix time"}

// explain makes the rejection for a value at path.
func (d *Decoder) explain(p problem, path, want string, t *token) *Rejected {
	switch p {
	case badText:
		return &Rejected{WrongType, fmt.Sprintf("%s: want %s, got %s %s", path, want, t.kind, quote(t.text))}
	case badUTF8:
		return &Rejected{Malformed, path + ": not UTF-8: " + quote(t.text)}
	case tooLong:
		return &Rejected{TooLarge, fmt.Sprintf("%s: more than %d bytes", path, d.limits.StringBytes)}
	case tooMany:
		return &Rejected{TooMany, fmt.Sprintf("%s: more than %d elements", path, d.limits.Items)}
	case infinite:
		return &Rejected{WrongType, fmt.Sprintf("%s: want finite number, got %s", path, quote(t.text))}
	}
	return &Rejected{WrongType, fmt.Sprintf("%s: want %s, got %s", path, want, t.kind)}
}

// quote shows the beginning of text, within the 200 bytes of Rejected.Detail even when every byte is escaped.
func quote(text []byte) string {
	more := ""
	if len(text) > quoted {
		text, more = text[:quoted], "..."
	}
	q := strconv.QuoteToASCII(string(text))
	if len(q) > 3*quoted {
		q, more = q[:3*quoted], "..."
	}
	return q + more
}
