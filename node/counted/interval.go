package counted

import "math"

// confidence is that of all intervals, and normal the quantile of the normal distribution that goes with it.
const (
	confidence = 0.95
	normal     = 1.959963984540054
)

// wilson is the score interval of a proportion, some of n: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
// Journal of the American Statistical Association 22 (1927), 209-212. It holds for few people and for rates near 0 too, where the usual
// plus and minus of a standard error does not. n is above 0.
func wilson(some, n int64) (low, high float64) {
	p, m := float64(some)/float64(n), float64(n)
	middle := p + normal*normal/(2*m)
	half := normal * math.Sqrt(p*(1-p)/m+normal*normal/(4*m*m))
	scale := 1 + normal*normal/m
	low, high = (middle-half)/scale, (middle+half)/scale
	if some == 0 {
		low = 0 // not 1e-17
	}
	if some == n {
		high = 1
	}
	return low, high
}

// newcombe is the interval of the difference of two independent proportions, some of n less others of m: the hybrid score interval, method 10 of
// R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven methods", Statistics in
// Medicine 17 (1998), 873-890.
func newcombe(some, n, others, m int64) (difference, low, high float64) {
	p, q := float64(some)/float64(n), float64(others)/float64(m)
	pLow, pHigh := wilson(some, n)
	qLow, qHigh := wilson(others, m)
	return p - q, p - q - math.Hypot(p-pLow, qHigh-q), p - q + math.Hypot(pHigh-p, q-qLow)
}
