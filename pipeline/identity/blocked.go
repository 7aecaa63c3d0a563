package identity

// longestBlocked is the length of the longest word in blockedWord.
const longestBlocked = 16

// Blocked says whether value is a placeholder that clients send for want of an identifier, and that would
// make one person of thousands. Case and white space around it do not matter. Besides the words below,
// anything made of nothing but zeros and dashes (0, 000-000, the nil UUID), and nothing at all, is blocked.
func Blocked(value []byte) bool {
	value = trimSpace(value)
	if zerosAndDashes(value) {
		return true
	}
	if len(value) > longestBlocked {
		return allSame(value)
	}
	var buf [longestBlocked]byte
	for i, c := range value {
		if c >= '0' && c <= '9' || c == '@' { // which most values have and one word has
			return string(value) == "-1"
		}
		buf[i] = lowerASCII(c)
	}
	return blockedWord(buf[:len(value)])
}

// blockedWord is the built-in list, -1 aside: what Segment, GA4, mParticle and Amplitude refuse, and what the usual
// languages print for nothing. Words that could be somebody's real user name ("admin", "test") are not in it:
// a recipe adds them where they are placeholders.
func blockedWord(lower []byte) bool {
	switch string(lower) {
	case "null", "(null)", "<null>", "nil", "<nil>", "none", "(none)", "nan", "undefined", "undef",
		"void", "empty", "(empty)", "blank", "n/a", "#n/a", "not set", "(not set)", "not_set", "notset",
		"not provided", "(not provided)", "not available", "unavailable", "unassigned", "unspecified",
		"unknown", "(unknown)", "anonymous", "anon", "guest", "nobody", "no user", "missing", "default",
		"invalid", "true", "false", "{}", "[]", "\"\"", "''", "?", "[object object]", "[object]", "todo", "xxx":
		return true
	}
	return false
}

// zerosAndDashes also holds for nothing at all.
func zerosAndDashes(value []byte) bool {
	for _, c := range value {
		if c != '0' && c != '-' {
			return false
		}
	}
	return true
}

// allSame catches the UUID of all f and its like: 32 equal hexadecimal digits, with or without dashes.
func allSame(value []byte) bool {
	if len(value) != 32 && len(value) != 36 {
		return false
	}
	first := lowerASCII(value[0])
	for _, c := range value {
		if c != '-' && lowerASCII(c) != first {
			return false
		}
	}
	return first >= '0' && first <= '9' || first >= 'a' && first <= 'f'
}

func lowerASCII(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// trimSpace cuts ASCII white space. (Wider notions of space differ between versions of Unicode.)
func trimSpace(value []byte) []byte {
	for len(value) > 0 && isSpace(value[0]) {
		value = value[1:]
	}
	for len(value) > 0 && isSpace(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}
