package attribute

// newFirst is last with the order of time and of values turned round.
func newFirst(of Type) Kind {
	if of == String {
		return &edgeString{first: true}
	}
	return &edge{of: of, flip: ^uint64(0)}
}

func newLast(of Type) Kind {
	if of == String {
		return &edgeString{}
	}
	return &edge{of: of}
}
