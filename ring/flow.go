package ring

// flow is a network in which as much as possible is sent from a source to a sink at the least cost: the way to give every shard its
// replicas within everybody's quota while as few as possible move. Successive shortest paths (Bellman-Ford with a queue); costs are
// small integers. Edges are tried in the order in which they were added, so the result is the same everywhere.
type flow struct {
	edges []edge
	first []int // by node: its first edge, -1 for none
	last  []int
}

type edge struct {
	to, next  int
	room      int
	cost      int
	from, rev int
}

func newFlow(nodes int) *flow {
	f := &flow{first: make([]int, nodes), last: make([]int, nodes)}
	for i := range f.first {
		f.first[i], f.last[i] = -1, -1
	}
	return f
}

// add adds an edge and returns its number.
func (f *flow) add(from, to, room, cost int) int {
	e := len(f.edges)
	f.edges = append(f.edges,
		edge{from: from, to: to, room: room, cost: cost, next: -1, rev: e + 1},
		edge{from: to, to: from, cost: -cost, next: -1, rev: e})
	f.link(from, e)
	f.link(to, e+1)
	return e
}

func (f *flow) link(node, e int) {
	if f.last[node] < 0 {
		f.first[node] = e
	} else {
		f.edges[f.last[node]].next = e
	}
	f.last[node] = e
}

// push sends one unit along an edge that has room.
func (f *flow) push(e int) {
	f.edges[e].room--
	f.edges[f.edges[e].rev].room++
}

// used says whether something flows along an edge that had room for one.
func (f *flow) used(e int) bool { return f.edges[e].room == 0 }

// fill sends units from source to sink until no more fits. What flows already must be the cheapest way to send that much.
func (f *flow) fill(source, sink int) {
	const far = int(^uint(0) >> 2)
	distance, via := make([]int, len(f.first)), make([]int, len(f.first))
	queued := make([]bool, len(f.first))
	var queue []int
	for {
		for i := range distance {
			distance[i], via[i] = far, -1
		}
		distance[source] = 0
		queue = append(queue[:0], source)
		for head := 0; head < len(queue); head++ {
			v := queue[head]
			queued[v] = false
			for e := f.first[v]; e >= 0; e = f.edges[e].next {
				to, d := f.edges[e].to, distance[v]+f.edges[e].cost
				if f.edges[e].room == 0 || d >= distance[to] {
					continue
				}
				distance[to], via[to] = d, e
				if !queued[to] {
					queued[to] = true
					queue = append(queue, to)
				}
			}
		}
		if via[sink] < 0 {
			return
		}
		for v := sink; v != source; v = f.edges[via[v]].from {
			f.push(via[v])
		}
	}
}
