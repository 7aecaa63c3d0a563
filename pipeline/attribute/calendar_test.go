package attribute

import "testing"

// Months against dates, day by day, where they are looked up and where not.
func TestMonths(t *testing.T) {
	for d := int64(-epoch); d < 9999*365; d++ {
		y, m, date := civil(int(d + epoch))
		month := 12*int64(y) + int64(m) - 1
		if got := monthOf(d); got != month {
			t.Fatalf("day %d is in month %d, not %d", d, month, got)
		}
		if got := monthStart(month); got != d-int64(date)+1 {
			t.Fatalf("month %d begins on day %d, not %d", month, d-int64(date)+1, got)
		}
	}
}
