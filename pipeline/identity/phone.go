package identity

import (
	"bytes"
	"fmt"
)

// region is how numbers are dialled inside one country.
type region struct {
	iso      string
	code     string // country calling code
	trunk    string // national prefix, dropped when the country code is written; empty for none
	exit     string // international prefix, besides 00
	min, max int    // digits of a national number, without trunk prefix
}

// regions are the countries whose national numbers are understood, by ISO 3166 code. It is a small table
// of the dialling plans (ITU E.164 national plans), not a copy of libphonenumber: it knows how a number is
// dialled and how long it may be, not which blocks are in use.
var regions = []region{
	{"AE", "971", "0", "", 8, 9}, {"AR", "54", "0", "", 10, 11}, {"AT", "43", "0", "", 5, 13},
	{"AU", "61", "0", "0011", 9, 9}, {"BE", "32", "0", "", 8, 9}, {"BG", "359", "0", "", 7, 9},
	{"BR", "55", "0", "", 10, 11}, {"CA", "1", "1", "011", 10, 10}, {"CH", "41", "0", "", 9, 9},
	{"CL", "56", "", "", 9, 9}, {"CN", "86", "0", "", 9, 11}, {"CO", "57", "", "", 10, 10},
	{"CZ", "420", "", "", 9, 9}, {"DE", "49", "0", "", 5, 12}, {"DK", "45", "", "", 8, 8},
	{"EE", "372", "", "", 7, 8}, {"EG", "20", "0", "", 8, 10}, {"ES", "34", "", "", 9, 9},
	{"FI", "358", "0", "", 5, 12}, {"FR", "33", "0", "", 9, 9}, {"GB", "44", "0", "", 9, 10},
	{"GR", "30", "", "", 10, 10}, {"HK", "852", "", "001", 8, 8}, {"HR", "385", "0", "", 8, 9},
	{"HU", "36", "06", "", 8, 9}, {"ID", "62", "0", "001", 8, 12}, {"IE", "353", "0", "", 7, 9},
	{"IL", "972", "0", "", 8, 9}, {"IN", "91", "0", "", 10, 10}, {"IT", "39", "", "", 6, 12},
	{"JP", "81", "0", "010", 9, 10}, {"KE", "254", "0", "000", 9, 9}, {"KR", "82", "0", "001", 8, 10},
	{"LT", "370", "0", "", 8, 8}, {"LU", "352", "", "", 4, 11}, {"LV", "371", "", "", 8, 8},
	{"MX", "52", "", "", 10, 10}, {"MY", "60", "0", "", 8, 10}, {"NG", "234", "0", "009", 8, 10},
	{"NL", "31", "0", "", 9, 9}, {"NO", "47", "", "", 8, 8}, {"NZ", "64", "0", "", 8, 10},
	{"PE", "51", "0", "", 8, 9}, {"PH", "63", "0", "", 8, 10}, {"PK", "92", "0", "", 9, 10},
	{"PL", "48", "", "", 9, 9}, {"PT", "351", "", "", 9, 9}, {"RO", "40", "0", "", 9, 9},
	{"RU", "7", "8", "810", 10, 10}, {"SA", "966", "0", "", 8, 9}, {"SE", "46", "0", "", 7, 10},
	{"SG", "65", "", "001", 8, 8}, {"SI", "386", "0", "", 8, 8}, {"SK", "421", "0", "", 9, 9},
	{"TH", "66", "0", "001", 8, 9}, {"TR", "90", "0", "", 10, 10}, {"TW", "886", "0", "002", 8, 9},
	{"UA", "380", "0", "", 9, 9}, {"US", "1", "1", "011", 10, 10}, {"VN", "84", "0", "", 8, 10},
	{"ZA", "27", "0", "", 9, 9},
}

// E.164 numbers have at most 15 digits; the shortest in use, with their country code, have 7.
const (
	shortestPhone = 7
	longestPhone  = 15
)

// Regions are the codes that Region takes, sorted.
func Regions() []string {
	codes := make([]string, len(regions))
	for i := range regions {
		codes[i] = regions[i].iso
	}
	return codes
}

