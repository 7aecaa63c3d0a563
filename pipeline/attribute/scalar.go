package attribute

// scalar is what kinds without elements have in common; each overrides what its type reads.
type scalar struct{}

func (scalar) HasSegment() bool                                           { return false }
func (scalar) Num(fixed, seg []byte, now int64) (v float64, ok bool)      { return 0, false }
func (scalar) Str(fixed, seg []byte, now int64) (v []byte, ok bool)       { return nil, false }
func (scalar) Truth(fixed, seg []byte, now int64) (v, ok bool)            { return false, false }
func (scalar) Len(fixed, seg []byte, now int64) int                       { return 0 }
func (scalar) Elements(fixed, seg []byte, now int64) Elements             { return Elements{} }
func (scalar) Find(fixed, seg, key []byte, now int64) (v float64, o bool) { return 0, false }
