package event

// parseTime reads an RFC 3339 date and time, as milliseconds since 1970 UTC, rounded down. It is as strict as
// the profile of RFC 3339 in Go's time package: upper-case T and Z, two digits each, any fraction behind a full stop,
// no leap second.
func parseTime(b []byte) (ms int64, ok bool) {
	if len(b) < len("2006-01-02T15:04:05Z") || b[16] != ':' {
		return 0, false
	}
	date, dateOK := pairs(le64(b), yearMonth)
	clock, clockOK := pairs(le64(b[8:]), dayHourMinute)
	second := two(b[17:])
	if !dateOK || !clockOK || second > 59 {
		return 0, false
	}
	year, month := int(date&0xff)*100+int(date>>16&0xff), int(date>>40&0xff)
	day, hour, minute := int(clock&0xff), int(clock>>24&0xff), int(clock>>48&0xff)
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 {
		return 0, false
	}
	millis, b, ok := fraction(b[19:])
	if !ok {
		return 0, false
	}
	offset, ok := zone(b)
	if !ok {
		return 0, false
	}
	days := daysSince1970(int64(year), int64(month), int64(day))
	return days*86_400_000 + int64((hour*60+minute-offset)*60+second)*1000 + int64(millis), true
}

// layout is a word of text in which some bytes are digits and the others given.
type layout struct {
	text uint64 // with '0' in the place of digits
	over uint64 // what takes a byte that is not allowed over 0x7f, after text has been taken from it: 0x7f less the greatest allowed
}

var (
	yearMonth     = layoutOf("0000-00-")
	dayHourMinute = layoutOf("00T00:00")
)

func layoutOf(text string) (l layout) {
	for i := range 8 {
		over := uint64(0x7f)
		if text[i] == '0' {
			over -= 9
		}
		l.text |= uint64(text[i]) << (8 * i)
		l.over |= over << (8 * i)
	}
	return l
}

// pairs reads the digits of a word: each byte of values is the number of two digits that begins there, where two stand.
func pairs(w uint64, l layout) (values uint64, ok bool) {
	w ^= l.text
	return w*10 + w>>8, (w|(w&^highs+l.over))&highs == 0
}

// notDigits is a bit that no number of two digits has, so that several results can be checked at once.
const notDigits = 128

// two reads two digits, or returns notDigits.
func two(b []byte) int {
	hi, lo := b[0]-'0', b[1]-'0'
	if hi > 9 || lo > 9 {
		return notDigits
	}
	return int(hi)*10 + int(lo)
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// fraction reads ".123456", if it is there; the rest follows it.
func fraction(b []byte) (millis int, rest []byte, ok bool) {
	if b[0] != '.' {
		return 0, b, true
	}
	i, scale := 1, 100
	for i < len(b) && b[i]-'0' <= 9 {
		millis += int(b[i]-'0') * scale
		scale /= 10
		i++
	}
	return millis, b[i:], i > 1
}

// zone reads Z or +hh:mm as minutes east of UTC.
func zone(b []byte) (minutes int, ok bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != 6 || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	h, m := two(b[1:]), two(b[4:])
	if h > 23 || m > 59 {
		return 0, false
	}
	if b[0] == '-' {
		return -(h*60 + m), true
	}
	return h*60 + m, true
}

// daysSince1970 is the proleptic Gregorian day number, for years from 0 (Hinnant, "chrono-compatible low-level
// date algorithms", days_from_civil).
func daysSince1970(y, m, d int64) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	y += 400 // so that year -1, for January of year 0, divides downwards
	era := y / 400
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468 - 146097
}
