package profile

// Ordinals is a bound: every ordinal in use is below it.
func (t *Table) Ordinals() uint32 { return uint32(len(t.ordinals.chunks) * chunkOrdinals) }
