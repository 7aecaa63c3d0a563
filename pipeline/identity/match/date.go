package match

import (
	"strconv"
	"strings"
)

// dateOrder is how the dates of one column are written when the year does not stand first.
type dateOrder uint8

const (
	dayFirst   dateOrder = iota // 24/12/1971, as most of the world writes
	monthFirst                  // 12/24/1971
)

// findDateOrder looks for dates that can only be read in one way. Without any, the day stands first.
func findDateOrder(sample [][]string, column int) dateOrder {
	for _, row := range sample {
		if column >= len(row) {
			continue
		}
		parts := dateParts(row[column])
		if len(parts) != 3 || len(parts[0]) > 2 || len(parts[1]) > 2 {
			continue
		}
		first, _ := strconv.Atoi(parts[0])
		second, _ := strconv.Atoi(parts[1])
		if first > 12 && first <= 31 {
			return dayFirst
		}
		if second > 12 && second <= 31 {
			return monthFirst
		}
	}
	return dayFirst
}

func dateParts(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '/' || r == '.' || r == ' ' || r == 'T' })
}

// dateForm writes a date as yyyymmdd. A text that is no date is kept as its digits, for they may be a slip of the
// pen away from one. The time of day is dropped.
func dateForm(s string, order dateOrder) string {
	s = strings.TrimSpace(s)
	parts := dateParts(s)
	if len(parts) >= 3 {
		y, m, d := parts[0], parts[1], parts[2]
		if len(y) <= 2 && len(d) == 4 {
			y, m, d = d, parts[1], parts[0]
			if order == monthFirst {
				m, d = d, m
			}
		}
		if len(y) == 4 && len(m) <= 2 && len(d) <= 2 && len(digits(y+m+d)) == len(y+m+d) {
			return y + pad2(m) + pad2(d)
		}
	}
	d := digits(s)
	if strings.Trim(d, "0") == "" {
		return ""
	}
	return d[:min(len(d), 8)]
}

func pad2(s string) string {
	if len(s) == 1 {
		return "0" + s
	}
	return s
}
