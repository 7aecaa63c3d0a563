package expr

import (
	"sort"
	"strings"
)

// functionWords are the functions of the language and how each is written, for messages.
var functionWords = map[string]struct{ usage string }{
	"size":            {"size(x) of a string, set, tally or list"},
	"has":             {"has(x)"},
	"known":           {"known(x)"},
	"coalesce":        {"coalesce(x, y) with x and y of one type"},
	"timestamp":       {`timestamp("2026-01-31T12:00:00Z")`},
	"duration":        {`duration("30d")`},
	"double":          {"double(string)"},
	"string":          {"string(x) of a number, condition or time"},
	"lower":           {"lower(string)"},
	"contains":        {"string.contains(string)"},
	"startsWith":      {"string.startsWith(string)"},
	"endsWith":        {"string.endsWith(string)"},
	"matches":         {"string.matches(pattern)"},
	"abs":             {"abs(number)"},
	"floor":           {"floor(number)"},
	"round":           {"round(number)"},
	"min":             {"min(number, number)"},
	"max":             {"max(number, number)"},
	"top":             {"top(attribute, percent), as in top(likely, 10)"},
	"favourite":       {"favourite(tally)"},
	"latest":          {"latest(list)"},
	"getFullYear":     {`time.getFullYear() or time.getFullYear("+09:00")`},
	"getMonth":        {`time.getMonth() or time.getMonth("+09:00"); January is 0`},
	"getDate":         {`time.getDate() or time.getDate("+09:00")`},
	"getDayOfMonth":   {`time.getDayOfMonth() or time.getDayOfMonth("+09:00"); the first is 0`},
	"getDayOfYear":    {`time.getDayOfYear() or time.getDayOfYear("+09:00"); the first is 0`},
	"getDayOfWeek":    {`time.getDayOfWeek() or time.getDayOfWeek("+09:00"); Sunday is 0`},
	"getHours":        {`time.getHours(), time.getHours("+09:00") or duration.getHours()`},
	"getMinutes":      {`time.getMinutes(), time.getMinutes("+09:00") or duration.getMinutes()`},
	"getSeconds":      {`time.getSeconds(), time.getSeconds("+09:00") or duration.getSeconds()`},
	"getMilliseconds": {`time.getMilliseconds() or time.getMilliseconds("+09:00")`},
	"exists":          {"list.exists(x, condition)"},
	"exists_one":      {"list.exists_one(x, condition)"},
	"all":             {"list.all(x, condition)"},
	"filter":          {"list.filter(x, condition)"},
	"map":             {"list.map(x, value)"},
}

// nearest finds the known name that was probably meant: at most a third of its characters wrong, and the
// first in order among equals. What both have before a dot does not count. Empty when none is near.
func nearest(name string, known []string) string {
	sort.Strings(known)
	best, bestDistance := "", len(name)
	for _, k := range known {
		if k == name {
			continue
		}
		x, y := differing(name, k)
		limit := min(bestDistance, 1+max(len(x), 3)/3)
		if d := distance(fold(x), fold(y), limit); d < limit {
			best, bestDistance = k, d
		}
	}
	return best
}

// differing cuts from two paths the parts before a dot that they share.
func differing(a, b string) (x, y string) {
	for {
		i, j := strings.IndexByte(a, '.'), strings.IndexByte(b, '.')
		if i < 0 || i != j || a[:i] != b[:j] {
			return a, b
		}
		a, b = a[i+1:], b[j+1:]
	}
}

// fold takes away what people mix up most: case, and _ or - or a space between words.
func fold(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c == '_' || c == '-' || c == ' ':
		case c >= 'A' && c <= 'Z':
			out = append(out, c+'a'-'A')
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

// distance is the number of bytes to insert, delete, change or swap with a neighbour to make b of a (optimal
// string alignment). It gives up with limit.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
