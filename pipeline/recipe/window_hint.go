package recipe

import (
	"regexp"
	"strings"

	"dashi/pipeline/attribute"
)

var (
	spokenWindow = regexp.MustCompile(`^(?:(?:the )?(?:last|past|previous|rolling) )?([1-9][0-9]*|a|an|one)? ?(sec|second|min|minute|hr|hour|day|week|month|mo|year|yr|quarter|[smhdwy])s?$`)
	nowWindow    = regexp.MustCompile(`^(?:this |current |calendar )?(day|week|month|year)(?: to date)?$`)
	windowUnits  = map[string]string{"sec": "s", "second": "s", "s": "s", "min": "m", "minute": "m", "m": "m", "hr": "h", "hour": "h", "h": "h", "day": "d", "d": "d",
		"week": "w", "w": "w", "month": "mo", "mo": "mo"}
	calendarNames = map[string]string{"today": "this day", "daily": "this day", "weekly": "this week", "monthly": "this month", "yearly": "this year",
		"mtd": "this month", "ytd": "this year", "wtd": "this week"}
)

// before is what to write for the calendar day, week or month before this one: a window ends now, so it takes two.
func before(unit, short string) string {
	return "for the " + unit + " before this one take a window of 2" + short + " with bucket: 1" + short + ", and subtract one of this " + unit + " in a `derived` attribute"
}

// ended is the hint for "last month" and its like.
func ended(unit, short string) string {
	if len(unit) <= 2 {
		unit = map[string]string{"d": "day", "w": "week", "mo": "month"}[short]
	}
	return "write 1" + short + " for the " + unit + " up to now; " + before(unit, short)
}

// windowHint says what to write for a window as people say it, such as "last 30 days" or "last month"; "" when it has nothing to add.
func windowHint(text string) string {
	if _, err := attribute.ParseLength(text); text == "" || err == nil {
		return ""
	}
	said := strings.Join(strings.Fields(strings.ToLower(strings.NewReplacer("_", " ", "-", " ").Replace(text))), " ")
	if exact := calendarNames[said]; exact != "" {
		return "write " + exact
	}
	if said == "yesterday" {
		return before("day", "d")
	}
	if m := nowWindow.FindStringSubmatch(said); m != nil {
		if exact := "this " + m[1]; exact != text {
			return "write " + exact
		}
		return ""
	}
	m := spokenWindow.FindStringSubmatch(said)
	if m == nil {
		return ""
	}
	n, unit := m[1], windowUnits[m[2]]
	switch {
	case m[2] == "quarter":
		return "write 3mo for the three months up to now"
	case unit == "" && (n == "" || n == "1" || len(n) > 0 && n[0] == 'a' || n == "one"):
		return "write 12mo for the year up to now, or this year"
	case unit == "":
		return "write months, such as 24mo"
	case n == "" && unit != "d" && unit != "w" && unit != "mo":
		n = "1"
	case n == "":
		return ended(m[2], unit)
	case n[0] == 'a' || n == "one":
		n = "1"
	}
	if n+unit == text {
		return ""
	}
	return "write " + n + unit
}
