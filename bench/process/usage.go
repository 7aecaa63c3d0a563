package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used so far.
type Usage struct {
	CPU      time.Duration // user and system
	Resident int64         // bytes now, huge pages among them
	Peak     int64         // the most that it was
}

// Usage reads /proc. It fails on systems without.
func (c *Child) Usage() (Usage, error) {
	dir := "/proc/" + strconv.Itoa(c.PID())
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Usage{}, fmt.Errorf("cannot read what %q uses: %w", c.name, err)
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return Usage{}, fmt.Errorf("cannot read what %q uses: %w", c.name, err)
	}
	var u Usage
	if u.CPU, err = parseStat(string(stat)); err != nil {
		return Usage{}, err
	}
	u.Resident, u.Peak = parseKiB(string(status), "VmRSS"), parseKiB(string(status), "VmHWM")
	return u, nil
}

// tick is the unit of times in /proc/PID/stat: USER_HZ, 100 on every system that Go runs on.
const tick = time.Second / 100

// parseStat reads the processor time of /proc/PID/stat. The name of the program, in brackets, may hold anything.
func parseStat(s string) (time.Duration, error) {
	i := strings.LastIndexByte(s, ')')
	fields := strings.Fields(s[i+1:])
	if i < 0 || len(fields) < 13 {
		return 0, fmt.Errorf("cannot read /proc/PID/stat: %q", s)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64) // field 14 of proc(5); the first after the name is field 3
	if err != nil {
		return 0, fmt.Errorf("cannot read user time: %w", err)
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot read system time: %w", err)
	}
	return time.Duration(user+system) * tick, nil
}

// parseKiB finds "name:  123 kB"; 0 when it is not there.
func parseKiB(status, name string) int64 {
	for line := range strings.SplitSeq(status, "\n") {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}
