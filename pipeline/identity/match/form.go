package match

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"dashi/pipeline/identity"
)

// longest bounds, in characters, what is kept of a value: comparisons take time with its square.
const longest = 64

// fold brings a text to lower case, without accents and punctuation, with single blanks. Blocked placeholders ("N/A", "unknown")
// become nothing.
func fold(s string) string {
	if identity.Blocked([]byte(s)) {
		return ""
	}
	var b strings.Builder
	n, blank := 0, false
	for _, r := range s {
		if n >= longest { // a blank and a letter come together
			break
		}
		switch {
		case r == '\'' || r == '’' || r == '`' || unicode.Is(unicode.Mn, r):
			continue // O'Brien is OBrien, and a combining accent is dropped as composed ones are
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			blank = b.Len() > 0
			continue
		}
		if blank {
			b.WriteByte(' ')
			n, blank = n+1, false
		}
		if plain := unaccent(unicode.ToLower(r)); plain != "" {
			b.WriteString(plain)
		} else {
			b.WriteRune(unicode.ToLower(r))
		}
		n++
	}
	return b.String()
}

// unaccent is the plain form of the Latin letters that people leave the accent off; "" for all others.
func unaccent(r rune) string {
	if r < utf8.RuneSelf {
		return ""
	}
	switch r {
	case 'à', 'á', 'â', 'ã', 'å', 'ā', 'ă', 'ą':
		return "a"
	case 'ä', 'æ':
		return "ae"
	case 'ç', 'ć', 'č':
		return "c"
	case 'ď', 'đ', 'ð':
		return "d"
	case 'è', 'é', 'ê', 'ë', 'ē', 'ė', 'ę', 'ě':
		return "e"
	case 'ğ':
		return "g"
	case 'ì', 'í', 'î', 'ï', 'ī', 'ı':
		return "i"
	case 'ł', 'ľ':
		return "l"
	case 'ñ', 'ń', 'ň':
		return "n"
	case 'ò', 'ó', 'ô', 'õ', 'ō', 'ő':
		return "o"
	case 'ö', 'ø', 'œ':
		return "oe"
	case 'ř':
		return "r"
	case 'ś', 'š', 'ş', 'ș':
		return "s"
	case 'ß':
		return "ss"
	case 'ť', 'ț', 'ţ':
		return "t"
	case 'ù', 'ú', 'û', 'ū', 'ů', 'ű':
		return "u"
	case 'ü':
		return "ue"
	case 'ý', 'ÿ':
		return "y"
	case 'ź', 'ż', 'ž':
		return "z"
	}
	return ""
}

// compact is fold without blanks.
func compact(s string) string { return strings.ReplaceAll(fold(s), " ", "") }

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// phoneForm is what of a number is the same however it is written: its digits without zeros in front.
func phoneForm(s string) string {
	if identity.Blocked([]byte(s)) {
		return ""
	}
	d := strings.TrimLeft(digits(s), "0")
	if len(d) < 5 {
		return ""
	}
	return d[:min(len(d), longest)]
}

func emailForm(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if identity.Blocked([]byte(s)) {
		return ""
	}
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest])
	}
	return s
}

// nameParts splits a full name: "Marsha Kelly", "Kelly, Marsha", "M. Kelly". What is between is left out.
func nameParts(s string) (given, family string) {
	if before, after, ok := strings.Cut(s, ","); ok && strings.TrimSpace(after) != "" {
		words := strings.Fields(fold(after))
		if len(words) == 0 {
			return "", fold(before)
		}
		return words[0], fold(before)
	}
	words := strings.Fields(fold(s))
	switch len(words) {
	case 0:
		return "", ""
	case 1:
		return "", words[0]
	}
	return words[0], words[len(words)-1]
}

// form is the form of a value in which it is compared; "" when there is nothing to compare.
func form(k Kind, s string, dates dateOrder) string {
	switch k {
	case Date:
		return dateForm(s, dates)
	case Email:
		return emailForm(s)
	case Phone:
		return phoneForm(s)
	case Postcode, Number, Code:
		return compact(s)
	}
	return fold(s)
}
