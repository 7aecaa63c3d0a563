package attribute

// epoch is 1970-01-01 in days since 0000-01-01.
const epoch = 719528

// Months are counted from January of year 0, days from 1970-01-01. Of the months that events come from the first day is looked up.
const (
	firstMonth  = 12 * 1970
	knownMonths = 12 * 200
)

var monthStarts = func() (starts [knownMonths + 1]int32) {
	for i := range starts {
		m := int64(firstMonth + i)
		starts[i] = int32(dayOf(m/12, m%12+1, 1))
	}
	return starts
}()

// monthStart is the first day of a month.
func monthStart(month int64) int64 {
	if i := month - firstMonth; i >= 0 && i < int64(len(monthStarts)) {
		return int64(monthStarts[i])
	}
	y := floorDiv(month, 12)
	return dayOf(y, month-12*y+1, 1)
}

// monthOf is the month that a day lies in.
func monthOf(d int64) int64 {
	// 400 years are 4,800 months and 146,097 days: by the mean month the number is at most 1 too great or too small.
	if i := max(d*4800/146097-1, 0); d >= 0 && i < knownMonths-2 {
		for int64(monthStarts[i+1]) <= d {
			i++
		}
		return firstMonth + i
	}
	y, m, _ := civil(int(d + epoch))
	return 12*int64(y) + int64(m) - 1
}

// dayOf is the inverse of civil, for days since 1970.
func dayOf(year, month, date int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	yoe := year - 400*era
	doy := (153*(month-3)+2)/5 + date - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy + 60 - epoch
}

// addMonths is the same date some months later or earlier, or the last of the month when it has no such date.
func addMonths(d, n int64) int64 {
	m := monthOf(d)
	date := d - monthStart(m)
	return min(monthStart(m+n)+date, monthStart(m+n+1)-1)
}
