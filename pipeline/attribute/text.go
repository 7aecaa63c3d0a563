package attribute

import (
	"math"
	"strconv"
)

// AppendNumber appends v as JSON: whole numbers without a point, others in the shortest form that reads back
// as v, with an exponent only below 1e-6 and from 1e21 on, as encoding/json does. What is not finite is null.
func AppendNumber(dst []byte, v float64) []byte {
	if v > -1e15 && v < 1e15 {
		if i := int64(v); float64(i) == v {
			return strconv.AppendInt(dst, i, 10)
		}
	}
	abs := math.Abs(v)
	if !(abs <= math.MaxFloat64) {
		return append(dst, "null"...)
	}
	if abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
	if n := len(dst); dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-09 is written e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// AppendTime appends ms, milliseconds since 1970 UTC, in RFC 3339, with as many decimals of the second as it
// needs. The year must be 0 to 9999; of other times null is appended.
func AppendTime(dst []byte, ms int64) []byte {
	if !timeInRange(ms) {
		return append(dst, "null"...)
	}
	const day = 24 * 60 * 60 * 1000
	since0 := ms - minTime // days are counted from year 0
	year, month, date := civil(int(since0 / day))
	rest := int(since0 % day)
	dst = appendDigits(dst, year, 1000)
	dst = append(dst, '-')
	dst = appendDigits(dst, month, 10)
	dst = append(dst, '-')
	dst = appendDigits(dst, date, 10)
	dst = append(dst, 'T')
	dst = appendDigits(dst, rest/3_600_000, 10)
	dst = append(dst, ':')
	dst = appendDigits(dst, rest/60_000%60, 10)
	dst = append(dst, ':')
	dst = appendDigits(dst, rest/1000%60, 10)
	if f := rest % 1000; f != 0 {
		dst = append(dst, '.')
		dst = appendDigits(dst, f, 100)
		for dst[len(dst)-1] == '0' {
			dst = dst[:len(dst)-1]
		}
	}
	return append(dst, 'Z')
}

// civil turns days since 0000-01-01 into a date of the proleptic Gregorian calendar. Years are counted from
// 1 March, so that the leap day is the last of its year (H. Hinnant, "chrono-compatible low-level date
// algorithms").
func civil(days int) (year, month, date int) {
	days -= 60 // now since 0000-03-01
	era := -1  // of 400 years, 146097 days; January and February of year 0 belong to the one before
	if days >= 0 {
		era = days / 146097
	}
	days -= era * 146097
	yoe := (days - days/1460 + days/36524 - days/146096) / 365
	doy := days - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	date = doy - (153*mp+2)/5 + 1
	month = mp + 3
	year = yoe + era*400
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, date
}

// appendDigits appends v with as many digits as unit says: 10 for two, 100 for three.
func appendDigits(dst []byte, v, unit int) []byte {
	for ; unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+v/unit%10))
	}
	return dst
}

// appendTimeString is AppendTime in quotes.
func appendTimeString(dst []byte, ms int64) []byte {
	if !timeInRange(ms) {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = AppendTime(dst, ms)
	return append(dst, '"')
}

func appendBool(dst []byte, v bool) []byte { return strconv.AppendBool(dst, v) }

func appendNull(dst []byte) []byte { return append(dst, "null"...) }