func findRegion(iso string) (*region, error) {
	if iso == "" {
		return nil, nil
	}
	for i := range regions {
		if equalFold([]byte(iso), []byte(regions[i].iso)) {
			return &regions[i], nil
		}
	}
	return nil, fmt.Errorf("region %q: %w", iso, ErrRegion)
}

// appendPhone appends +, country code and number. home is the region of numbers without a country code; nil: none.
func appendPhone(dst, value []byte, home *region) ([]byte, bool) {
	var buf [24]byte // 15 digits, and room for an exit and a trunk prefix
	digits, plus, ok := phoneDigits(buf[:0], value)
	if !ok {
		return dst, false
	}
	if !plus {
		if digits, plus = cutExit(digits, home); !plus {
			if digits, ok = national(digits, home); !ok {
				return dst, false
			}
			dst = append(dst, '+')
			dst = append(dst, home.code...)
			return append(dst, digits...), true
		}
	}
	if len(digits) < shortestPhone || len(digits) > longestPhone || digits[0] == '0' {
		return dst, false
	}
	return append(append(dst, '+'), digits...), true
}

// cutExit drops the international prefix: 00, or the region's own.
func cutExit(digits []byte, home *region) ([]byte, bool) {
	if home != nil && home.exit != "" && bytes.HasPrefix(digits, []byte(home.exit)) {
		return digits[len(home.exit):], true
	}
	if bytes.HasPrefix(digits, []byte("00")) {
		return digits[2:], true
	}
	return digits, false
}

// national drops the trunk prefix and checks the length.
func national(digits []byte, home *region) ([]byte, bool) {
	if home == nil {
		return nil, false
	}
	if home.trunk != "" && bytes.HasPrefix(digits, []byte(home.trunk)) && len(digits)-len(home.trunk) >= home.min {
		digits = digits[len(home.trunk):]
	}
	return digits, len(digits) >= home.min && len(digits) <= home.max
}

// phoneDigits strips what people write between digits, and "(0)" after a country code. plus says that the number
// began with +. Full-width digits and signs, usual in Japan, count as their ASCII counterparts.
func phoneDigits(dst, value []byte) (digits []byte, plus, ok bool) {
	value = trimSpace(value)
	for i := 0; i < len(value); {
		c, n := narrow(value[i:])
		switch {
		case c >= '0' && c <= '9':
			if len(dst) == cap(dst) {
				return nil, false, false
			}
			dst = append(dst, c)
		case c == '+' && i == 0:
			plus = true
		case c == '(' && plus && len(dst) > 0 && bytes.HasPrefix(value[i:], []byte("(0)")):
			n = len("(0)")
		case c == ' ' || c == '-' || c == '.' || c == '(' || c == ')' || c == '/' || c == '\t':
		default:
			return nil, false, false
		}
		i += n
	}
	return dst, plus, len(dst) > 0
}

// narrow returns the next character, with full-width forms (U+FF01..U+FF5E), the ideographic and the no-break
// space and the usual Unicode dashes as ASCII; 0 for any other that is not ASCII.
func narrow(b []byte) (c byte, size int) {
	if b[0] < 0x80 {
		return b[0], 1
	}
	if len(b) >= 2 && b[0] == 0xc2 && b[1] == 0xa0 { // U+00A0
		return ' ', 2
	}
	if len(b) < 3 {
		return 0, 1
	}
	switch {
	case b[0] == 0xef && b[1] == 0xbc && b[2] >= 0x81 && b[2] <= 0xbf: // U+FF01..U+FF3F
		return b[2] - 0x81 + '!', 3
	case b[0] == 0xe3 && b[1] == 0x80 && b[2] == 0x80: // U+3000
		return ' ', 3
	case b[0] == 0xe2 && b[1] == 0x80 && b[2] >= 0x90 && b[2] <= 0x95: // U+2010..U+2015
		return '-', 3
	case b[0] == 0xe2 && b[1] == 0x88 && b[2] == 0x92: // U+2212
		return '-', 3
	}
	return 0, 1
}
