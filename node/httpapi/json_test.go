package httpapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestValid(t *testing.T) {
	f := func(in string, want bool) {
		t.Helper()
		v, err := (&scanner{buf: []byte(in)}).valid()
		if (err == nil) != want {
			t.Errorf("%q: %v", in, err)
		}
		if err == nil && string(v) != strings.Trim(in, " \t\r\n") {
			t.Errorf("%q: value %q", in, v)
		}
	}
	for _, s := range []string{`{}`, ` [ ] `, `[{},{"a":[]}]`, `{"a":1,"b":[1,2,{"c":null}]}`, `-0.5e+10`, `0`, `"\u00e9\\\""`, "\t{ \"a\" :\r\n1 }", `true`, `"` + "\xff" + `"`} {
		f(s, true)
	}
	for _, s := range []string{``, ` `, `{`, `[`, `]`, `{]`, `[}`, `[1,]`, `{"a":1,}`, `{"a"}`, `{a:1}`, `{"a":}`, `[1 2]`, `01`, `+1`, `1.`, `.5`, `1e`, `-`, `nul`, `truex`,
		`"`, `"\x"`, `"\u12g4"`, `"\u12"`, "\"\n\"", `{} {}`, `{,}`, `[,1]`, `NaN`, "\xef\xbb\xbf{}", `{"a":1 "b":2}`, `{"a"::1}`, `{1:2}`} {
		f(s, false)
	}
	deep := strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000)
	f(deep, true)
	f(deep[1:], false)
	f(deep+"]", false)
	f(strings.Repeat(`{"a":`, 100_000), false)
}

func FuzzValid(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,true,null,"x\u0041"],"b":{}}`, `[[],[{}]]`, `{"batch":[{"a":1}]}`, ` 1 `, `"\ud800"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		s := scanner{buf: in}
		v, err := s.valid()
		if want := json.Valid(in); want != (err == nil) && bytes.Count(in, []byte("["))+bytes.Count(in, []byte("{")) < 10_000 {
			t.Fatalf("%q: %v, encoding/json says %v", in, err, want)
		}
		if err != nil {
			return
		}
		// What members and elements find is what encoding/json finds.
		s.buf = v
		switch v[0] {
		case '{':
			var want map[string]json.RawMessage
			if json.Unmarshal(v, &want) != nil {
				return
			}
			got := map[string]string{}
			s.members(0, func(m member) bool { got[string(m.name)] = string(v[m.from:m.to]); return true })
			for name, value := range want {
				if raw, ok := got[name]; ok && raw != string(value) {
					t.Fatalf("member %q: %q, want %q", name, raw, value)
				} else if !ok && !strings.Contains(name, "\ufffd") {
					t.Fatalf("member %q is missing in %q", name, got)
				}
			}
		case '[':
			var want []json.RawMessage
			if json.Unmarshal(v, &want) != nil {
				return
			}
			n := 0
			s.elements(0, func(from, to int) bool {
				if string(v[from:to]) != string(want[n]) {
					t.Fatalf("element %d: %q, want %q", n, v[from:to], want[n])
				}
				n++
				return true
			})
			if n != len(want) {
				t.Fatalf("%d elements, want %d", n, len(want))
			}
		}
	})
}
