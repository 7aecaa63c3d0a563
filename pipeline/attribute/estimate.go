package attribute

import (
	"encoding/binary"
	"math"
)

// estimate is the number of different values behind HyperLogLog registers, by the improved raw estimator of
// O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6. It needs no
// table of bias corrections, holds over the whole range, and uses only operations that IEEE 754 rounds
// exactly, so every machine computes the same. The conversions to float64 forbid fusing.
// counts holds, as uint16, how many registers have each value.
func estimate(counts []byte, precision uint) float64 {
	count := func(value int) float64 { return float64(binary.LittleEndian.Uint16(counts[2*value:])) }
	q := int(64 - precision)
	m := float64(int(1) << precision)
	z := float64(m * tau(1-count(q+1)/m))
	for i := q; i >= 1; i-- {
		z = float64(0.5 * (z + count(i)))
	}
	z += float64(m * sigma(count(0)/m))
	const alpha = 0.721347520444481703680 // 1 / (2 ln 2)
	return float64(alpha*m) * m / z
}

func sigma(x float64) float64 {
	if x >= 1 { // more only when corrupt
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x = float64(x * x)
		before := z
		z += float64(x * y)
		y += y
		if z == before {
			return z
		}
	}
}

func tau(x float64) float64 {
	if x <= 0 || x >= 1 { // less or more only when corrupt
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		before := z
		y = float64(0.5 * y)
		z -= float64(float64((1-x)*(1-x)) * y)
		if z == before {
			return z / 3
		}
	}
}
