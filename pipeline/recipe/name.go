package recipe

import (
	"slices"
	"strconv"
	"strings"
)

// reserved are words that mean something else in an expression.
var reserved = []string{
	// CEL
	"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
	"namespace", "null", "package", "return", "true", "var", "void", "while",
	// what an expression reads
	"anonymousId", "channel", "consent", "context", "event", "groupId", "item", "messageId", "name", "now", "places",
	"previousId", "profile", "properties", "row", "time", "timestamp", "traits", "type", "userId",
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// checkName says what is wrong with a key, and what to do; "" when it is good.
func checkName(s string, rule naming) (message, hint string) {
	if rule == anyName {
		return "", ""
	}
	if len(s) > maxName {
		return quote(s) + " is longer than " + strconv.Itoa(maxName) + " bytes", "choose a shorter name"
	}
	switch rule {
	case identifier:
		if !isIdentifier(s) {
			if fixed := asIdentifier(s); fixed != "" {
				hint = "for instance " + quote(fixed)
			}
			return quote(s) + " is not a name: letters, digits and _, not beginning with a digit", hint
		}
		if slices.Contains(reserved, s) {
			return quote(s) + " is a reserved word", "it has a meaning in expressions; choose another name"
		}
	case plainName:
		for _, r := range s {
			if !strings.ContainsRune("_-.", r) && !isIdentifier("a"+string(r)) {
				return quote(s) + " is not a name: letters, digits, _, - and .", ""
			}
		}
	case fieldPath:
		for part := range strings.SplitSeq(s, ".") {
			if part == "" || strings.ContainsAny(part, "[]\"") {
				return quote(s) + " is not the name of a field", "for instance `total` or `shipping.city`"
			}
		}
	}
	return "", ""
}

// asIdentifier makes a name of s: blanks and the like become underscores.
func asIdentifier(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if isIdentifier("a" + string(r)) {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "_") {
			b.WriteByte('_')
		}
	}
	name := strings.Trim(b.String(), "_")
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		name = "n" + name
	}
	return name
}
