package meta

import "encoding/binary"

// reader takes values off the front of bytes. After something that does not fit it is bad, and gives zero values.
type reader struct {
	src []byte
	bad bool
}

func (r *reader) fail() { r.src, r.bad = nil, true }

func (r *reader) u64() uint64 {
	if len(r.src) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.src)
	r.src = r.src[8:]
	return v
}

// uint is a number of at most most. Only its shortest form is accepted, so that equal values have equal bytes.
func (r *reader) uint(most uint64) uint64 {
	v, n := binary.Uvarint(r.src)
	if n <= 0 || v > most || n > 1 && v>>(7*(n-1)) == 0 {
		r.fail()
		return 0
	}
	r.src = r.src[n:]
	return v
}

func (r *reader) byte() byte {
	if len(r.src) == 0 {
		r.fail()
		return 0
	}
	b := r.src[0]
	r.src = r.src[1:]
	return b
}

func (r *reader) bool() bool {
	b := r.byte()
	if b > 1 {
		r.fail()
	}
	return b == 1
}

func (r *reader) bytes(most uint64) []byte {
	n := r.uint(most)
	if n > uint64(len(r.src)) {
		r.fail()
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

func (r *reader) text() string { return string(r.bytes(MaxText)) }

// readAll is the inverse of appendAll, of at most most items.
func readAll[T any](r *reader, most uint64, one func(*reader) T) []T {
	n := r.uint(most)
	var items []T
	for range n {
		items = append(items, one(r))
		if r.bad {
			return nil
		}
	}
	return items
}

func readSettings(r *reader) Settings {
	return Settings{Shards: int(r.uint(MaxShards)), Replicas: int(r.uint(MaxReplicas)), Durability: r.text(), Clock: r.text(),
		OutboxBytes: r.uint(1 << 62), RecentMillis: r.uint(1 << 62), RecentIDs: r.uint(1 << 62)}
}

func readMember(r *reader) Member {
	return Member{ID: r.text(), Incarnation: r.u64(), Node: r.text(), HTTP: r.text(), Zone: r.text(), Weight: int(r.uint(1 << 16)), Draining: r.bool()}
}

func readReplica(r *reader) Replica { return Replica{Member: r.text(), Incarnation: r.u64()} }

func readShard(r *reader) Shard {
	return Shard{Formed: r.bool(), Replicas: readAll(r, MaxReplicas+1, readReplica)}
}

func readPlacement(r *reader) Placement {
	return Placement{Shard: readNumber(r), Replicas: readAll(r, MaxReplicas+1, readReplica)}
}

func readMove(r *reader) Move {
	return Move{Shard: readNumber(r), Step: Step(r.byte()), Since: int64(r.u64()), Add: readReplica(r), Remove: readReplica(r)}
}

func readSource(r *reader) Source {
	return Source{Name: r.text(), Text: append([]byte(nil), r.bytes(MaxCookbookBytes)...)}
}

func readCookbook(r *reader) Cookbook {
	return Cookbook{Version: r.uint(1 << 62), At: int64(r.u64()), Sources: readAll(r, MaxRecipes, readSource)}
}

func readNumber(r *reader) uint32 { return uint32(r.uint(MaxShards)) }

// readCommand reads what follows the head of an entry; nil for a kind that this version does not know.
func readCommand(kind byte, r *reader) Command {
	switch kind {
	case kindFound:
		return &Found{Cluster: r.text(), Settings: readSettings(r), Members: readAll(r, MaxMembers, readMember)}
	case kindJoin:
		return &Join{readMember(r)}
	case kindForget:
		return &Forget{r.text()}
	case kindDrain:
		return &Drain{Member: r.text(), Draining: r.bool()}
	case kindPlace:
		return &Place{readAll(r, MaxShards, readPlacement)}
	case kindFormed:
		return &Formed{readAll(r, MaxShards, readNumber)}
	case kindBegin:
		return &Begin{Shard: readNumber(r), Add: readReplica(r), Remove: readReplica(r)}
	case kindStep:
		return &Advance{Shard: readNumber(r), To: Step(r.byte())}
	case kindAbandon:
		return &Abandon{readNumber(r)}
	case kindPrefer:
		return &Prefer{readAll(r, MaxShards, readPlacement)}
	case kindCookbook:
		return &PutCookbook{Sources: readAll(r, MaxRecipes, readSource), Above: r.uint(1 << 61), Refused: r.text()}
	case kindSwitched:
		return &CookbookSwitched{r.uint(1 << 62)}
	case kindSuspect:
		return &Suspect{readReplica(r)}
	case kindRecover:
		return &Recover{}
	case kindReform:
		return &Reform{Switched: r.uint(1 << 62), Cuts: readAll(r, MaxShards, readCut)}
	case kindReplicas:
		return &SetReplicas{int(r.uint(MaxReplicas))}
	}
	return nil
}
