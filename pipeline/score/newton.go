package score

import "math"

// fit finds the weights by Newton's method: each round solves a linear system (Cholesky), in a fixed order of operations. A step
// that makes the penalised loss worse is halved, so it converges from zero for any data: the loss is convex.
func (t *trainer) fit(l2 float64) (rounds int, err error) {
	n := len(t.values) + 1
	t.weights = make([]float64, n)
	loss := t.loss(l2)
	for rounds = 1; rounds <= mostRounds; rounds++ {
		gradient, hessian := t.derivatives(l2)
		if !solve(hessian, gradient, n) {
			return rounds, bad("the inputs cannot be told apart, whatever the penalty: raise --l2")
		}
		before := append([]float64(nil), t.weights...)
		better := false
		for step := 1.0; step > 1e-10; step /= 2 {
			for i := range t.weights {
				t.weights[i] = before[i] - float64(step*gradient[i])
			}
			if next := t.loss(l2); next <= loss {
				better = loss-next > 1e-10*math.Abs(loss)
				loss = next
				break
			}
			copy(t.weights, before)
		}
		if !better {
			break
		}
	}
	return min(rounds, mostRounds), nil
}

// loss is the negative logarithm of the likelihood, plus the penalty.
func (t *trainer) loss(l2 float64) float64 {
	sum := 0.0
	for row, yes := range t.labels {
		if t.held[row] {
			continue
		}
		z := t.sum(row)
		if yes {
			z = -z
		}
		// log(1 + e^z) without overflow.
		sum += max(z, 0) + log1p(exp(-math.Abs(z)))
	}
	for _, w := range t.weights[1:] {
		sum += float64(float64(l2/2*w) * w)
	}
	return sum
}

// derivatives are the gradient and the lower half of the matrix of second derivatives.
func (t *trainer) derivatives(l2 float64) (gradient, hessian []float64) {
	n := len(t.values) + 1
	gradient, hessian = make([]float64, n), make([]float64, n*n)
	x := make([]float64, n)
	x[0] = 1
	for row, yes := range t.labels {
		if t.held[row] {
			continue
		}
		for i := range t.values {
			x[i+1] = t.values[i][row]
		}
		p := logistic(t.sum(row))
		miss, curve := p, float64(p*(1-p))
		if yes {
			miss = p - 1
		}
		for i := range n {
			gradient[i] += float64(miss * x[i])
			c := float64(curve * x[i])
			line := hessian[i*n : i*n+i+1]
			for j := range line {
				line[j] += float64(c * x[j])
			}
		}
	}
	for i := 1; i < n; i++ {
		gradient[i] += float64(l2 * t.weights[i])
		hessian[i*n+i] += l2
	}
	return gradient, hessian
}

// solve replaces b by the solution of a*x = b, for a symmetric positive matrix of which the lower half is given, which it
// overwrites with its Cholesky factor.
func solve(a, b []float64, n int) bool {
	for i := range n {
		for j := range i + 1 {
			sum := a[i*n+j]
			for k := range j {
				sum -= float64(a[i*n+k] * a[j*n+k])
			}
			if i > j {
				a[i*n+j] = sum / a[j*n+j]
				continue
			}
			if !(sum > 0) {
				return false
			}
			a[i*n+i] = math.Sqrt(sum)
		}
	}
	for i := range n {
		for k := range i {
			b[i] -= float64(a[i*n+k] * b[k])
		}
		b[i] /= a[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			b[i] -= float64(a[k*n+i] * b[k])
		}
		b[i] /= a[i*n+i]
	}
	return true
}
