package result

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteTable prints what, measured, target, met or not; then how many targets were met.
func WriteTable(out io.Writer, figures []Figure) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WORKLOAD\tWHAT\tMEASURED\tTARGET\t")
	targets, missed, quick, last := 0, 0, false, ""
	for i := range figures {
		f := &figures[i]
		name := f.Workload
		if name == last {
			name = ""
		}
		last = f.Workload
		target := ""
		if f.Target != nil {
			target = f.Target.sign() + number(f.Target.Value)
			targets++
			if !f.Target.Met(f.Value) {
				missed++
			}
		}
		quick = quick || f.Quick
		fmt.Fprintf(w, "%s\t%s\t%s %s\t%s\t%s\n", name, f.Metric, number(f.Value), f.Unit, target, f.verdict())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d of %d targets met.\n", targets-missed, targets)
	if quick {
		fmt.Fprintln(out, "A quick run: smaller sizes, not comparable with a full one.")
	}
	return nil
}

// number has three significant digits or all before the point, in groups of three.
func number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Sprint(v)
	}
	decimals := 0
	if a := math.Abs(v); v != math.Trunc(v) && a < 100 {
		decimals = 2
		if a >= 10 {
			decimals = 1
		} else if a < 1 {
			decimals = 3
		}
	}
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	whole, fraction, _ := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction
}
