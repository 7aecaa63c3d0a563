// Package score evaluates models in the stream: logistic regression, and gradient-boosted trees made by LightGBM or XGBoost. Train
// makes the former; the latter are loaded from the files that those libraries write.
//
// It is pure: a model is a function of numbers. It does not know what the numbers mean, where they come from, or what a score is for;
// that is package recipe's.
//
// A caller gives the bytes of a model file to Load, asks for its Inputs, and calls Score with one value for each, in that
// order; NaN stands for a value that is not there. Factors says what each input added to one score.
//
// Invariants:
//
//	I1  The same model and inputs give the same bits on every machine: additions in a fixed order, no fused operation, and
//	    exponential and logarithm made of these (math.Exp differs between processors).
//	I2  Missing values are handled as the library does that made the model: LightGBM's missing type of each split, XGBoost's
//	    default direction. In a logistic regression a missing number stands for the mean.
//	I3  Score does not allocate, and takes no lock: a Model may be used by any number of goroutines.
//	I4  No file makes Load panic or loop; what it loads, Score evaluates in bounded time.
//	I5  Train gives the same bytes for the same input.
package score
