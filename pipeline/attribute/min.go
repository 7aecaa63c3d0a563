package attribute

// newMin is the mirror image of max: the smallest value is the one whose complement is greatest.
func newMin(of Type) *extreme { return &extreme{of: of, flip: ^uint64(0)} }
