package score

import "math"

// exp and log are made of additions, multiplications and divisions in a fixed order, each rounded, so that every processor gives the
// same bits (I1). They are within a few units of the last place of the exact result.

const (
	ln2High = 0x1.62e42fee00000p-1 // ln 2 = high + low; k * high is exact for the k that occur
	ln2Low  = 0x1.a39ef35793c76p-33
)

// exp is e to the power of x.
func exp(x float64) float64 {
	switch {
	case math.IsNaN(x):
		return x
	case x > 709.78:
		return math.Inf(1)
	case x < -745.2:
		return 0
	}
	k := math.Floor(float64(x*math.Log2E) + 0.5)
	r := (x - float64(k*ln2High)) - float64(k*ln2Low) // |r| <= ln(2)/2
	// Taylor's series: r^18 / 18! is below the last place.
	sum := 1.0
	for n := 17; n > 0; n-- {
		sum = 1 + float64(float64(r*sum)/float64(n))
	}
	return math.Ldexp(sum, int(k))
}

// log is the natural logarithm of a positive, finite x.
func log(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	// log m = 2 artanh(z), |z| <= 0.172: z^25 / 25 is below the last place.
	z := (m - 1) / (m + 1)
	square := float64(z * z)
	sum := 0.0
	for n := 25; n > 0; n -= 2 {
		sum = float64(sum*square) + 1/float64(n)
	}
	return (2*float64(z*sum) + float64(float64(e)*ln2Low)) + float64(float64(e)*ln2High)
}

// log1p is log(1 + x) for x >= 0. What 1 + x loses is made up for by the ratio (Kahan).
func log1p(x float64) float64 {
	u := 1 + x
	if u == 1 {
		return x
	}
	return float64(log(u)*x) / (u - 1)
}

func logistic(x float64) float64 { return 1 / (1 + exp(-x)) }
