package attribute

// newFirstAt is last_at with the order of time turned round.
func newFirstAt() *moment { return &moment{first: true} }
