package attribute

// Renewed says whether the state of k has had another form, which Renew brings into the one that Update and Merge write.
func Renewed(k Kind) bool {
	switch k.(type) {
	case *shelf, *sequence:
		return true
	}
	return false
}

// Renew brings a state that an earlier version wrote into today's form, with the rules of Update for the result. Such a state can be read and updated as it is,
// and shows the same; but replicas must have the same bytes.
//
//   - A tally in a window had no bytes to spare, and did not say which bucket is the second oldest.
//   - A sequence counted the complete keys also where they are not shown.
func Renew(k Kind, fixed, seg, scratch []byte) []byte {
	was := append(scratch[:0], fixed[:k.FixedSize()]...)
	clear(fixed[:k.FixedSize()])
	return k.Merge(fixed, nil, was, seg, was[len(was):])
}
