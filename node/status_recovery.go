package node

import (
	"fmt"
	"strings"
	"time"

	"dashi/pipeline/say"
)

// RecoveryStatus is the last time that a majority of a shard had lost the end of its log, and all went back: see shard/DESIGN.md, power loss.
type RecoveryStatus struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // the zero time: it is under way
	// Lost are the shards that had no majority left that was known to have what was acknowledged.
	Lost []uint32 `json:"lost"`
	// Gone is how many entries of the longest logs that were left all shards together gave up to agree. What Kafka had sent with them is read again.
	Gone uint64 `json:"entries_gone"`
	// Departed are activations that had left in these; Remade those of them that were made again, and did not leave a second time. The others
	// were made again in the name of another profile, or at another instant, and left so; or not at all.
	Departed uint64 `json:"activations_departed"`
	Remade   uint64 `json:"activations_remade"`
	// Settling are the shards that wait for Kafka to say what has left.
	Settling []uint32 `json:"settling,omitempty"`
}

// recoveryShown is for how long the status says in words that there was a recovery.
const recoveryShown = 24 * time.Hour

// recoveryStatus says what was recovered, and what is being waited for.
func (n *Node) recoveryStatus(st *Status, all []*report) {
	if text := *n.noted.Load(); text != "" {
		st.Trouble = append(st.Trouble, text)
	}
	r := n.directory.State().Recovery
	if r == nil {
		return
	}
	p := &RecoveryStatus{Since: time.UnixMilli(r.Since).UTC(), Lost: r.Lost}
	for _, c := range r.Cuts {
		p.Gone += c.Gone
	}
	for i, x := range all {
		if x != nil {
			p.Departed += x.Shard.Departed
			p.Remade += x.Shard.Remade
			if x.Shard.Settling {
				p.Settling = append(p.Settling, uint32(i))
			}
		}
	}
	st.PowerLoss = p
	var names []string
	for _, i := range r.Lost {
		names = append(names, fmt.Sprint(i))
	}
	which := "shard " + strings.Join(names, ", ")
	if len(r.Lost) > 4 {
		which = fmt.Sprintf("%d shards", len(r.Lost))
	}
	if r.Until == 0 {
		st.Recovery = fmt.Sprintf("recovering from power loss since %s: %s had lost the majority", p.Since.Format(time.RFC3339), which)
		return
	}
	p.Until = time.UnixMilli(r.Until).UTC()
	if time.Since(p.Until) < recoveryShown {
		st.Recovery = fmt.Sprintf("recovered from power loss at %s: %s had lost the majority; all shards went on from what was left, and gave up %s to agree; what they lost is read from Kafka again; %s of it had left already, %d of these were made again and held back",
			p.Until.Format(time.RFC3339), which, say.Count(p.Gone, "more entry"), say.Count(p.Departed, "activation"), p.Remade)
	}
	if len(p.Settling) > 0 {
		st.Recovery += fmt.Sprintf("; not told yet which activations have left: %s", say.Count(len(p.Settling), "shard"))
	}
}
